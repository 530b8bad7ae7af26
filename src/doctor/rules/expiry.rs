//! Rules about the Lambda function that proposes to cancel unpaid orders.

use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Attribute, Deployment, LambdaFunction};
use crate::doctor::topology::FunctionJob;

const INDEX: &str = "due-orders";
const AGE: &str = "ORDERS_EXPIRE_UNPAID";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "expiry-not-scheduled",
        severity: Severity::Error,
        needs: &[Area::Functions],
        rule: "A schedule invokes the expiry function.",
        harm: "Nothing cancels orders that are unpaid at their deadline.",
        remedy: "Declare aws_cloudwatch_event_rule with rate(1 minute), its target and aws_lambda_permission.",
        check: not_scheduled,
    },
    Rule {
        id: "expiry-index",
        severity: Severity::Error,
        needs: &[Area::Functions, Area::Tables],
        rule: "If there is an expiry function, the table has an index due-orders with the keys due_shard and due_at.",
        harm: "The expiry function fails, and nothing cancels orders that are unpaid at their deadline.",
        remedy: "Add the global secondary index due-orders, with hash key due_shard, range key due_at and the keys projected.",
        check: without_index,
    },
    Rule {
        id: "expiry-missing",
        severity: Severity::Warning,
        needs: &[Area::Functions],
        rule: "If the consumer has ORDERS_EXPIRE_UNPAID, there is an expiry function with the same value.",
        harm: "The consumer writes deadlines that nothing reads, or orders expire later than configured.",
        remedy: "Set ORDERS_EXPIRE_UNPAID to the same value for the consumer and the expiry function.",
        check: other_age,
    },
];

fn functions(deployment: &Deployment, job: FunctionJob) -> impl Iterator<Item = &LambdaFunction> {
    deployment.functions.iter().filter(move |function| deployment.job(function) == job)
}

fn not_scheduled(deployment: &Deployment, results: &mut CheckResults) {
    for function in functions(deployment, FunctionJob::Expiry) {
        let invokes = |target: &Attribute<_>| match deployment.function(target) {
            Some(invoked) => invoked.identity.address == function.identity.address,
            // An unknown target may be this function, so the rule reports nothing.
            None => matches!(target, Attribute::Unknown(_)),
        };
        if !deployment.schedule_targets.iter().any(invokes) {
            results.found(function.identity.shown(), "", "no schedule invokes the function");
        }
    }
}

fn without_index(deployment: &Deployment, results: &mut CheckResults) {
    if functions(deployment, FunctionJob::Expiry).next().is_none() {
        return;
    }
    for table in &deployment.tables {
        let at = table.identity.shown();
        let indexes = results.value_or(at, "global_secondary_index", &table.indexes, Default::default());
        let Some(indexes) = indexes else { continue };
        match indexes.get(INDEX) {
            Some(keys) if *keys == ["due_shard", "due_at"] => {}
            Some(keys) => {
                let found = format!("{INDEX} with the keys {}", keys.join(", "));
                results.found(at, "global_secondary_index", found);
            }
            None => results.found(at, "global_secondary_index", format!("no index {INDEX}")),
        }
    }
}

fn other_age(deployment: &Deployment, results: &mut CheckResults) {
    let age = |function: &LambdaFunction| {
        let variables = function.environment.known()?;
        variables.get(AGE).and_then(|age| Some(age.known()?.text.clone()))
    };
    let expiry: Vec<_> = functions(deployment, FunctionJob::Expiry).collect();
    for consumer in functions(deployment, FunctionJob::Consumer) {
        let Some(wanted) = age(consumer) else { continue };
        if !expiry.iter().any(|function| age(function).as_ref() == Some(&wanted)) {
            let found = format!("{wanted}, and no expiry function has it");
            results.found(consumer.identity.shown(), &format!("environment.{AGE}"), found);
        }
    }
}
