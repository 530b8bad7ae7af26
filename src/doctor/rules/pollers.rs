//! Rules about provisioned pollers, which Lambda keeps for a queue.

use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Attribute, Deployment, EventSourceMapping, LambdaFunction};

const NEEDS: &[Area] = &[Area::Queues, Area::Functions];
/// The most batches that one poller handles concurrently
/// ([AWS](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)).
const BATCHES: f64 = 10.0;
const DEFAULT_MINIMUM: f64 = 2.0;
const DEFAULT_MAXIMUM: f64 = 200.0;
const MINIMUM: &str = "provisioned_poller_config.minimum_pollers";
const MAXIMUM: &str = "provisioned_poller_config.maximum_pollers";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "pollers-and-concurrency",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "An event source mapping with provisioned pollers has no maximum_concurrency.",
        harm: "Lambda refuses the mapping: nothing is consumed.",
        remedy: "Remove scaling_config: the number of pollers limits the concurrency, because each handles up to 10 batches. Or remove provisioned_poller_config.",
        check: pollers_and_concurrency,
    },
    Rule {
        id: "pollers-range",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "A mapping has 2 to 200 provisioned pollers at least, and at most as many as that to 2000.",
        harm: "Lambda refuses the mapping: nothing is consumed.",
        remedy: "Set minimum_pollers to 2 to 200, and maximum_pollers to at least minimum_pollers and at most 2000.",
        check: pollers_range,
    },
    Rule {
        id: "pollers-over-reserved",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The reserved concurrency of a function is at least 10 for each provisioned poller.",
        harm: "Pollers receive more messages than the function may handle. Throttled receives count towards maxReceiveCount, so good messages become dead letters.",
        remedy: "Lower maximum_pollers, or raise reserved_concurrent_executions.",
        check: pollers_over_reserved,
    },
];

/// Calls `judge` with each mapping that has provisioned pollers, its function, and the least and most pollers.
fn provisioned(
    deployment: &Deployment,
    results: &mut CheckResults,
    judge: impl Fn(&mut CheckResults, &EventSourceMapping, Option<&LambdaFunction>, f64, f64),
) {
    for (mapping, _, function) in deployment.connections() {
        let at = &mapping.address;
        let Some(Some(pollers)) = results.stated(at, "provisioned_poller_config", &mapping.pollers) else {
            continue;
        };
        let minimum = results.value_or(at, MINIMUM, &pollers.minimum, DEFAULT_MINIMUM);
        let maximum = results.value_or(at, MAXIMUM, &pollers.maximum, DEFAULT_MAXIMUM);
        if let (Some(minimum), Some(maximum)) = (minimum, maximum) {
            judge(results, mapping, function, minimum, maximum);
        }
    }
}

fn pollers_and_concurrency(deployment: &Deployment, results: &mut CheckResults) {
    for mapping in deployment.mappings.iter().filter(|mapping| mapping.pollers != Attribute::Absent) {
        let attribute = "scaling_config.maximum_concurrency";
        let maximum = results.stated(&mapping.address, attribute, &mapping.max_concurrency);
        if let Some(Some(maximum)) = maximum {
            results.found(&mapping.address, attribute, format!("{maximum}, with provisioned pollers"));
        }
    }
}

fn pollers_range(deployment: &Deployment, results: &mut CheckResults) {
    provisioned(deployment, results, |results, mapping, _, minimum, maximum| {
        if !(2.0..=200.0).contains(&minimum) {
            results.found(&mapping.address, MINIMUM, minimum.to_string());
        } else if !(minimum..=2000.0).contains(&maximum) {
            results.found(&mapping.address, MAXIMUM, format!("{maximum}, with a minimum of {minimum}"));
        }
    });
}

fn pollers_over_reserved(deployment: &Deployment, results: &mut CheckResults) {
    provisioned(deployment, results, |results, mapping, function, _, maximum| {
        let Some(function) = function else { return };
        let at = function.identity.shown();
        let reserved = results.value_or(at, "reserved_concurrent_executions", &function.reserved, -1.0);
        if let Some(reserved) = reserved.filter(|reserved| (0.0..BATCHES * maximum).contains(reserved)) {
            let found = format!(
                "{maximum}, which handle {} batches, with a reserved concurrency of {reserved}",
                BATCHES * maximum
            );
            results.found(&mapping.address, MAXIMUM, found);
        }
    });
}
