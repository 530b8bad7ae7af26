//! Rules about a running service, and about the environment of a process.

use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Deployment, RunningService};

const SERVICE: &[Area] = &[Area::Service];
const ENVIRONMENT: &[Area] = &[Area::Environment];

/// The name of the rule that a role's variables are valid and complete, so that the role starts.
pub(in crate::doctor) const WRONG: &str = "environment-wrong";
/// The name of the rule that a process which other machines can reach does not accept unauthenticated requests.
pub(in crate::doctor) const OPEN: &str = "environment-open";
/// The name of the rule that the embedded queue does not park messages after too few receives.
pub(in crate::doctor) const RECEIVES: &str = "environment-receives-low";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "service-not-ready",
        severity: Severity::Error,
        needs: SERVICE,
        rule: "The service is ready.",
        harm: "The service refuses orders: clients get 503, or no answer.",
        remedy: "See the service's answer to GET /readyz, and its log.",
        check: not_ready,
    },
    Rule {
        id: "service-open",
        severity: Severity::Error,
        needs: SERVICE,
        rule: "A service that other machines can reach requires a token.",
        harm: "Everybody who can reach the service can read and change all orders.",
        remedy: "Set ORDERS_JWKS_URL with issuer and audience, or put a JWT authorizer in front of the service and set ORDERS_AUTH=gateway.",
        check: open,
    },
    Rule {
        id: "service-metrics-public",
        severity: Severity::Warning,
        needs: SERVICE,
        rule: "Metrics are not public.",
        harm: "Everybody can read how many orders are accepted, and their outcomes.",
        remedy: "Serve /metrics on an address or path that is not reachable from outside.",
        check: metrics_public,
    },
    Rule {
        id: "service-in-the-clear",
        severity: Severity::Warning,
        needs: SERVICE,
        rule: "Other machines reach the service by https.",
        harm: "Tokens and orders can be read and changed in transit.",
        remedy: "Put a load balancer, a proxy or API Gateway with TLS in front of the service.",
        check: in_the_clear,
    },
    Rule {
        id: WRONG,
        severity: Severity::Error,
        needs: ENVIRONMENT,
        rule: "The variables of a role are set and valid.",
        harm: "The role does not start.",
        remedy: "Set the variable as described in the finding; `orders help <command>` lists all variables.",
        check: |deployment, results| environment(deployment, results, WRONG),
    },
    Rule {
        id: OPEN,
        severity: Severity::Error,
        needs: ENVIRONMENT,
        rule: "A service that other machines can reach authenticates requests.",
        harm: "Everybody who can reach the service can read and change all orders.",
        remedy: "Remove ORDERS_INSECURE_NO_AUTH, and set ORDERS_JWKS_URL with issuer and audience.",
        check: |deployment, results| environment(deployment, results, OPEN),
    },
    Rule {
        id: RECEIVES,
        severity: Severity::Error,
        needs: ENVIRONMENT,
        rule: "The embedded queue delivers a message at least 3 times.",
        harm: "A short fault of the disk is enough to turn good messages into dead letters.",
        remedy: "Set ORDERS_MAX_RECEIVES to 3 or more; 5 is the default.",
        check: |deployment, results| environment(deployment, results, RECEIVES),
    },
];

fn not_ready(deployment: &Deployment, results: &mut CheckResults) {
    of_service(deployment, |service| {
        if let Some(Some(why)) = results.stated(&service.url, "/readyz", &service.not_ready) {
            results.found(&service.url, "/readyz", why);
        }
    });
}

fn open(deployment: &Deployment, results: &mut CheckResults) {
    of_service(deployment, |service| {
        let status = results.stated(&service.url, "/v1/orders", &service.without_token);
        // The API checks the content of a request only after access control. So a 400 or 422 shows that the request
        // passed access control.
        match status {
            Some(Some(401 | 403)) => {}
            // Open access is the default on a loopback address, which other machines cannot reach.
            Some(Some(200..=299 | 400 | 422)) if service.local => {}
            Some(Some(status @ (200..=299 | 400 | 422))) => {
                results.found(&service.url, "/v1/orders", format!("{status} without a token"));
            }
            Some(Some(status)) => {
                results.leave_unchecked(
                    &service.url,
                    "/v1/orders",
                    format!("the answer without a token is {status}"),
                );
            }
            _ => {}
        }
    });
}

fn metrics_public(deployment: &Deployment, results: &mut CheckResults) {
    of_service(deployment, |service| {
        let status = results.stated(&service.url, "/metrics", &service.metrics);
        if let Some(Some(status @ 200..=299)) = status.filter(|_| !service.local) {
            results.found(&service.url, "/metrics", format!("{status} without a token"));
        }
    });
}

fn in_the_clear(deployment: &Deployment, results: &mut CheckResults) {
    of_service(deployment, |service| {
        if service.in_the_clear {
            results.found(&service.url, "", "plain http to another machine");
        }
    });
}

fn of_service(deployment: &Deployment, judge: impl FnOnce(&RunningService)) {
    if let Some(service) = &deployment.service {
        judge(service);
    }
}

fn environment(deployment: &Deployment, results: &mut CheckResults, rule: &str) {
    for problem in deployment.environment.iter().filter(|problem| problem.rule == rule) {
        results.found(&problem.role, &problem.variable, problem.problem.clone());
    }
}
