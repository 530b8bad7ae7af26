//! Rules about event source mappings: how Lambda takes messages off queues.

use super::{Rule, Severity, Verdicts, shown};
use crate::doctor::model::{Area, Attr, Deployment};

const NEEDS: &[Area] = &[Area::Queues, Area::Functions];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "visibility-too-short",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The visibility timeout of a queue is at least 6 times the timeout of the function that it feeds.",
        harm: "A message becomes visible again while a batch with it is still worked on or tried again: deliveries double, and each counts against maxReceiveCount until a good order is in the dead letters.",
        remedy: "Set visibility_timeout_seconds to 6 times the function's timeout (compute it), or shorten the timeout.",
        check: visibility_too_short,
    },
    Rule {
        id: "partial-responses-off",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "Mappings have ReportBatchItemFailures on.",
        harm: "Lambda ignores which messages the function reports as failed and deletes the whole batch: failed orders are lost.",
        remedy: "Set function_response_types to [\"ReportBatchItemFailures\"].",
        check: partial_responses_off,
    },
    Rule {
        id: "filter-deletes",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "Mappings of order queues have no filter.",
        harm: "Lambda deletes messages that do not match, and drops bodies that are not JSON, without a dead letter: events of other types are lost without a trace.",
        remedy: "Remove filter_criteria: the consumer parks what it does not know, with the reason.",
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
        harm: "Lambda receives more than the function may run; what is throttled counts as received, until good orders are in the dead letters.",
        remedy: "Lower maximum_concurrency, or raise reserved_concurrent_executions.",
        check: concurrency_over_reserved,
    },
    Rule {
        id: "concurrency-unbounded",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "A mapping of a function with reserved concurrency states a maximum_concurrency.",
        harm: "Lambda scales up to 1000 receivers whatever the function may run; what is throttled counts as received, until good orders are in the dead letters.",
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
        rule: "A function takes dead letters off their queue.",
        harm: "Dead letters are not archived, their orders are not marked and nobody is told: after the retention they are gone.",
        remedy: "Run the role dead-letters: a function with the handler dead-letters and a mapping from the dead-letter queue.",
        check: dead_letters_unattended,
    },
];

fn visibility_too_short(deployment: &Deployment, verdicts: &mut Verdicts) {
    for (mapping, queue, function) in deployment.connections() {
        let (Some(queue), Some(function)) = (queue, function) else {
            let missing = if queue.is_none() { "event_source_arn" } else { "function_name" };
            verdicts.cannot_tell(&mapping.address, missing, "it refers to nothing that is checked here");
            continue;
        };
        let (ours, theirs) = (queue.identity.shown(), function.identity.shown());
        let visibility = verdicts.told(ours, "visibility_timeout_seconds", &queue.visibility, 30.0);
        let timeout = verdicts.told(theirs, "timeout", &function.timeout, 3.0);
        let (Some(visibility), Some(timeout)) = (visibility, timeout) else { continue };
        if visibility < 6.0 * timeout {
            let found = format!(
                "{}, with a timeout of {timeout} s of {theirs}: {} s are needed",
                shown(&queue.visibility, 30.0, " s"),
                6.0 * timeout
            );
            verdicts.found(ours, "visibility_timeout_seconds", found);
        }
    }
}

fn partial_responses_off(deployment: &Deployment, verdicts: &mut Verdicts) {
    for mapping in &deployment.mappings {
        let at = &mapping.address;
        let types = verdicts.told(at, "function_response_types", &mapping.response_types, Vec::new());
        if types.is_some_and(|types| !types.iter().any(|one| one == "ReportBatchItemFailures")) {
            verdicts.found(at, "function_response_types", "without ReportBatchItemFailures");
        }
    }
}

fn filter_deletes(deployment: &Deployment, verdicts: &mut Verdicts) {
    for mapping in &deployment.mappings {
        if let Some(Some(patterns)) = verdicts.stated(&mapping.address, "filter_criteria", &mapping.filter) {
            verdicts.found(&mapping.address, "filter_criteria", patterns.join(", "));
        }
    }
}

const MAXIMUM: &str = "scaling_config.maximum_concurrency";

