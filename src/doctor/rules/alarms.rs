//! Rules about alarms: that they are there, and that they can go off.

use super::{Rule, Severity, Verdicts};
use crate::doctor::references::Identity;
use crate::doctor::model::{Alarm, Area, Attr, Deployment, Metric, Queue};
use crate::doctor::topology::Job;

const NEEDS: &[Area] = &[Area::Queues, Area::Functions, Area::Alarms];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "alarm-dead-letters-missing",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "An alarm watches whether the dead-letter queue of a queue in use has messages.",
        harm: "Parked orders wait unseen until their retention ends, and are lost.",
        remedy: "Alarm on ApproximateNumberOfMessagesVisible of the dead-letter queue, GreaterThanThreshold 0.",
        check: dead_letters_missing,
    },
    Rule {
        id: "alarm-dead-letters-deaf",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "The alarm on the dead-letter queue goes off at the first message.",
        harm: "The alarm is there and stays silent: parked orders wait unseen.",
        remedy: "Use GreaterThanThreshold 0 (or GreaterThanOrEqualToThreshold 1), with the statistic Maximum, or Sum over 60 s.",
        check: dead_letters_deaf,
    },
    Rule {
        id: "alarm-age-missing",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "An alarm watches the age of the oldest message of every queue in use.",
        harm: "Depth says how much waits, not whether it moves: a consumer that stands still, or an order that blocks its group, shows in no other metric.",
        remedy: "Alarm on ApproximateAgeOfOldestMessage of the queue, with the statistic Maximum.",
        check: age_missing,
    },
    Rule {
        id: "alarm-errors-missing",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "An alarm watches the errors of the consumer.",
        harm: "Batches that fail as a whole are noticed only when they are in the dead letters.",
        remedy: "Alarm on Errors of the function.",
        check: errors_missing,
    },
    Rule {
        id: "alarm-throttles-missing",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "An alarm watches throttles of the consumer.",
        harm: "Throttled receives count: good orders end in the dead letters, and nothing says why.",
        remedy: "Alarm on Throttles of the function.",
        check: throttles_missing,
    },
    Rule {
        id: "alarm-tells-nobody",
        severity: Severity::Warning,
        needs: &[Area::Alarms],
        rule: "Alarms have actions.",
        harm: "The alarm goes off, and nobody is told.",
        remedy: "Set alarm_actions to a topic that people are subscribed to, and leave actions_enabled on.",
        check: tells_nobody,
    },
    Rule {
        id: "alarm-missing-data",
        severity: Severity::Notice,
        needs: &[Area::Alarms],
        rule: "Alarms say what missing data means.",
        harm: "SQS sends no metrics of a queue that was idle for hours, and Lambda none of what does not happen: an alarm that went off can hang between states.",
        remedy: "Set treat_missing_data: notBreaching, where silence is health.",
        check: missing_data,
    },
];

impl Metric {
    /// Whether it is this metric of what has this name; `None` if that cannot be told.
    fn is(&self, name: &str, dimension: &str, of: &Identity) -> Option<bool> {
        let namespace = if dimension == "QueueName" { "AWS/SQS" } else { "AWS/Lambda" };
        for (ours, theirs) in [(&self.name, name), (&self.namespace, namespace)] {
            match ours {
                Attr::Is(ours) if ours != theirs => return Some(false),
                Attr::Unknown(_) => return None,
                _ => {}
            }
        }
        match &self.dimensions {
            Attr::Is(dimensions) => match dimensions.get(dimension) {
                Some(Attr::Is(link)) => link.means(of),
                Some(Attr::Unknown(_)) => None,
                _ => Some(false),
            },
            Attr::Unknown(_) => None,
            Attr::Absent => Some(false),
        }
    }
}

