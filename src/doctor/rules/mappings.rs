//! Rules about event source mappings, by which Lambda receives messages from queues.

use super::{CheckResults, Rule, Severity, shown};
use crate::doctor::model::{Area, Attribute, Deployment};

const NEEDS: &[Area] = &[Area::Queues, Area::Functions];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "visibility-too-short",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The visibility timeout of a queue is at least 6 times the timeout of the function that it invokes.",
        harm: "A message becomes visible again while its batch is still being handled or retried. It is delivered twice, and each receive counts towards maxReceiveCount, so a good message can become a dead letter.",
        remedy: "Set visibility_timeout_seconds to 6 times the function's timeout, as an expression, or shorten the timeout.",
        check: visibility_too_short,
    },
    Rule {
        id: "partial-responses-off",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "Event source mappings have ReportBatchItemFailures on.",
        harm: "Lambda ignores the function's report of failed messages and deletes the whole batch: failed events are lost.",
        remedy: "Set function_response_types to [\"ReportBatchItemFailures\"].",
        check: partial_responses_off,
    },
    Rule {
        id: "filter-deletes",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "Event source mappings of order queues have no filter.",
        harm: "Lambda deletes messages that do not match, and bodies that are not JSON, without a dead letter: events of other types are lost without a trace.",
        remedy: "Remove filter_criteria: the consumer parks unknown events, with the reason.",
        check: filter_deletes,
    },
    Rule {
        id: "concurrency-range",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "maximum_concurrency is 2 to 1000.",
        harm: "Lambda refuses the mapping: nothing is consumed.",
        remedy: "Set maximum_concurrency to a number from 2 to 1000.",
        check: concurrency_range,
    },
    Rule {
        id: "concurrency-over-reserved",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "maximum_concurrency is at most the function's reserved concurrency.",
        harm: "Lambda receives more messages than the function may handle. Throttled receives count towards maxReceiveCount, so good messages become dead letters.",
        remedy: "Lower maximum_concurrency, or raise reserved_concurrent_executions.",
        check: concurrency_over_reserved,
    },
    Rule {
        id: "concurrency-unbounded",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "An event source mapping of a function with reserved concurrency has a maximum_concurrency or provisioned pollers.",
        harm: "Lambda scales up to 1000 receivers, regardless of the reserved concurrency. Throttled receives count towards maxReceiveCount, so good messages become dead letters.",
        remedy: "Set scaling_config.maximum_concurrency to at most reserved_concurrent_executions.",
        check: concurrency_unbounded,
    },
    Rule {
        id: "fifo-batch-too-large",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "Batches of a FIFO queue have at most 10 messages.",
        harm: "Lambda refuses the mapping: nothing is consumed.",
        remedy: "Set batch_size to 10.",
        check: fifo_batch_too_large,
    },
    Rule {
        id: "fifo-batching-window",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "Mappings of a FIFO queue have no batching window.",
        harm: "Lambda refuses the mapping: nothing is consumed.",
        remedy: "Remove maximum_batching_window_in_seconds, or set it only for standard queues.",
        check: fifo_batching_window,
    },
    Rule {
        id: "large-batch-without-window",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "Batches of more than 10 messages have a batching window of at least 1 second.",
        harm: "Lambda refuses the mapping: nothing is consumed.",
        remedy: "Set maximum_batching_window_in_seconds to 1 or more, or batch_size to 10.",
        check: large_batch_without_window,
    },
    Rule {
        id: "dead-letters-unattended",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "A function or a container receives from every dead-letter queue of orders.",
        harm: "Dead letters are not archived, their receipts are not updated, and nobody is notified. When their retention ends, they are lost.",
        remedy: "Run the role dead-letters: a function with the handler dead-letters and a mapping from the dead-letter queue, or a container with the command dead-letters.",
        check: dead_letters_unattended,
    },
];

fn visibility_too_short(deployment: &Deployment, results: &mut CheckResults) {
    for (mapping, queue, function) in deployment.connections() {
        let (Some(queue), Some(function)) = (queue, function) else {
            let missing = if queue.is_none() { "event_source_arn" } else { "function_name" };
            results.leave_unchecked(
                &mapping.address,
                missing,
                "the mapping refers to a resource that is not part of the configuration",
            );
            continue;
        };
        let (ours, theirs) = (queue.identity.shown(), function.identity.shown());
        let visibility = results.value_or(ours, "visibility_timeout_seconds", &queue.visibility, 30.0);
        let timeout = results.value_or(theirs, "timeout", &function.timeout, 3.0);
        let (Some(visibility), Some(timeout)) = (visibility, timeout) else { continue };
        if visibility < 6.0 * timeout {
            let found = format!(
                "{}, but {theirs} has a timeout of {timeout} s, so {} s are needed",
                shown(&queue.visibility, 30.0, " s"),
                6.0 * timeout
            );
            results.found(ours, "visibility_timeout_seconds", found);
        }
    }
}

fn partial_responses_off(deployment: &Deployment, results: &mut CheckResults) {
    for mapping in &deployment.mappings {
        let at = &mapping.address;
        let types = results.value_or(at, "function_response_types", &mapping.response_types, Vec::new());
        if types.is_some_and(|types| !types.iter().any(|one| one == "ReportBatchItemFailures")) {
            results.found(at, "function_response_types", "without ReportBatchItemFailures");
        }
    }
}

