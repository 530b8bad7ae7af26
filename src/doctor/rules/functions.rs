//! Rules about functions.

use super::{Rule, Severity, Verdicts};
use crate::doctor::references::{Identity, Link};
use crate::doctor::model::{Area, Attr, Deployment, Function};
use crate::doctor::topology::Job;

const NEEDS: &[Area] = &[Area::Queues, Area::Functions];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "dead-letters-on-function",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "A function that is fed from a queue has no dead_letter_config.",
        harm: "It is for asynchronous invocations only and never used here: whoever relies on it loses messages. What counts is the redrive policy of the queue.",
        remedy: "Remove dead_letter_config, and set redrive_policy on the queue.",
        check: dead_letters_on_function,
    },
    Rule {
        id: "environment-missing",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "A function has the variables that its role reads: QUEUE_URL, DLQ_URL, TABLE_NAME, DLQ_BUCKET, ALERTS_TOPIC, and for the API who may call it.",
        harm: "The function does not start: every invocation fails, and messages end in the dead letters.",
        remedy: "Set the variable in environment.variables.",
        check: environment_missing,
    },
    Rule {
        id: "environment-elsewhere",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The variables of a function name the queues and the table of this deployment.",
        harm: "What a function takes from one queue it deletes from or parks in another, or records in another table: orders are handled twice, or are lost to those who look for them.",
        remedy: "Refer to the resource instead of writing its name.",
        check: environment_elsewhere,
    },
    Rule {
        id: "everyone-let-in",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The API asks who calls it.",
        harm: "Everybody on the internet can read all orders and change them.",
        remedy: "Remove ORDERS_INSECURE_NO_AUTH; set ORDERS_AUTH=gateway behind a JWT authorizer, or ORDERS_JWKS_URL.",
        check: everyone_let_in,
    },
    Rule {
        id: "metrics-dropped",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "With JSON logging, the application log level lets INFO through.",
        harm: "Metrics are log lines (EMF). Lambda takes lines without a level for INFO and drops them above that: alarms on what became of orders see nothing.",
        remedy: "Set logging_config.application_log_level to INFO, DEBUG or TRACE; the program filters its own lines by LOG_LEVEL.",
        check: metrics_dropped,
    },
    Rule {
        id: "function-switched-off",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "No function has a reserved concurrency of 0.",
        harm: "Lambda runs it never: requests fail, and messages are received in vain until they are dead letters.",
        remedy: "Set reserved_concurrent_executions to what the function may use, or remove it. To pause a consumer, disable its mapping.",
        check: function_switched_off,
    },
];

fn dead_letters_on_function(deployment: &Deployment, verdicts: &mut Verdicts) {
    for function in &deployment.functions {
        if function.dead_letters != Attr::Absent && deployment.source_of(function).is_some() {
            let target = function.dead_letters.is().map_or_else(|| "set".to_owned(), Link::to_string);
            verdicts.found(function.identity.shown(), "dead_letter_config", target);
        }
    }
}

/// Variables that are one need: any of them will do.
type Need = &'static [&'static str];

const AUTH: Need = &["ORDERS_AUTH", "ORDERS_JWKS_URL", "ORDERS_JWKS_FILE", "ORDERS_INSECURE_NO_AUTH"];

fn needs(job: Job) -> &'static [Need] {
    match job {
        Job::Api => &[&["QUEUE_URL"], &["TABLE_NAME"], AUTH],
        Job::Consumer => &[&["QUEUE_URL"], &["DLQ_URL"], &["TABLE_NAME"]],
        Job::DeadLetters => {
            &[&["QUEUE_URL"], &["DLQ_URL"], &["TABLE_NAME"], &["DLQ_BUCKET"], &["ALERTS_TOPIC"]]
        }
        Job::Other => &[],
    }
}

