//! Rules about all queues: dead letters, retention, sizes, encryption.

use super::{CheckResults, Rule, Severity, shown};
use crate::doctor::model::{Area, Attribute, Deployment, SqsQueue};

const NEEDS: &[Area] = &[Area::Queues];
const DAY: f64 = 86_400.0;
/// The longest retention that SQS allows, in seconds.
const LONGEST: f64 = 14.0 * DAY;
const DEFAULT_RETENTION: f64 = 4.0 * DAY;
const LARGEST: f64 = 1_048_576.0;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "no-dead-letter-queue",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "A queue has a redrive policy with a dead-letter queue.",
        harm: "A message that always fails is retried until its retention ends, and is then deleted: the event is lost. On a FIFO queue, the message blocks its group during that time.",
        remedy: "Set redrive_policy with deadLetterTargetArn and maxReceiveCount on the queue itself.",
        check: no_dead_letter_queue,
    },
    Rule {
        id: "dead-letter-queue-kind",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The dead-letter queue of a FIFO queue is a FIFO queue, and that of a standard queue is a standard queue.",
        harm: "SQS refuses the redrive policy, so failing messages are never dead-lettered.",
        remedy: "Create both queues as FIFO queues, with fifo_queue and a name that ends with .fifo, or both as standard queues.",
        check: dead_letter_queue_kind,
    },
    Rule {
        id: "max-receives-low",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "A message is received at least 3 times before it is a dead letter.",
        harm: "Throttled receives and short outages count as receives, so good messages become dead letters. On a standard queue, events that arrive too early become dead letters too.",
        remedy: "Set maxReceiveCount to 3 or more; 5 is usual with Lambda.",
        check: max_receives_low,
    },
    Rule {
        id: "redrive-not-allowed",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The dead-letter queue allows its source queue to send to it.",
        harm: "SQS does not move failing messages: they are retried until their retention ends, and are then lost.",
        remedy: "Set redrivePermission to byQueue and name the source queue in sourceQueueArns.",
        check: redrive_not_allowed,
    },
    Rule {
        id: "redrive-open",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "A dead-letter queue names the queues that may use it.",
        harm: "Any queue of the account can send its dead letters to this queue. They count as dead letters of orders.",
        remedy: "Set redrive_allow_policy with redrivePermission byQueue and the source queue's ARN (aws_sqs_queue_redrive_allow_policy avoids a cycle).",
        check: redrive_open,
    },
    Rule {
        id: "dead-letters-expire-first",
        severity: Severity::Error,
        needs: NEEDS,
        rule: "The dead-letter queue keeps messages at least as long as its source.",
        harm: "On a standard queue, a message keeps its age when it moves to the dead-letter queue, so an old message is deleted soon after. On standard and FIFO queues, dead letters expire before an operator has looked at them.",
        remedy: "Set message_retention_seconds of the dead-letter queue to 1209600 (14 days).",
        check: dead_letters_expire_first,
    },
    Rule {
        id: "retention-short",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "Queues keep messages for 14 days.",
        harm: "If the consumer is down for longer, or nobody looks at the dead letters in time, events are deleted unseen.",
        remedy: "Set message_retention_seconds to 1209600, which costs nothing.",
        check: retention_short,
    },
    Rule {
        id: "message-size-small",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "Queues accept messages of up to 1 MiB.",
        harm: "Terraform's default is a quarter of the maximum of SQS. SQS refuses larger events when they are published, and a dead-letter queue with a lower limit than its source cannot receive the large messages of the source.",
        remedy: "Set max_message_size to 1048576.",
        check: message_size_small,
    },
    Rule {
        id: "short-polling",
        severity: Severity::Notice,
        needs: NEEDS,
        rule: "A receive from a queue waits up to 20 seconds for messages.",
        harm: "A receive without a wait time, as in scripts and consoles, asks only some of SQS's servers: it returns many empty answers, which cost money, and misses messages.",
        remedy: "Set receive_wait_time_seconds to 20.",
        check: short_polling,
    },
    Rule {
        id: "not-encrypted",
        severity: Severity::Warning,
        needs: NEEDS,
        rule: "Queues are encrypted.",
        harm: "Orders are stored unencrypted.",
        remedy: "Set sqs_managed_sse_enabled to true, or kms_master_key_id to a key.",
        check: not_encrypted,
    },
];

fn no_dead_letter_queue(deployment: &Deployment, results: &mut CheckResults) {
    for queue in deployment.work_queues() {
        let stated = results.stated(queue.identity.shown(), "redrive_policy", &queue.redrive);
        if matches!(stated, Some(None)) {
            results.found(queue.identity.shown(), "redrive_policy", "not set");
        }
    }
}

fn dead_letter_queue_kind(deployment: &Deployment, results: &mut CheckResults) {
    for queue in &deployment.queues {
        let Some(target) = deployment.dead_letters_of(queue) else { continue };
        let at = queue.identity.shown();
        match (queue.is_fifo(), target.is_fifo()) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                let kind = |fifo: bool| if fifo { "a FIFO queue" } else { "a standard queue" };
                let (ours, theirs) = (kind(ours), kind(theirs));
                results.found(
                    at,
                    "redrive_policy",
                    format!("{ours} with {theirs} ({}) for its dead letters", target.identity.shown()),
                );
            }
            (Some(_), Some(_)) => {}
            _ => results.leave_unchecked(at, "fifo_queue", "it is not known whether the queue is FIFO"),
        }
    }
}

