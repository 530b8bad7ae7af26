//! Rules about Lambda functions.

use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{Area, Attribute, Deployment, LambdaFunction};
use crate::doctor::references::{ResourceIdentity, ResourceReference};
use crate::doctor::topology::FunctionJob;

const NEEDS: &[Area] = &[Area::Queues, Area::Functions];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "dead-letters-on-function",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "A function that is invoked by a queue has no dead_letter_config.",
        harm: "The setting applies only to asynchronous invocations, so it has no effect on messages from a queue. Failing messages are lost unless the queue itself has a redrive policy.",
        remedy: "Remove dead_letter_config, and set redrive_policy on the queue.",
        check: dead_letters_on_function,
    },
    Rule {
        id: "environment-missing",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "A function has the variables that its role reads: QUEUE_URL, DLQ_URL, TABLE_NAME, DLQ_BUCKET, ALERTS_TOPIC, OUTBOUND_TABLE, ORDERS_FEED, WEBHOOK_QUEUE_URL, and for the API the variables for access control.",
        harm: "The function does not start: every invocation fails, and messages become dead letters.",
        remedy: "Set the variable in environment.variables.",
        check: environment_missing,
    },
    Rule {
        id: "environment-elsewhere",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The variables of a function name the queues and the table of this deployment.",
        harm: "The function uses a queue or a table of another deployment. It can fail to acknowledge messages, park them on the wrong queue, or record them in the wrong table: orders are handled twice, or cannot be found.",
        remedy: "Reference the resource instead of writing its name.",
        check: environment_elsewhere,
    },
    Rule {
        id: "everyone-let-in",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The API authenticates requests.",
        harm: "Everybody on the internet can read and change all orders.",
        remedy: "Remove ORDERS_INSECURE_NO_AUTH; set ORDERS_AUTH=gateway behind a JWT authorizer, or ORDERS_JWKS_URL.",
        check: everyone_let_in,
    },
    Rule {
        id: "metrics-dropped",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "With JSON logging, the application log level includes INFO.",
        harm: "Metrics are log lines (EMF) without a level. Lambda treats such lines as INFO and drops them at a higher level, so alarms on outcomes get no data.",
        remedy: "Set logging_config.application_log_level to INFO, DEBUG or TRACE. The program filters its own lines by LOG_LEVEL.",
        check: metrics_dropped,
    },
    Rule {
        id: "function-switched-off",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "No function has a reserved concurrency of 0.",
        harm: "Lambda never runs the function: requests fail, and messages are received without being handled until they become dead letters.",
        remedy: "Set reserved_concurrent_executions to the concurrency that the function needs, or remove it. To pause a consumer, disable its mapping.",
        check: function_switched_off,
    },
];

fn dead_letters_on_function(deployment: &Deployment, results: &mut CheckResults) {
    for function in &deployment.functions {
        if function.dead_letters != Attribute::Absent && deployment.source_of(function).is_some() {
            let target =
                function.dead_letters.known().map_or_else(|| "set".to_owned(), ResourceReference::to_string);
            results.found(function.identity.shown(), "dead_letter_config", target);
        }
    }
}

/// A list of alternative variables. A function needs at least one of them.
type AnyVariableOf = &'static [&'static str];

const AUTH: AnyVariableOf =
    &["ORDERS_AUTH", "ORDERS_JWKS_URL", "ORDERS_JWKS_FILE", "ORDERS_INSECURE_NO_AUTH"];

fn needs(job: FunctionJob) -> &'static [AnyVariableOf] {
    match job {
        FunctionJob::Api => &[&["QUEUE_URL"], &["TABLE_NAME"], AUTH],
        FunctionJob::Consumer => &[&["QUEUE_URL"], &["DLQ_URL"], &["TABLE_NAME"]],
        FunctionJob::DeadLetters => {
            &[&["QUEUE_URL"], &["DLQ_URL"], &["TABLE_NAME"], &["DLQ_BUCKET"], &["ALERTS_TOPIC"]]
        }
        FunctionJob::Expiry => &[&["QUEUE_URL"], &["TABLE_NAME"]],
        FunctionJob::Relay => &[
            &["TABLE_NAME"],
            &["OUTBOUND_TABLE"],
            &["ORDERS_FEED", "WEBHOOK_QUEUE_URL", "EVENT_BUS", "EVENTS_TOPIC"],
        ],
        FunctionJob::WebhookSender => {
            &[&["TABLE_NAME"], &["OUTBOUND_TABLE"], &["WEBHOOK_QUEUE_URL"], &["ALERTS_TOPIC"]]
        }
        FunctionJob::Other => &[],
    }
}