fn environment_missing(deployment: &Deployment, verdicts: &mut Verdicts) {
    for function in &deployment.functions {
        let at = function.identity.shown();
        let needs = needs(deployment.job(function));
        if needs.is_empty() || !Deployment::is_ours(function) {
            continue;
        }
        let Some(variables) = verdicts.told(at, "environment", &function.environment, Default::default())
        else {
            continue;
        };
        for need in needs {
            let set = |name: &&str| variables.get(*name).is_some_and(|value| *value != Attr::Absent);
            if !need.iter().any(set) {
                verdicts.found(
                    at,
                    &format!("environment.{}", need[0]),
                    format!("{} is not set", need.join(" or ")),
                );
            }
        }
    }
}

fn environment_elsewhere(deployment: &Deployment, verdicts: &mut Verdicts) {
    for function in deployment.functions.iter().filter(|function| Deployment::is_ours(function)) {
        let source = deployment.source_of(function);
        let dead_letters = source.and_then(|queue| deployment.dead_letters_of(queue));
        let job = deployment.job(function);
        let one = |all: &[Identity]| if let [single] = all { Some(single.clone()) } else { None };
        let tables: Vec<_> = deployment.tables.iter().map(|table| table.identity.clone()).collect();
        let work: Vec<_> = deployment.work_queues().map(|queue| queue.identity.clone()).collect();
        let queue = match job {
            Job::Consumer => source.map(|queue| queue.identity.clone()),
            Job::Api => one(&work),
            _ => None,
        };
        let dead_letters = dead_letters.filter(|_| job == Job::Consumer).map(|queue| queue.identity.clone());
        for (name, wanted) in [("QUEUE_URL", queue), ("DLQ_URL", dead_letters), ("TABLE_NAME", one(&tables))]
        {
            if let Some(wanted) = wanted {
                names(verdicts, function, name, &wanted);
            }
        }
    }
}

fn names(verdicts: &mut Verdicts, function: &Function, name: &str, wanted: &Identity) {
    let at = function.identity.shown();
    let attribute = format!("environment.{name}");
    let Some(value) = function.environment.is().and_then(|variables| variables.get(name)) else { return };
    let Some(Some(link)) = verdicts.stated(at, &attribute, value) else { return };
    match link.means(wanted) {
        Some(true) => {}
        Some(false) => verdicts.found(at, &attribute, format!("{link}, not {}", wanted.shown())),
        None => verdicts.cannot_tell(
            at,
            &attribute,
            format!("whether {link} is {} cannot be told", wanted.shown()),
        ),
    }
}

fn everyone_let_in(deployment: &Deployment, verdicts: &mut Verdicts) {
    for function in &deployment.functions {
        let Some(variables) = function.environment.is() else { continue };
        let Some(value) = variables.get("ORDERS_INSECURE_NO_AUTH") else { continue };
        let attribute = "environment.ORDERS_INSECURE_NO_AUTH";
        if let Some(Some(value)) = verdicts.stated(function.identity.shown(), attribute, value)
            && matches!(value.text.as_str(), "true" | "1")
        {
            verdicts.found(function.identity.shown(), attribute, value.text);
        }
    }
}

fn metrics_dropped(deployment: &Deployment, verdicts: &mut Verdicts) {
    for function in deployment.functions.iter().filter(|function| Deployment::is_ours(function)) {
        let at = function.identity.shown();
        let format = verdicts.told(at, "logging_config.log_format", &function.log_format, "Text".to_owned());
        let level =
            verdicts.told(at, "logging_config.application_log_level", &function.log_level, "INFO".to_owned());
        let (Some(format), Some(level)) = (format, level) else { continue };
        if format.eq_ignore_ascii_case("json")
            && matches!(level.to_uppercase().as_str(), "WARN" | "ERROR" | "FATAL")
        {
            verdicts.found(
                at,
                "logging_config.application_log_level",
                format!("{level}, with the format {format}"),
            );
        }
    }
}

fn function_switched_off(deployment: &Deployment, verdicts: &mut Verdicts) {
    for function in &deployment.functions {
        let at = function.identity.shown();
        if verdicts.told(at, "reserved_concurrent_executions", &function.reserved, -1.0) == Some(0.0) {
            verdicts.found(at, "reserved_concurrent_executions", "0");
        }
    }
}