fn max_receives_low(deployment: &Deployment, results: &mut CheckResults) {
    for queue in &deployment.queues {
        let Some(redrive) = queue.redrive.known() else { continue };
        let at = queue.identity.shown();
        let count = results.stated(at, "redrive_policy.maxReceiveCount", &redrive.max_receives);
        match count {
            Some(Some(count)) if count < 3.0 => {
                results.found(at, "redrive_policy.maxReceiveCount", count.to_string());
            }
            Some(None) => results.found(at, "redrive_policy.maxReceiveCount", "not set"),
            _ => {}
        }
    }
}

fn redrive_not_allowed(deployment: &Deployment, results: &mut CheckResults) {
    for queue in &deployment.queues {
        let Some(target) = deployment.dead_letters_of(queue) else { continue };
        let Some(allow) = target.redrive_allow.known() else { continue };
        let at = target.identity.shown();
        let Some(permission) =
            results.value_or(at, "redrive_allow_policy", &allow.permission, "allowAll".to_owned())
        else {
            continue;
        };
        let named: Vec<_> = allow.sources.iter().map(|source| source.means(&queue.identity)).collect();
        let source = queue.identity.shown();
        match permission.as_str() {
            "denyAll" => results.found(
                at,
                "redrive_allow_policy",
                format!("denyAll, though {source} sends its dead letters to this queue"),
            ),
            "byQueue" if named.contains(&Some(true)) => {}
            "byQueue" if named.contains(&None) => {
                results.leave_unchecked(
                    at,
                    "redrive_allow_policy",
                    format!("it is not known whether sourceQueueArns contains {source}"),
                );
            }
            "byQueue" => results.found(at, "redrive_allow_policy", format!("byQueue without {source}")),
            _ => {}
        }
    }
}

fn redrive_open(deployment: &Deployment, results: &mut CheckResults) {
    for queue in deployment.dead_letter_queues() {
        let at = queue.identity.shown();
        match results.stated(at, "redrive_allow_policy", &queue.redrive_allow) {
            Some(None) => results.found(at, "redrive_allow_policy", "not set"),
            Some(Some(allow)) if allow.permission.known().is_some_and(|p| p == "allowAll") => {
                results.found(at, "redrive_allow_policy", "allowAll");
            }
            _ => {}
        }
    }
}

/// The queues whose dead-letter queue has a shorter retention. Each entry has the queue, its dead-letter queue, and the
/// retention of the queue.
fn expiring_first(deployment: &Deployment) -> impl Iterator<Item = (&SqsQueue, &SqsQueue, f64)> {
    let retention = |queue: &SqsQueue| match &queue.retention {
        Attribute::Known(seconds) => Some(*seconds),
        Attribute::Absent => Some(DEFAULT_RETENTION),
        Attribute::Unknown(_) => None,
    };
    deployment.queues.iter().filter_map(move |queue| {
        let target = deployment.dead_letters_of(queue)?;
        let (ours, theirs) = (retention(queue)?, retention(target)?);
        (theirs < ours).then_some((queue, target, ours))
    })
}

fn dead_letters_expire_first(deployment: &Deployment, results: &mut CheckResults) {
    for (source, queue, theirs) in expiring_first(deployment) {
        let ours = shown(&queue.retention, DEFAULT_RETENTION, " s");
        let found = format!("{ours}, less than the {theirs} s of {}", source.identity.shown());
        results.found(queue.identity.shown(), "message_retention_seconds", found);
    }
}

fn retention_short(deployment: &Deployment, results: &mut CheckResults) {
    for queue in &deployment.queues {
        let at = queue.identity.shown();
        let Some(seconds) =
            results.value_or(at, "message_retention_seconds", &queue.retention, DEFAULT_RETENTION)
        else {
            continue;
        };
        let worse = expiring_first(deployment)
            .any(|(_, target, _)| target.identity.address == queue.identity.address);
        if seconds < LONGEST && !worse {
            let found = shown(&queue.retention, DEFAULT_RETENTION, " s");
            results.found(at, "message_retention_seconds", found);
        }
    }
}

fn message_size_small(deployment: &Deployment, results: &mut CheckResults) {
    // A webhook job is small: it names an event and does not contain it.
    for queue in deployment.queues.iter().filter(|queue| !deployment.is_for_webhooks(queue)) {
        let at = queue.identity.shown();
        let bytes = results.value_or(at, "max_message_size", &queue.max_size, 262_144.0);
        if bytes.is_some_and(|bytes| bytes < LARGEST) {
            results.found(at, "max_message_size", shown(&queue.max_size, 262_144.0, " bytes"));
        }
    }
}

fn short_polling(deployment: &Deployment, results: &mut CheckResults) {
    for queue in &deployment.queues {
        let at = queue.identity.shown();
        let seconds = results.value_or(at, "receive_wait_time_seconds", &queue.wait, 0.0);
        if seconds.is_some_and(|seconds| seconds < 1.0) {
            results.found(at, "receive_wait_time_seconds", shown(&queue.wait, 0.0, " s"));
        }
    }
}

fn not_encrypted(deployment: &Deployment, results: &mut CheckResults) {
    for queue in &deployment.queues {
        let at = queue.identity.shown();
        // SQS encrypts by default if the setting is absent.
        let managed = results.value_or(at, "sqs_managed_sse_enabled", &queue.managed_encryption, true);
        if managed == Some(false) && queue.key == Attribute::Absent {
            results.found(at, "sqs_managed_sse_enabled", "false, and kms_master_key_id is not set");
        }
    }
}