fn environment_missing(deployment: &Deployment, results: &mut CheckResults) {
    for function in &deployment.functions {
        let at = function.identity.shown();
        let needs = needs(deployment.job(function));
        if needs.is_empty() || !Deployment::is_ours(function) {
            continue;
        }
        let Some(variables) = results.value_or(at, "environment", &function.environment, Default::default())
        else {
            continue;
        };
        for need in needs {
            let set = |name: &&str| variables.get(*name).is_some_and(|value| *value != Attribute::Absent);
            if !need.iter().any(set) {
                results.found(
                    at,
                    &format!("environment.{}", need[0]),
                    format!("{} is not set", need.join(" or ")),
                );
            }
        }
    }
}

fn environment_elsewhere(deployment: &Deployment, results: &mut CheckResults) {
    for function in deployment.functions.iter().filter(|function| Deployment::is_ours(function)) {
        let source = deployment.source_of(function);
        let dead_letters = source.and_then(|queue| deployment.dead_letters_of(queue));
        let job = deployment.job(function);
        let one = |all: &[ResourceIdentity]| if let [single] = all { Some(single.clone()) } else { None };
        let tables: Vec<_> = deployment.tables.iter().map(|table| table.identity.clone()).collect();
        let work: Vec<_> = deployment.event_queues().map(|queue| queue.identity.clone()).collect();
        let queue = match job {
            FunctionJob::Consumer => source.map(|queue| queue.identity.clone()),
            FunctionJob::Api | FunctionJob::Expiry => one(&work),
            _ => None,
        };
        let dead_letters =
            dead_letters.filter(|_| job == FunctionJob::Consumer).map(|queue| queue.identity.clone());
        for (name, wanted) in [("QUEUE_URL", queue), ("DLQ_URL", dead_letters), ("TABLE_NAME", one(&tables))]
        {
            if let Some(wanted) = wanted {
                names(results, function, name, &wanted);
            }
        }
    }
}

fn names(results: &mut CheckResults, function: &LambdaFunction, name: &str, wanted: &ResourceIdentity) {
    let at = function.identity.shown();
    let attribute = format!("environment.{name}");
    let Some(value) = function.environment.known().and_then(|variables| variables.get(name)) else { return };
    let Some(Some(link)) = results.stated(at, &attribute, value) else { return };
    match link.means(wanted) {
        Some(true) => {}
        Some(false) => results.found(at, &attribute, format!("{link}, not {}", wanted.shown())),
        None => results.leave_unchecked(
            at,
            &attribute,
            format!("it is not known whether {link} refers to {}", wanted.shown()),
        ),
    }
}

fn everyone_let_in(deployment: &Deployment, results: &mut CheckResults) {
    for function in &deployment.functions {
        let Some(variables) = function.environment.known() else { continue };
        let Some(value) = variables.get("ORDERS_INSECURE_NO_AUTH") else { continue };
        let attribute = "environment.ORDERS_INSECURE_NO_AUTH";
        if let Some(Some(value)) = results.stated(function.identity.shown(), attribute, value)
            && matches!(value.text.as_str(), "true" | "1")
        {
            results.found(function.identity.shown(), attribute, value.text);
        }
    }
}

fn metrics_dropped(deployment: &Deployment, results: &mut CheckResults) {
    for function in deployment.functions.iter().filter(|function| Deployment::is_ours(function)) {
        let at = function.identity.shown();
        let format =
            results.value_or(at, "logging_config.log_format", &function.log_format, "Text".to_owned());
        let level = results.value_or(
            at,
            "logging_config.application_log_level",
            &function.log_level,
            "INFO".to_owned(),
        );
        let (Some(format), Some(level)) = (format, level) else { continue };
        if format.eq_ignore_ascii_case("json")
            && matches!(level.to_uppercase().as_str(), "WARN" | "ERROR" | "FATAL")
        {
            results.found(
                at,
                "logging_config.application_log_level",
                format!("{level}, with the format {format}"),
            );
        }
    }
}

fn function_switched_off(deployment: &Deployment, results: &mut CheckResults) {
    for function in &deployment.functions {
        let at = function.identity.shown();
        if results.value_or(at, "reserved_concurrent_executions", &function.reserved, -1.0) == Some(0.0) {
            results.found(at, "reserved_concurrent_executions", "0");
        }
    }
}
