//! Rules about the feed: the change stream of the table, the relay that reads it, and the API that shows the feed.

use super::{CheckResults, Rule, Severity, alarms};
use crate::doctor::model::{Area, Attribute, Deployment, LambdaFunction, StreamMapping};
use crate::doctor::topology::FunctionJob;

const FEED: &str = "ORDERS_FEED";
const PARTITIONS: &str = "ORDERS_FEED_PARTITIONS";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "relay-not-invoked",
        severity: Severity::Error,
        needs: &[Area::Functions],
        rule: "The change stream of the table of orders invokes the relay function.",
        harm: "The feed stays empty. After 24 hours the stream drops changes, and the events of these changes never reach the feed.",
        remedy: "Declare aws_lambda_event_source_mapping with the stream_arn of the table.",
        check: not_invoked,
    },
    Rule {
        id: "relay-drops-events",
        severity: Severity::Error,
        needs: &[Area::Functions],
        rule: "The mapping of the relay has ReportBatchItemFailures on, starts at TRIM_HORIZON, and limits neither retries nor the age of records.",
        harm: "The mapping skips records after a failure, or begins too late: recorded events are missing from the feed.",
        remedy: "Set function_response_types to [\"ReportBatchItemFailures\"] and starting_position to TRIM_HORIZON, and remove maximum_retry_attempts and maximum_record_age_in_seconds.",
        check: drops_events,
    },
    Rule {
        id: "relay-out-of-order",
        severity: Severity::Error,
        needs: &[Area::Functions],
        rule: "The mapping of the relay has a parallelization_factor of 1.",
        harm: "With a higher factor, Lambda keeps only the changes of a single item in order. Each event is a separate item, so the events of an order can reach the feed out of order.",
        remedy: "Remove parallelization_factor.",
        check: out_of_order,
    },
    Rule {
        id: "table-stream",
        severity: Severity::Error,
        needs: &[Area::Functions, Area::Tables],
        rule: "With a relay function, the table of orders has a change stream with new images.",
        harm: "The relay receives no events, or events that it cannot read: the feed stays empty.",
        remedy: "Set stream_enabled to true and stream_view_type to NEW_IMAGE.",
        check: without_stream,
    },
    Rule {
        id: "feed-by-one-role",
        severity: Severity::Error,
        needs: &[Area::Functions],
        rule: "ORDERS_FEED is on for both the API and the relay, or for neither, with the same ORDERS_FEED_PARTITIONS.",
        harm: "If ORDERS_FEED is on only for the API, the feed is empty. If it is on only for the relay, every event adds to the cost of a feed that nobody reads.",
        remedy: "Set ORDERS_FEED and ORDERS_FEED_PARTITIONS to the same values for the API and the relay.",
        check: by_one_role,
    },
    Rule {
        id: "alarm-relay-missing",
        severity: Severity::Warning,
        needs: &[Area::Functions, Area::Alarms],
        rule: "An alarm watches the IteratorAge of the relay function.",
        harm: "Nobody notices that the relay makes no progress. After 24 hours the stream drops changes, and the events of these changes never reach the feed.",
        remedy: "Declare aws_cloudwatch_metric_alarm for AWS/Lambda IteratorAge of the function, with a threshold of at most some hours.",
        check: without_alarm,
    },
];

pub(super) fn functions(deployment: &Deployment, job: FunctionJob) -> impl Iterator<Item = &LambdaFunction> {
    deployment.functions.iter().filter(move |function| deployment.job(function) == job)
}

/// Whether the function reads or fills the feed; `None` if that is not known.
pub(super) fn feeds(function: &LambdaFunction) -> Option<bool> {
    let Some(value) = function.environment.known()?.get(FEED) else { return Some(false) };
    crate::variables::switch(&value.known()?.text).ok()
}

/// The event source mappings that pass change streams to relays.
fn mappings(deployment: &Deployment) -> impl Iterator<Item = &StreamMapping> {
    deployment.stream_mappings.iter().filter(|mapping| {
        let function = deployment.function(&mapping.function);
        function.is_some_and(|function| deployment.job(function) == FunctionJob::Relay)
    })
}

