//! Rules about FIFO queues, and about queues that are none.

use super::{Rule, Severity, Verdicts};
use crate::doctor::model::{Area, Deployment, Queue};

const NEEDS: &[Area] = &[Area::Queues];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "content-deduplication",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "FIFO queues do not deduplicate by content.",
        harm: "A producer that forgets the event's id as deduplication id is not noticed: two events with the same body within 5 minutes become one, and an order's event is lost.",
        remedy: "Set content_based_deduplication to false: our producers state the event's id.",
        check: content_deduplication,
    },
    Rule {
        id: "throughput-mode-contradicts",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "fifo_throughput_limit perMessageGroupId goes with deduplication_scope messageGroup.",
        harm: "SQS refuses the combination: the queue cannot be made.",
        remedy: "Set deduplication_scope to messageGroup as well.",
        check: throughput_mode_contradicts,
    },
    Rule {
        id: "throughput-mode-off",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "FIFO queues are in high-throughput mode.",
        harm: "300 calls a second are the limit for all orders together; above it publishing is throttled and clients get 503.",
        remedy: "Set deduplication_scope to messageGroup and fifo_throughput_limit to perMessageGroupId.",
        check: throughput_mode_off,
    },
    Rule {
        id: "standard-queue",
        severity: Severity::Notice,
        needs: NEEDS,
        rule: "Orders wait on a FIFO queue.",
        harm: "A standard queue delivers out of order and sometimes twice. Nothing is lost, but events that come too early are put off and use up receives; a group id is no help there.",
        remedy: "Use a FIFO queue (fifo_queue = true), unless order does not matter or throughput matters more.",
        check: standard_queue,
    },
];

fn fifo_queues(deployment: &Deployment) -> impl Iterator<Item = &Queue> {
    deployment.queues.iter().filter(|queue| queue.is_fifo() == Some(true))
}

fn content_deduplication(deployment: &Deployment, verdicts: &mut Verdicts) {
    if !deployment.is_ours_to_judge() {
        return;
    }
    for queue in fifo_queues(deployment) {
        let at = queue.identity.shown();
        if verdicts.told(at, "content_based_deduplication", &queue.content_deduplication, false) == Some(true)
        {
            verdicts.found(at, "content_based_deduplication", "true");
        }
    }
}

/// Scope and limit of a FIFO queue, or `None` with a note.
fn throughput(queue: &Queue, verdicts: &mut Verdicts) -> Option<(String, String)> {
    let at = queue.identity.shown();
    let scope = verdicts.told(at, "deduplication_scope", &queue.deduplication_scope, "queue".to_owned())?;
    let limit = verdicts.told(at, "fifo_throughput_limit", &queue.throughput_limit, "perQueue".to_owned())?;
    Some((scope, limit))
}

fn throughput_mode_contradicts(deployment: &Deployment, verdicts: &mut Verdicts) {
    for queue in fifo_queues(deployment) {
        let Some((scope, limit)) = throughput(queue, verdicts) else { continue };
        if limit == "perMessageGroupId" && scope != "messageGroup" {
            verdicts.found(
                queue.identity.shown(),
                "deduplication_scope",
                format!("{scope}, with fifo_throughput_limit {limit}"),
            );
        }
    }
}

fn throughput_mode_off(deployment: &Deployment, verdicts: &mut Verdicts) {
    for queue in fifo_queues(deployment).filter(|queue| !deployment.holds_dead_letters(queue)) {
        let Some((scope, limit)) = throughput(queue, verdicts) else { continue };
        if limit != "perMessageGroupId" {
            verdicts.found(
                queue.identity.shown(),
                "fifo_throughput_limit",
                format!("{limit}, with deduplication_scope {scope}"),
            );
        }
    }
}

fn standard_queue(deployment: &Deployment, verdicts: &mut Verdicts) {
    if !deployment.is_ours_to_judge() {
        return;
    }
    for queue in deployment.work_queues() {
        match queue.is_fifo() {
            Some(false) => verdicts.found(queue.identity.shown(), "fifo_queue", "a standard queue"),
            Some(true) => {}
            None => verdicts.cannot_tell(
                queue.identity.shown(),
                "fifo_queue",
                "whether it is a FIFO queue cannot be told",
            ),
        }
    }
}
