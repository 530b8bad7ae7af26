//! Rules about the scopes of tokens at an HTTP API, and about how a standard queue is shared among clients.

use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Attribute, Deployment, LambdaFunction};
use crate::doctor::topology::FunctionJob;

const NEEDS: &[Area] = &[Area::Functions];
const PREFIX: &str = "ORDERS_JWT_SCOPE_PREFIX";
const FAIR: &str = "ORDERS_FAIR_QUEUE";
const SCOPES: [&str; 3] = ["orders.read", "orders.write", "orders.operate"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "scope-prefix-missing",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "With tokens of a Cognito user pool, the API has ORDERS_JWT_SCOPE_PREFIX.",
        harm: "Cognito prefixes each custom scope with the identifier of its resource server, such as orders/orders.read. Without the prefix, every request gets 403.",
        remedy: "Set ORDERS_JWT_SCOPE_PREFIX to the identifier and a slash (jwt.scope_prefix in the module).",
        check: scope_prefix_missing,
    },
    Rule {
        id: "scope-prefix-differs",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The routes of the HTTP API require scopes with the prefix in ORDERS_JWT_SCOPE_PREFIX.",
        harm: "A token that passes the authorizer lacks the scope that the program expects, or the other way round: every request gets 403.",
        remedy: "Put ORDERS_JWT_SCOPE_PREFIX before orders.read, orders.write and orders.operate in authorization_scopes.",
        check: scope_prefix_differs,
    },
    Rule {
        id: "fair-queue-is-fifo",
        severity: Severity::Warning,
        needs: &[Area::Queues, Area::Functions],
        rule: "ORDERS_FAIR_QUEUE is on for standard queues only.",
        harm: "The setting has no effect: in a FIFO queue the group of a message is its order, which keeps the order of events.",
        remedy: "Remove ORDERS_FAIR_QUEUE. A FIFO queue with many groups needs no fairness.",
        check: fair_queue_is_fifo,
    },
    Rule {
        id: "fair-queue-off",
        severity: Severity::Notice,
        needs: &[Area::Queues, Area::Functions],
        rule: "A standard queue is a fair queue: ORDERS_FAIR_QUEUE is on for the API and the expiry role.",
        harm: "The backlog of one client delays the events of all others.",
        remedy: "Set ORDERS_FAIR_QUEUE to true (queue.fair in the module). It costs nothing.",
        check: fair_queue_off,
    },
];

fn of_job(deployment: &Deployment, job: FunctionJob) -> impl Iterator<Item = &LambdaFunction> {
    let ours = deployment.functions.iter().filter(|function| Deployment::is_ours(function));
    ours.filter(move |function| deployment.job(function) == job)
}

/// The prefix of the API's scopes. `None` if it is unknown.
fn prefix(function: &LambdaFunction, results: &mut CheckResults) -> Option<String> {
    let variables = function.environment.known()?;
    let value = variables.get(PREFIX).unwrap_or(&Attribute::Absent);
    let stated = results.stated(function.identity.shown(), &format!("environment.{PREFIX}"), value)?;
    Some(stated.map_or_else(String::new, |prefix| prefix.text))
}

fn scope_prefix_missing(deployment: &Deployment, results: &mut CheckResults) {
    let of_cognito = |issuer: &str| issuer.starts_with("https://cognito-idp.");
    for authorizer in &deployment.authorizers {
        let issuer = results.stated(&authorizer.address, "jwt_configuration.issuer", &authorizer.issuer);
        let Some(issuer) = issuer.flatten().filter(|issuer| of_cognito(issuer)) else { continue };
        for function in of_job(deployment, FunctionJob::Api) {
            if prefix(function, results).is_some_and(|prefix| prefix.is_empty()) {
                let at = function.identity.shown();
                results.found(
                    at,
                    &format!("environment.{PREFIX}"),
                    format!("not set, with tokens of {issuer}"),
                );
            }
        }
    }
}

fn scope_prefix_differs(deployment: &Deployment, results: &mut CheckResults) {
    let prefixes: Vec<_> = of_job(deployment, FunctionJob::Api).collect();
    let [function] = prefixes.as_slice() else { return };
    let Some(prefix) = prefix(function, results) else { return };
    for route in &deployment.scoped_routes {
        let Some(Some(scopes)) = results.stated(&route.address, "authorization_scopes", &route.scopes) else {
            continue;
        };
        for scope in scopes {
            let before = SCOPES.iter().find_map(|name| scope.strip_suffix(name));
            if before.is_some_and(|before| before != prefix) {
                let found = format!("{scope}, with the prefix {prefix:?} in {}", function.identity.shown());
                results.found(&route.address, "authorization_scopes", found);
            }
        }
    }
}

/// Calls `judge` with each function that sends events: whether its queue is FIFO, and whether it shares the queue fairly.
fn senders(
    deployment: &Deployment,
    results: &mut CheckResults,
    judge: impl Fn(&mut CheckResults, &str, bool, bool),
) {
    let senders = of_job(deployment, FunctionJob::Api).chain(of_job(deployment, FunctionJob::Expiry));
    for function in senders {
        let Some(variables) = function.environment.known() else { continue };
        let at = function.identity.shown();
        let Some(queue) = variables.get("QUEUE_URL").and_then(|url| deployment.queue(url)) else { continue };
        let value = variables.get(FAIR).unwrap_or(&Attribute::Absent);
        let Some(stated) = results.stated(at, &format!("environment.{FAIR}"), value) else { continue };
        let is_on = stated.is_some_and(|value| crate::variables::switch(&value.text) == Ok(true));
        if let Some(is_fifo) = queue.is_fifo() {
            judge(results, at, is_fifo, is_on);
        }
    }
}

fn fair_queue_is_fifo(deployment: &Deployment, results: &mut CheckResults) {
    senders(deployment, results, |results, at, is_fifo, is_on| {
        if is_fifo && is_on {
            results.found(at, &format!("environment.{FAIR}"), "on, with a FIFO queue");
        }
    });
}

fn fair_queue_off(deployment: &Deployment, results: &mut CheckResults) {
    senders(deployment, results, |results, at, is_fifo, is_on| {
        if !is_fifo && !is_on {
            results.found(at, &format!("environment.{FAIR}"), "off, with a standard queue");
        }
    });
}