fn concurrency_range(deployment: &Deployment, verdicts: &mut Verdicts) {
    for mapping in &deployment.mappings {
        let maximum = verdicts.stated(&mapping.address, MAXIMUM, &mapping.max_concurrency);
        if let Some(Some(maximum)) = maximum.filter(|m| m.is_some_and(|m| !(2.0..=1000.0).contains(&m))) {
            verdicts.found(&mapping.address, MAXIMUM, maximum.to_string());
        }
    }
}

/// Calls `judge` with the maximum of each mapping and what is reserved for its function, where something is.
fn reserved(
    deployment: &Deployment,
    verdicts: &mut Verdicts,
    judge: impl Fn(&mut Verdicts, &str, Option<f64>, f64),
) {
    for (mapping, _, function) in deployment.connections() {
        let Some(function) = function else { continue };
        let at = function.identity.shown();
        let reserved = verdicts.told(at, "reserved_concurrent_executions", &function.reserved, -1.0);
        let maximum = verdicts.stated(&mapping.address, MAXIMUM, &mapping.max_concurrency);
        if let (Some(maximum), Some(reserved)) = (maximum, reserved.filter(|reserved| *reserved >= 0.0)) {
            judge(verdicts, &mapping.address, maximum, reserved);
        }
    }
}

fn concurrency_over_reserved(deployment: &Deployment, verdicts: &mut Verdicts) {
    reserved(deployment, verdicts, |verdicts, at, maximum, reserved| {
        if let Some(maximum) = maximum.filter(|maximum| *maximum > reserved) {
            verdicts.found(at, MAXIMUM, format!("{maximum}, with {reserved} reserved for the function"));
        }
    });
}

fn concurrency_unbounded(deployment: &Deployment, verdicts: &mut Verdicts) {
    reserved(deployment, verdicts, |verdicts, at, maximum, reserved| {
        if maximum.is_none() {
            verdicts.found(at, MAXIMUM, format!("not set, with {reserved} reserved for the function"));
        }
    });
}

/// Calls `judge` with the address, the batch size and the window of each mapping of a queue of this kind.
fn batches(
    deployment: &Deployment,
    verdicts: &mut Verdicts,
    fifo: bool,
    judge: impl Fn(&mut Verdicts, &str, f64, f64),
) {
    for (mapping, queue, _) in deployment.connections() {
        if queue.and_then(|queue| queue.is_fifo()) != Some(fifo) {
            continue;
        }
        let at = &mapping.address;
        let size = verdicts.told(at, "batch_size", &mapping.batch_size, 10.0);
        let window = verdicts.told(at, "maximum_batching_window_in_seconds", &mapping.window, 0.0);
        if let (Some(size), Some(window)) = (size, window) {
            judge(verdicts, at, size, window);
        }
    }
}

fn fifo_batch_too_large(deployment: &Deployment, verdicts: &mut Verdicts) {
    batches(deployment, verdicts, true, |verdicts, at, size, _| {
        if size > 10.0 {
            verdicts.found(at, "batch_size", format!("{size}, from a FIFO queue"));
        }
    });
}

fn fifo_batching_window(deployment: &Deployment, verdicts: &mut Verdicts) {
    batches(deployment, verdicts, true, |verdicts, at, _, window| {
        if window > 0.0 {
            verdicts.found(
                at,
                "maximum_batching_window_in_seconds",
                format!("{window} s, from a FIFO queue"),
            );
        }
    });
}

fn large_batch_without_window(deployment: &Deployment, verdicts: &mut Verdicts) {
    batches(deployment, verdicts, false, |verdicts, at, size, window| {
        if size > 10.0 && window < 1.0 {
            verdicts.found(at, "batch_size", format!("{size}, without a batching window"));
        }
    });
}

fn dead_letters_unattended(deployment: &Deployment, verdicts: &mut Verdicts) {
    // One whose source cannot be told could be the one.
    let unsure = deployment.mappings.iter().any(|mapping| matches!(mapping.source, Attr::Unknown(_)));
    for queue in deployment.dead_letter_queues() {
        let at = queue.identity.shown();
        match deployment.mappings_of(queue).next() {
            Some(_) => {}
            None if unsure => verdicts.cannot_tell(at, "", "the source of a mapping cannot be told"),
            None => verdicts.found(at, "", "no event source mapping takes from it"),
        }
    }
}
