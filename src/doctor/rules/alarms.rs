//! Rules about alarms: the required alarms exist, and each can trigger.

use super::{CheckResults, Rule, Severity};
use crate::doctor::model::{AlarmMetric, Area, Attribute, CloudWatchAlarm, Deployment, SqsQueue};
use crate::doctor::references::ResourceIdentity;
use crate::doctor::topology::FunctionJob;

const NEEDS: &[Area] = &[Area::Queues, Area::Functions, Area::Alarms];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "alarm-dead-letters-missing",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "An alarm watches the dead-letter queue of every queue in use.",
        harm: "Nobody sees dead letters, and they are lost when their retention ends.",
        remedy: "Alarm on ApproximateNumberOfMessagesVisible of the dead-letter queue, GreaterThanThreshold 0.",
        check: dead_letters_missing,
    },
    Rule {
        id: "alarm-dead-letters-deaf",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "The alarm on the dead-letter queue goes off at the first message.",
        harm: "The alarm stays silent, and nobody sees dead letters.",
        remedy: "Use GreaterThanThreshold 0 (or GreaterThanOrEqualToThreshold 1), with the statistic Maximum, or Sum over 60 s.",
        check: dead_letters_deaf,
    },
    Rule {
        id: "alarm-age-missing",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "An alarm watches the age of the oldest message of every queue in use.",
        harm: "The depth shows how many messages are queued, but not whether they are handled. Only the age reveals a consumer that hangs or a message that blocks its group.",
        remedy: "Alarm on ApproximateAgeOfOldestMessage of the queue, with the statistic Maximum.",
        check: age_missing,
    },
    Rule {
        id: "alarm-errors-missing",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "An alarm watches the errors of the consumer.",
        harm: "Batches that fail as a whole are noticed only when their messages become dead letters.",
        remedy: "Alarm on Errors of the function.",
        check: errors_missing,
    },
    Rule {
        id: "alarm-throttles-missing",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "An alarm watches throttles of the consumer.",
        harm: "Throttled receives count towards maxReceiveCount: good messages become dead letters, and no other metric shows why.",
        remedy: "Alarm on Throttles of the function.",
        check: throttles_missing,
    },
    Rule {
        id: "alarm-tells-nobody",
        severity: Severity::Warning,
        needs: &[Area::Alarms],
        rule: "Alarms have actions.",
        harm: "The alarm goes off, but nobody is notified.",
        remedy: "Set alarm_actions to a topic with subscribers, and leave actions_enabled on.",
        check: actions_missing,
    },
    Rule {
        id: "alarm-missing-data",
        severity: Severity::Notice,
        needs: &[Area::Alarms],
        rule: "Alarms define how to treat missing data.",
        harm: "SQS sends no metrics for a queue that has been idle for hours, and Lambda sends none for a function that is not invoked. An alarm that has gone off can then stay in the alarm state.",
        remedy: "Set treat_missing_data; notBreaching suits most metrics.",
        check: missing_data,
    },
];

impl AlarmMetric {
    /// Whether an alarm's metric is the metric `name` of the resource `of`. `None` if that is unknown.
    fn is(&self, name: &str, dimension: &str, of: &ResourceIdentity) -> Option<bool> {
        let namespace = if dimension == "QueueName" { "AWS/SQS" } else { "AWS/Lambda" };
        for (ours, theirs) in [(&self.name, name), (&self.namespace, namespace)] {
            match ours {
                Attribute::Known(ours) if ours != theirs => return Some(false),
                Attribute::Unknown(_) => return None,
                _ => {}
            }
        }
        match &self.dimensions {
            Attribute::Known(dimensions) => match dimensions.get(dimension) {
                Some(Attribute::Known(link)) => link.means(of),
                Some(Attribute::Unknown(_)) => None,
                _ => Some(false),
            },
            Attribute::Unknown(_) => None,
            Attribute::Absent => Some(false),
        }
    }
}

/// The alarms that watch a metric of a resource. The returned flag is set if an alarm with unknown attributes may also
/// watch the metric.
fn alarms_on<'a>(
    deployment: &'a Deployment,
    name: &str,
    dimension: &str,
    of: &ResourceIdentity,
) -> (Vec<&'a CloudWatchAlarm>, bool) {
    let (mut sure, mut maybe) = (Vec::new(), false);
    for alarm in &deployment.alarms {
        let answers: Vec<_> = alarm.metrics.iter().map(|metric| metric.is(name, dimension, of)).collect();
        if answers.contains(&Some(true)) {
            sure.push(alarm);
        } else {
            maybe |= answers.contains(&None);
        }
    }
    (sure, maybe)
}