fn not_invoked(deployment: &Deployment, results: &mut CheckResults) {
    for function in functions(deployment, FunctionJob::Relay) {
        let invokes = |mapping: &StreamMapping| match deployment.function(&mapping.function) {
            Some(invoked) => invoked.identity.address == function.identity.address,
            // If it is not known which function the mapping invokes, the mapping may invoke this function.
            None => matches!(mapping.function, Attribute::Unknown(_)),
        };
        if !deployment.stream_mappings.iter().any(invokes) {
            results.found(function.identity.shown(), "", "no stream invokes the function");
        }
    }
}

fn drops_events(deployment: &Deployment, results: &mut CheckResults) {
    for mapping in mappings(deployment) {
        let at = &mapping.address;
        let types = results.value_or(at, "function_response_types", &mapping.response_types, Vec::new());
        if types.is_some_and(|types| !types.iter().any(|it| it == "ReportBatchItemFailures")) {
            results.found(at, "function_response_types", "without ReportBatchItemFailures");
        }
        let start = results.value_or(at, "starting_position", &mapping.starting_position, String::new());
        if let Some(start) = start.filter(|start| start != "TRIM_HORIZON") {
            results.found(at, "starting_position", start);
        }
        let limits = [
            ("maximum_retry_attempts", &mapping.max_retries),
            ("maximum_record_age_in_seconds", &mapping.max_age),
        ];
        for (attribute, limit) in limits {
            if let Some(limit) = results.value_or(at, attribute, limit, -1.0).filter(|limit| *limit != -1.0) {
                results.found(at, attribute, limit.to_string());
            }
        }
    }
}

fn out_of_order(deployment: &Deployment, results: &mut CheckResults) {
    for mapping in mappings(deployment) {
        let factor = results.value_or(&mapping.address, "parallelization_factor", &mapping.parallel, 1.0);
        if let Some(factor) = factor.filter(|factor| *factor != 1.0) {
            results.found(&mapping.address, "parallelization_factor", factor.to_string());
        }
    }
}

fn without_stream(deployment: &Deployment, results: &mut CheckResults) {
    if functions(deployment, FunctionJob::Relay).next().is_none() {
        return;
    }
    for table in &deployment.tables {
        let at = table.identity.shown();
        match results.stated(at, "stream_view_type", &table.stream) {
            Some(Some(view)) if view == "NEW_IMAGE" || view == "NEW_AND_OLD_IMAGES" => {}
            Some(Some(view)) => results.found(at, "stream_view_type", view),
            Some(None) => results.found(at, "stream_enabled", "off"),
            None => {}
        }
    }
}

fn by_one_role(deployment: &Deployment, results: &mut CheckResults) {
    let partitions = |function: &LambdaFunction| {
        let variables = function.environment.known()?;
        match variables.get(PARTITIONS) {
            Some(count) => Some(count.known()?.text.clone()),
            None => Some("4".to_owned()),
        }
    };
    for (job, other) in [(FunctionJob::Api, FunctionJob::Relay), (FunctionJob::Relay, FunctionJob::Api)] {
        let others: Vec<_> = functions(deployment, other).collect();
        for function in functions(deployment, job).filter(|function| feeds(function) == Some(true)) {
            let at = function.identity.shown();
            if others.iter().all(|other| feeds(other) == Some(false)) {
                results.found(at, &format!("environment.{FEED}"), "on for this function only");
            }
            let differs = |other: &&&LambdaFunction| {
                feeds(other) == Some(true)
                    && partitions(function)
                        .zip(partitions(other))
                        .is_some_and(|(ours, theirs)| ours != theirs)
            };
            if job == FunctionJob::Api && others.iter().any(|other| differs(&other)) {
                results.found(at, &format!("environment.{PARTITIONS}"), "different from the relay's value");
            }
        }
    }
}

fn without_alarm(deployment: &Deployment, results: &mut CheckResults) {
    for function in functions(deployment, FunctionJob::Relay) {
        alarms::require(deployment, results, "IteratorAge", "FunctionName", &function.identity);
    }
}