fn filter_deletes(deployment: &Deployment, results: &mut CheckResults) {
    for mapping in &deployment.mappings {
        if let Some(Some(patterns)) = results.stated(&mapping.address, "filter_criteria", &mapping.filter) {
            results.found(&mapping.address, "filter_criteria", patterns.join(", "));
        }
    }
}

const MAXIMUM: &str = "scaling_config.maximum_concurrency";

fn concurrency_range(deployment: &Deployment, results: &mut CheckResults) {
    for mapping in &deployment.mappings {
        let maximum = results.stated(&mapping.address, MAXIMUM, &mapping.max_concurrency);
        if let Some(Some(maximum)) = maximum.filter(|m| m.is_some_and(|m| !(2.0..=1000.0).contains(&m))) {
            results.found(&mapping.address, MAXIMUM, maximum.to_string());
        }
    }
}

/// Calls `judge` with the maximum concurrency of each mapping and the reserved concurrency of its function, which is
/// `None` if the function has none.
fn reserved(
    deployment: &Deployment,
    results: &mut CheckResults,
    judge: impl Fn(&mut CheckResults, &str, Option<f64>, f64),
) {
    for (mapping, _, function) in deployment.connections() {
        let Some(function) = function else { continue };
        let at = function.identity.shown();
        let reserved = results.value_or(at, "reserved_concurrent_executions", &function.reserved, -1.0);
        let maximum = results.stated(&mapping.address, MAXIMUM, &mapping.max_concurrency);
        if let (Some(maximum), Some(reserved)) = (maximum, reserved.filter(|reserved| *reserved >= 0.0)) {
            judge(results, &mapping.address, maximum, reserved);
        }
    }
}

fn concurrency_over_reserved(deployment: &Deployment, results: &mut CheckResults) {
    reserved(deployment, results, |results, at, maximum, reserved| {
        if let Some(maximum) = maximum.filter(|maximum| *maximum > reserved) {
            results.found(at, MAXIMUM, format!("{maximum}, with a reserved concurrency of {reserved}"));
        }
    });
}

fn concurrency_unbounded(deployment: &Deployment, results: &mut CheckResults) {
    let mappings = deployment.mappings.iter().filter(|mapping| mapping.pollers != Attribute::Absent);
    let provisioned: Vec<_> = mappings.map(|mapping| mapping.address.as_str()).collect();
    reserved(deployment, results, |results, at, maximum, reserved| {
        if maximum.is_none() && !provisioned.contains(&at) {
            results.found(at, MAXIMUM, format!("not set, with a reserved concurrency of {reserved}"));
        }
    });
}

/// Calls `judge` with the address, the batch size and the batching window of each mapping of a FIFO queue if `fifo` is
/// set, or of each mapping of a standard queue if it is not set.
fn batches(
    deployment: &Deployment,
    results: &mut CheckResults,
    fifo: bool,
    judge: impl Fn(&mut CheckResults, &str, f64, f64),
) {
    for (mapping, queue, _) in deployment.connections() {
        if queue.and_then(|queue| queue.is_fifo()) != Some(fifo) {
            continue;
        }
        let at = &mapping.address;
        let size = results.value_or(at, "batch_size", &mapping.batch_size, 10.0);
        let window = results.value_or(at, "maximum_batching_window_in_seconds", &mapping.window, 0.0);
        if let (Some(size), Some(window)) = (size, window) {
            judge(results, at, size, window);
        }
    }
}

fn fifo_batch_too_large(deployment: &Deployment, results: &mut CheckResults) {
    batches(deployment, results, true, |results, at, size, _| {
        if size > 10.0 {
            results.found(at, "batch_size", format!("{size}, from a FIFO queue"));
        }
    });
}

fn fifo_batching_window(deployment: &Deployment, results: &mut CheckResults) {
    batches(deployment, results, true, |results, at, _, window| {
        if window > 0.0 {
            results.found(at, "maximum_batching_window_in_seconds", format!("{window} s, from a FIFO queue"));
        }
    });
}

fn large_batch_without_window(deployment: &Deployment, results: &mut CheckResults) {
    batches(deployment, results, false, |results, at, size, window| {
        if size > 10.0 && window < 1.0 {
            results.found(at, "batch_size", format!("{size}, without a batching window"));
        }
    });
}

fn dead_letters_unattended(deployment: &Deployment, results: &mut CheckResults) {
    // If the source of a mapping is unknown, the mapping may belong to this queue.
    let unsure = deployment.mappings.iter().any(|mapping| matches!(mapping.source, Attribute::Unknown(_)));
    // An operator sends webhook jobs that could not be handled back to their queue.
    for queue in deployment.dead_letter_queues().filter(|queue| !deployment.is_for_webhooks(queue)) {
        let at = queue.identity.shown();
        match deployment.mappings_of(queue).next() {
            Some(_) => {}
            None if deployment.is_attended_by_container(queue) => {}
            None if unsure => results.leave_unchecked(at, "", "the source of a mapping is not known"),
            None => results.found(at, "", "no event source mapping and no container receives from the queue"),
        }
    }
}