/// Requires an alarm on a metric of a resource.
pub(super) fn require(
    deployment: &Deployment,
    results: &mut CheckResults,
    name: &str,
    dimension: &str,
    of: &ResourceIdentity,
) {
    match alarms_on(deployment, name, dimension, of) {
        (alarms, maybe) if alarms.is_empty() && !maybe => {
            results.found(of.shown(), "", format!("no alarm watches the metric {name}"));
        }
        (alarms, _) if alarms.is_empty() => {
            results.leave_unchecked(
                of.shown(),
                "",
                format!("it is not known which alarms watch the metric {name}"),
            );
        }
        _ => {}
    }
}

const VISIBLE: &str = "ApproximateNumberOfMessagesVisible";

/// The queues that invoke functions, or all queues if there are no event source mappings.
fn in_use(deployment: &Deployment) -> impl Iterator<Item = &SqsQueue> {
    let any = deployment.mappings.is_empty();
    deployment.work_queues().filter(move |queue| any || deployment.mappings_of(queue).next().is_some())
}

fn dead_letters_missing(deployment: &Deployment, results: &mut CheckResults) {
    for queue in in_use(deployment).filter_map(|queue| deployment.dead_letters_of(queue)) {
        require(deployment, results, VISIBLE, "QueueName", &queue.identity);
    }
}

fn dead_letters_deaf(deployment: &Deployment, results: &mut CheckResults) {
    for queue in deployment.dead_letter_queues() {
        let (alarms, _) = alarms_on(deployment, VISIBLE, "QueueName", &queue.identity);
        for alarm in alarms {
            let at = &alarm.address;
            let Some(Some(comparison)) = results.stated(at, "comparison_operator", &alarm.comparison) else {
                continue;
            };
            let Some(Some(threshold)) = results.stated(at, "threshold", &alarm.threshold) else { continue };
            let at_first = match comparison.as_str() {
                "GreaterThanThreshold" => (0.0..1.0).contains(&threshold),
                "GreaterThanOrEqualToThreshold" => threshold > 0.0 && threshold <= 1.0,
                _ => false,
            };
            if !at_first {
                results.found(at, "threshold", format!("{comparison} {threshold}"));
            }
            for metric in
                alarm.metrics.iter().filter(|metric| metric.name.known().is_some_and(|name| name == VISIBLE))
            {
                let statistic = results.value_or(at, "statistic", &metric.statistic, "Average".to_owned());
                // A single message does not raise the statistics SampleCount and Minimum above the threshold.
                if let Some(statistic) = statistic.filter(|s| matches!(s.as_str(), "SampleCount" | "Minimum"))
                {
                    results.found(at, "statistic", statistic);
                }
            }
        }
    }
}

fn age_missing(deployment: &Deployment, results: &mut CheckResults) {
    for queue in in_use(deployment) {
        require(deployment, results, "ApproximateAgeOfOldestMessage", "QueueName", &queue.identity);
    }
}

fn of_consumers(deployment: &Deployment, results: &mut CheckResults, metric: &str) {
    for function in
        deployment.functions.iter().filter(|function| deployment.job(function) == FunctionJob::Consumer)
    {
        require(deployment, results, metric, "FunctionName", &function.identity);
    }
}

fn errors_missing(deployment: &Deployment, results: &mut CheckResults) {
    of_consumers(deployment, results, "Errors");
}

fn throttles_missing(deployment: &Deployment, results: &mut CheckResults) {
    of_consumers(deployment, results, "Throttles");
}

fn actions_missing(deployment: &Deployment, results: &mut CheckResults) {
    for alarm in &deployment.alarms {
        let actions = results.value_or(&alarm.address, "alarm_actions", &alarm.actions, 0);
        let enabled = results.value_or(&alarm.address, "actions_enabled", &alarm.enabled, true);
        if actions == Some(0) {
            results.found(&alarm.address, "alarm_actions", "none");
        } else if enabled == Some(false) {
            results.found(&alarm.address, "actions_enabled", "false");
        }
    }
}

fn missing_data(deployment: &Deployment, results: &mut CheckResults) {
    for alarm in &deployment.alarms {
        let stated = results.stated(&alarm.address, "treat_missing_data", &alarm.missing_data);
        if matches!(stated, Some(None)) {
            results.found(&alarm.address, "treat_missing_data", "not set");
        }
    }
}
