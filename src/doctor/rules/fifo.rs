//! Rules about FIFO and standard queues.

use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Deployment, SqsQueue};

const NEEDS: &[Area] = &[Area::Queues];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "content-deduplication",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "FIFO queues do not deduplicate by content.",
        harm: "With deduplication by content, SQS drops one of two events that have the same body and are sent within 5 minutes. It also hides a producer that does not send the event id as deduplication id.",
        remedy: "Set content_based_deduplication to false: our producers send the event id.",
        check: content_deduplication,
    },
    Rule {
        id: "throughput-mode-contradicts",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "A queue with fifo_throughput_limit perMessageGroupId has deduplication_scope messageGroup.",
        harm: "SQS refuses the combination, so the queue cannot be created.",
        remedy: "Set deduplication_scope to messageGroup as well.",
        check: throughput_mode_contradicts,
    },
    Rule {
        id: "throughput-mode-off",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "FIFO queues are in high-throughput mode.",
        harm: "All orders together are limited to 300 calls per second. Above that rate, SQS throttles publishing, and clients get 503.",
        remedy: "Set deduplication_scope to messageGroup and fifo_throughput_limit to perMessageGroupId.",
        check: throughput_mode_off,
    },
    Rule {
        id: "standard-queue",
        severity: Severity::Notice,
        needs: NEEDS,
        rule: "Orders are queued on a FIFO queue.",
        harm: "A standard queue delivers out of order and sometimes twice. No event is lost, but an event that arrives too early is retried, and each receive counts towards maxReceiveCount. A message group id does not change that.",
        remedy: "Use a FIFO queue (fifo_queue = true), unless order does not matter or throughput matters more.",
        check: standard_queue,
    },
];

fn fifo_queues(deployment: &Deployment) -> impl Iterator<Item = &SqsQueue> {
    deployment.queues.iter().filter(|queue| queue.is_fifo() == Some(true))
}

fn content_deduplication(deployment: &Deployment, results: &mut CheckResults) {
    if !deployment.is_ours_to_judge() {
        return;
    }
    for queue in fifo_queues(deployment) {
        let at = queue.identity.shown();
        if results.value_or(at, "content_based_deduplication", &queue.content_deduplication, false)
            == Some(true)
        {
            results.found(at, "content_based_deduplication", "true");
        }
    }
}

/// The deduplication scope and the throughput limit of a FIFO queue. `None` if either is unknown.
fn throughput(queue: &SqsQueue, results: &mut CheckResults) -> Option<(String, String)> {
    let at = queue.identity.shown();
    let scope =
        results.value_or(at, "deduplication_scope", &queue.deduplication_scope, "queue".to_owned())?;
    let limit =
        results.value_or(at, "fifo_throughput_limit", &queue.throughput_limit, "perQueue".to_owned())?;
    Some((scope, limit))
}

fn throughput_mode_contradicts(deployment: &Deployment, results: &mut CheckResults) {
    for queue in fifo_queues(deployment) {
        let Some((scope, limit)) = throughput(queue, results) else { continue };
        if limit == "perMessageGroupId" && scope != "messageGroup" {
            results.found(
                queue.identity.shown(),
                "deduplication_scope",
                format!("{scope}, with fifo_throughput_limit {limit}"),
            );
        }
    }
}

fn throughput_mode_off(deployment: &Deployment, results: &mut CheckResults) {
    for queue in fifo_queues(deployment).filter(|queue| !deployment.holds_dead_letters(queue)) {
        let Some((scope, limit)) = throughput(queue, results) else { continue };
        if limit != "perMessageGroupId" {
            results.found(
                queue.identity.shown(),
                "fifo_throughput_limit",
                format!("{limit}, with deduplication_scope {scope}"),
            );
        }
    }
}

fn standard_queue(deployment: &Deployment, results: &mut CheckResults) {
    if !deployment.is_ours_to_judge() {
        return;
    }
    // For the queue of webhook deliveries, `webhook-queue-standard` is stricter.
    for queue in deployment.event_queues() {
        match queue.is_fifo() {
            Some(false) => results.found(queue.identity.shown(), "fifo_queue", "a standard queue"),
            Some(true) => {}
            None => results.leave_unchecked(
                queue.identity.shown(),
                "fifo_queue",
                "it is not known whether the queue is FIFO",
            ),
        }
    }
}
