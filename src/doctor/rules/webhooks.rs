//! Rules about webhooks: the queue of deliveries, and the functions that send jobs to it and handle them. The rules about queues,
//! mappings, permissions and alarms apply to them too.

use super::feed::functions;
use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Attribute, Deployment, LambdaFunction, SqsQueue};
use crate::doctor::references::ResourceReference;
use crate::doctor::topology::FunctionJob;

/// What the code relies on: it replaces a message after 500 receives (`consumer/src/webhooks/queued/mod.rs`), and what is left is for
/// receives that fail.
const RECEIVES: f64 = 1000.0;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "webhook-queue-standard",
        severity: Severity::Error,
        needs: &[Area::Queues],
        rule: "The queue of webhook deliveries is a FIFO queue.",
        harm: "A standard queue keeps no order and has no groups: the events of an order are delivered out of order, and the functions do not start, because they refuse its URL.",
        remedy: "Set fifo_queue to true, with a name that ends with .fifo.",
        check: standard,
    },
    Rule {
        id: "webhook-receives-low",
        severity: Severity::Error,
        needs: &[Area::Queues],
        rule: "A message of the queue of webhook deliveries is received 1000 times before it is a dead letter.",
        harm: "A message is also the timer of a failed delivery, so it is received up to 500 times. With a lower maxReceiveCount, deliveries that are tried for days become dead letters, and the later events of their orders are held until an operator acts.",
        remedy: "Set maxReceiveCount to 1000.",
        check: receives_low,
    },
    Rule {
        id: "webhooks-not-delivered",
        severity: Severity::Error,
        needs: &[Area::Queues, Area::Functions],
        rule: "The queue of webhook deliveries invokes a webhook sender, and the relay sends to it.",
        harm: "Events are not delivered to any subscription. After 14 days the queue drops the jobs.",
        remedy: "Declare a function with the handler webhook-sender and aws_lambda_event_source_mapping from the queue, and set WEBHOOK_QUEUE_URL for the relay.",
        check: not_delivered,
    },
    Rule {
        id: "webhooks-by-one-role",
        severity: Severity::Error,
        needs: &[Area::Queues, Area::Functions],
        rule: "The API, the relay and the webhook sender have the same WEBHOOK_QUEUE_URL, or none has it.",
        harm: "Without it, the API does not manage subscriptions. With another queue, the requests of operators or the jobs of the relay reach no webhook sender.",
        remedy: "Set WEBHOOK_QUEUE_URL to the same queue for all three functions.",
        check: by_one_role,
    },
];

fn queues(deployment: &Deployment) -> impl Iterator<Item = &SqsQueue> {
    deployment.queues.iter().filter(|queue| deployment.has_webhook_jobs(queue))
}

fn standard(deployment: &Deployment, results: &mut CheckResults) {
    for queue in queues(deployment) {
        let at = queue.identity.shown();
        match queue.is_fifo() {
            Some(true) => {}
            Some(false) => results.found(at, "fifo_queue", "a standard queue"),
            None => results.leave_unchecked(at, "fifo_queue", "it is not known whether it is a FIFO queue"),
        }
    }
}

fn receives_low(deployment: &Deployment, results: &mut CheckResults) {
    for queue in queues(deployment) {
        let Some(redrive) = queue.redrive.known() else { continue };
        let at = queue.identity.shown();
        let count = results.stated(at, "redrive_policy.maxReceiveCount", &redrive.max_receives);
        // `max-receives-low` reports an even lower count.
        if let Some(count) = count.flatten().filter(|count| (3.0..RECEIVES).contains(count)) {
            results.found(at, "redrive_policy.maxReceiveCount", count.to_string());
        }
    }
}

fn not_delivered(deployment: &Deployment, results: &mut CheckResults) {
    for queue in queues(deployment) {
        let at = queue.identity.shown();
        let is_unsure = deployment.mappings.iter().any(|mapping| {
            matches!(mapping.source, Attribute::Unknown(_))
                || matches!(mapping.function, Attribute::Unknown(_))
        });
        let is_handled = deployment.mappings_of(queue).any(|mapping| {
            let function = deployment.function(&mapping.function);
            function.is_some_and(|function| deployment.job(function) == FunctionJob::WebhookSender)
        });
        if !is_handled && is_unsure {
            results.leave_unchecked(at, "", "the source or the function of a mapping is not known");
        } else if !is_handled {
            results.found(at, "", "no webhook sender receives from it");
        }
        if functions(deployment, FunctionJob::Relay).next().is_none() {
            results.found(at, "", "no relay sends to it");
        }
    }
}

/// Whether two functions name the same queue, perhaps by different attributes of it.
fn is_same(deployment: &Deployment, one: &ResourceReference, other: &ResourceReference) -> bool {
    let is_both = |queue: &SqsQueue| [one, other].map(|link| link.means(&queue.identity)) == [Some(true); 2];
    one == other || deployment.queues.iter().any(is_both)
}

fn by_one_role(deployment: &Deployment, results: &mut CheckResults) {
    let roles = [FunctionJob::Api, FunctionJob::Relay, FunctionJob::WebhookSender];
    let all: Vec<_> = roles.into_iter().flat_map(|job| functions(deployment, job)).collect();
    let senders = functions(deployment, FunctionJob::WebhookSender);
    let Some(wanted) = senders.filter_map(LambdaFunction::webhook_queue).find_map(Attribute::known) else {
        return;
    };
    for function in all {
        let (at, attribute) = (function.identity.shown(), "environment.WEBHOOK_QUEUE_URL");
        match function.webhook_queue() {
            // `environment-missing` reports a sender without the variable.
            None if deployment.job(function) == FunctionJob::WebhookSender => {}
            None if matches!(function.environment, Attribute::Unknown(_)) => {
                results.leave_unchecked(at, attribute, "its environment is not known");
            }
            None => results.found(at, attribute, "not set"),
            Some(Attribute::Known(named)) if is_same(deployment, named, wanted) => {}
            Some(Attribute::Known(named)) => results.found(at, attribute, format!("{named}, not {wanted}")),
            Some(_) => results.leave_unchecked(at, attribute, "its value is not known"),
        }
    }
}
