//! Rules about a running service, and about the environment of a process.

use super::{Rule, Severity, Verdicts};
use crate::doctor::model::{Area, Deployment, Service};

const SERVICE: &[Area] = &[Area::Service];
const ENVIRONMENT: &[Area] = &[Area::Environment];

/// What is wrong with a variable, and the role cannot start.
pub(in crate::doctor) const WRONG: &str = "environment-wrong";
/// Everybody is let in, by a process that others can reach.
pub(in crate::doctor) const OPEN: &str = "environment-open";
/// The embedded queue gives messages up too soon.
pub(in crate::doctor) const RECEIVES: &str = "environment-receives-low";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "service-not-ready",
        severity: Severity::Error,
        needs: SERVICE,
        rule: "The service says that it is ready.",
        harm: "Orders are refused: clients get 503, or no answer.",
        remedy: "Look at what /readyz and the service's log say.",
        check: not_ready,
    },
    Rule {
        id: "service-open",
        severity: Severity::Error,
        needs: SERVICE,
        rule: "A service that other machines can reach asks for a token.",
        harm: "Everybody who reaches it can read all orders and change them.",
        remedy: "Set ORDERS_JWKS_URL with issuer and audience, or put a JWT authorizer in front and set ORDERS_AUTH=gateway.",
        check: open,
    },
    Rule {
        id: "service-metrics-public",
        severity: Severity::Warning,
        needs: SERVICE,
        rule: "Metrics are not public: other machines get them only where they are meant to.",
        harm: "Everybody can read how many orders come in and what becomes of them.",
        remedy: "Serve /metrics on a port or path that is not reachable from outside.",
        check: metrics_public,
    },
    Rule {
        id: "service-in-the-clear",
        severity: Severity::Warning,
        needs: SERVICE,
        rule: "The service is reached by https, from other machines.",
        harm: "Tokens and orders can be read and changed on the way.",
        remedy: "Put TLS in front: a load balancer, a proxy or API Gateway.",
        check: in_the_clear,
    },
    Rule {
        id: WRONG,
        severity: Severity::Error,
        needs: ENVIRONMENT,
        rule: "The variables of a role are set and can be read.",
        harm: "The role does not start.",
        remedy: "Set the variable as the message says; `orders help <command>` lists all of them.",
        check: |deployment, verdicts| environment(deployment, verdicts, WRONG),
    },
    Rule {
        id: OPEN,
        severity: Severity::Error,
        needs: ENVIRONMENT,
        rule: "A service that other machines can reach asks who calls it.",
        harm: "Everybody who reaches it can read all orders and change them.",
        remedy: "Remove ORDERS_INSECURE_NO_AUTH, and set ORDERS_JWKS_URL with issuer and audience.",
        check: |deployment, verdicts| environment(deployment, verdicts, OPEN),
    },
    Rule {
        id: RECEIVES,
        severity: Severity::Error,
        needs: ENVIRONMENT,
        rule: "The embedded queue tries a message at least 3 times.",
        harm: "A short fault of the disk is enough for good orders to end in the dead letters.",
        remedy: "Set ORDERS_MAX_RECEIVES to 3 or more; 5 is the default.",
        check: |deployment, verdicts| environment(deployment, verdicts, RECEIVES),
    },
];

fn not_ready(deployment: &Deployment, verdicts: &mut Verdicts) {
    of_service(deployment, |service| {
        if let Some(Some(why)) = verdicts.stated(&service.url, "/readyz", &service.not_ready) {
            verdicts.found(&service.url, "/readyz", why);
        }
    });
}

fn open(deployment: &Deployment, verdicts: &mut Verdicts) {
    of_service(deployment, |service| {
        let status = verdicts.stated(&service.url, "/v1/orders", &service.without_token);
        // Refusing the request for what it lacks, not for who asks, is letting in.
        match status {
            Some(Some(401 | 403)) => {}
            // On a loopback address that is the default, and nobody else gets there.
            Some(Some(200..=299 | 400 | 422)) if service.local => {}
            Some(Some(status @ (200..=299 | 400 | 422))) => {
                verdicts.found(&service.url, "/v1/orders", format!("{status} without a token"));
            }
            Some(Some(status)) => {
                verdicts.cannot_tell(
                    &service.url,
                    "/v1/orders",
                    format!("it answers {status} without a token"),
                );
            }
            _ => {}
        }
    });
}

fn metrics_public(deployment: &Deployment, verdicts: &mut Verdicts) {
    of_service(deployment, |service| {
        let status = verdicts.stated(&service.url, "/metrics", &service.metrics);
        if let Some(Some(status @ 200..=299)) = status.filter(|_| !service.local) {
            verdicts.found(&service.url, "/metrics", format!("{status} without a token"));
        }
    });
}

fn in_the_clear(deployment: &Deployment, verdicts: &mut Verdicts) {
    of_service(deployment, |service| {
        if service.in_the_clear {
            verdicts.found(&service.url, "", "http, on another machine");
        }
    });
}

fn of_service(deployment: &Deployment, judge: impl FnOnce(&Service)) {
    if let Some(service) = &deployment.service {
        judge(service);
    }
}

fn environment(deployment: &Deployment, verdicts: &mut Verdicts, rule: &str) {
    for fault in deployment.environment.iter().filter(|fault| fault.rule == rule) {
        verdicts.found(&fault.role, &fault.variable, fault.fault.clone());
    }
}