/// The alarms on a metric of something, and whether there may be others.
fn alarms_on<'a>(
    deployment: &'a Deployment,
    name: &str,
    dimension: &str,
    of: &Identity,
) -> (Vec<&'a Alarm>, bool) {
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

fn require(deployment: &Deployment, verdicts: &mut Verdicts, name: &str, dimension: &str, of: &Identity) {
    match alarms_on(deployment, name, dimension, of) {
        (alarms, maybe) if alarms.is_empty() && !maybe => {
            verdicts.found(of.shown(), "", format!("no alarm on {name}"));
        }
        (alarms, _) if alarms.is_empty() => {
            verdicts.cannot_tell(of.shown(), "", format!("which alarms are on {name} of it cannot be told"));
        }
        _ => {}
    }
}

const VISIBLE: &str = "ApproximateNumberOfMessagesVisible";

/// The queues that functions are fed from; all of them where there are no functions.
fn in_use(deployment: &Deployment) -> impl Iterator<Item = &Queue> {
    let any = deployment.mappings.is_empty();
    deployment.work_queues().filter(move |queue| any || deployment.mappings_of(queue).next().is_some())
}

fn dead_letters_missing(deployment: &Deployment, verdicts: &mut Verdicts) {
    for queue in in_use(deployment).filter_map(|queue| deployment.dead_letters_of(queue)) {
        require(deployment, verdicts, VISIBLE, "QueueName", &queue.identity);
    }
}

fn dead_letters_deaf(deployment: &Deployment, verdicts: &mut Verdicts) {
    for queue in deployment.dead_letter_queues() {
        let (alarms, _) = alarms_on(deployment, VISIBLE, "QueueName", &queue.identity);
        for alarm in alarms {
            let at = &alarm.address;
            let Some(Some(comparison)) = verdicts.stated(at, "comparison_operator", &alarm.comparison) else {
                continue;
            };
            let Some(Some(threshold)) = verdicts.stated(at, "threshold", &alarm.threshold) else { continue };
            let at_first = match comparison.as_str() {
                "GreaterThanThreshold" => (0.0..1.0).contains(&threshold),
                "GreaterThanOrEqualToThreshold" => threshold > 0.0 && threshold <= 1.0,
                _ => false,
            };
            if !at_first {
                verdicts.found(at, "threshold", format!("{comparison} {threshold}"));
            }
            for metric in
                alarm.metrics.iter().filter(|metric| metric.name.is().is_some_and(|name| name == VISIBLE))
            {
                let statistic = verdicts.told(at, "statistic", &metric.statistic, "Average".to_owned());
                // How many samples there were, or the least of them, says nothing of one message.
                if let Some(statistic) = statistic.filter(|s| matches!(s.as_str(), "SampleCount" | "Minimum"))
                {
                    verdicts.found(at, "statistic", statistic);
                }
            }
        }
    }
}

fn age_missing(deployment: &Deployment, verdicts: &mut Verdicts) {
    for queue in in_use(deployment) {
        require(deployment, verdicts, "ApproximateAgeOfOldestMessage", "QueueName", &queue.identity);
    }
}

fn of_consumers(deployment: &Deployment, verdicts: &mut Verdicts, metric: &str) {
    for function in deployment.functions.iter().filter(|function| deployment.job(function) == Job::Consumer) {
        require(deployment, verdicts, metric, "FunctionName", &function.identity);
    }
}

fn errors_missing(deployment: &Deployment, verdicts: &mut Verdicts) {
    of_consumers(deployment, verdicts, "Errors");
}

fn throttles_missing(deployment: &Deployment, verdicts: &mut Verdicts) {
    of_consumers(deployment, verdicts, "Throttles");
}

fn tells_nobody(deployment: &Deployment, verdicts: &mut Verdicts) {
    for alarm in &deployment.alarms {
        let actions = verdicts.told(&alarm.address, "alarm_actions", &alarm.actions, 0);
        let enabled = verdicts.told(&alarm.address, "actions_enabled", &alarm.enabled, true);
        if actions == Some(0) {
            verdicts.found(&alarm.address, "alarm_actions", "none");
        } else if enabled == Some(false) {
            verdicts.found(&alarm.address, "actions_enabled", "false");
        }
    }
}

fn missing_data(deployment: &Deployment, verdicts: &mut Verdicts) {
    for alarm in &deployment.alarms {
        let stated = verdicts.stated(&alarm.address, "treat_missing_data", &alarm.missing_data);
        if matches!(stated, Some(None)) {
            verdicts.found(&alarm.address, "treat_missing_data", "not set");
        }
    }
}
