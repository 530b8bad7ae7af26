//! The end of a batch: what was not appended is settled or parked, and what became of each message is told.

use domain::Receipt;

use crate::batch::{Consumer, Group, Handled, Outcome};
use crate::group::{Item, Step};
use crate::ports::{AppendError, Appended, Parking};

/// A message whose outcome may still be open.
struct Ending {
    item: Item,
    step: Step,
    /// Which of the batch's groups it belongs to.
    group: usize,
    outcome: Option<Outcome>,
}

impl Consumer {
    /// Settles and parks what is to be, and tells what became of each message.
    pub(crate) async fn finish(&self, groups: Vec<Group>) -> Vec<Handled> {
        let mut endings = Vec::new();
        for (number, group) in groups.into_iter().enumerate() {
            for (item, step) in group.items.into_iter().zip(group.plan.steps) {
                let outcome = after_append(&step, &group.appended);
                endings.push(Ending { item, step, group: number, outcome });
            }
        }
        hold_back(&mut endings);
        self.settle(&mut endings).await;
        hold_back(&mut endings);
        self.park(&mut endings).await;
        hold_back(&mut endings);
        endings.into_iter().map(handled).collect()
    }

    async fn settle(&self, endings: &mut [Ending]) {
        let mut settling: Vec<&mut Ending> =
            endings.iter_mut().filter(|e| e.outcome.is_none() && matches!(e.step, Step::Settle(_))).collect();
        let receipt = |ending: &&mut Ending| match &ending.step {
            Step::Settle(receipt) => Some(receipt.clone()),
            _ => None,
        };
        let receipts: Vec<Receipt> = settling.iter().filter_map(receipt).collect();
        if receipts.is_empty() {
            return;
        }
        let results = self.log.settle(&receipts).await;
        for ((ending, receipt), result) in settling.iter_mut().zip(receipts).zip(results) {
            ending.outcome = Some(match (result, receipt.outcome) {
                (Ok(()), Some(domain::Outcome::Rejected { reason, detail })) => {
                    Outcome::Rejected(reason, detail)
                }
                (Ok(()), _) => Outcome::Retry("the outcome to settle was none".to_owned()),
                (Err(error), _) => Outcome::Retry(format!("{error:#}")),
            });
        }
    }

    async fn park(&self, endings: &mut [Ending]) {
        let mut parking: Vec<&mut Ending> =
            endings.iter_mut().filter(|e| e.outcome.is_none() && matches!(e.step, Step::Park(..))).collect();
        let letter = |ending: &'_ &mut Ending| match &ending.step {
            Step::Park(reason, detail) => Some((*reason, detail.clone())),
            _ => None,
        };
        let reasons: Vec<_> = parking.iter().filter_map(letter).collect();
        if reasons.is_empty() {
            return;
        }
        let results = {
            let letters: Vec<_> = parking
                .iter()
                .zip(&reasons)
                .map(|(ending, (reason, detail))| Parking {
                    message: &ending.item.message,
                    reason: *reason,
                    detail: detail.clone(),
                })
                .collect();
            self.dead_letters.park(&letters).await
        };
        for ((ending, (reason, detail)), result) in parking.iter_mut().zip(reasons).zip(results) {
            ending.outcome = Some(match result {
                Ok(()) => Outcome::Parked(reason, detail),
                Err(error) => Outcome::Retry(format!("{error:#}")),
            });
        }
    }
}

/// What the appends say of a message; nothing where it waits for something else.
fn after_append(step: &Step, appended: &[Result<Appended, AppendError>]) -> Option<Outcome> {
    match step {
        Step::Append { index, version } => Some(match appended.get(*index) {
            Some(Ok(Appended::New)) => Outcome::Recorded(*version),
            Some(Ok(Appended::Already)) => Outcome::Duplicate,
            Some(Err(error)) => Outcome::Retry(explain(error)),
            None => Outcome::Retry("the store did not answer for it".to_owned()),
        }),
        Step::Nothing(_) => Some(Outcome::Duplicate),
        Step::Retry(why) => Some(Outcome::Retry(why.clone())),
        Step::Settle(_) | Step::Park(..) => None,
    }
}

fn explain(error: &AppendError) -> String {
    match error {
        AppendError::Unavailable(source) => format!("{error}: {source:#}"),
        AppendError::Conflict { .. } => error.to_string(),
    }
}

/// In an ordered group, what comes behind a message that has to be retried is retried too; but for what is in the
/// dead letters already, which is not on the queue any more.
fn hold_back(endings: &mut [Ending]) {
    let mut stopped = None;
    for ending in endings {
        if stopped == Some(ending.group)
            && !matches!(ending.outcome, Some(Outcome::Parked(..) | Outcome::Retry(_)))
        {
            let why = "an earlier event of its group has to be retried first".to_owned();
            ending.outcome = Some(Outcome::Retry(why));
        }
        if ending.item.message.group.is_some() && matches!(ending.outcome, Some(Outcome::Retry(_))) {
            stopped = Some(ending.group);
        }
    }
}

/// Tells the outcome, and logs it: one line for each event handled.
fn handled(ending: Ending) -> Handled {
    let outcome = ending.outcome.unwrap_or_else(|| Outcome::Retry("it was left open".to_owned()));
    let message = ending.item.message;
    let id = message.id.as_str();
    match &ending.item.event {
        Ok(envelope) => {
            let (order_id, event_id) = (envelope.order_id.as_str(), envelope.event_id);
            let (kind, correlation_id) = (envelope.event.event_type(), envelope.correlation_id.as_str());
            match &outcome {
                Outcome::Recorded(version) => {
                    tracing::info!(order_id, %event_id, correlation_id, %kind, version, "recorded");
                }
                Outcome::Rejected(reason, detail) => {
                    let reason = reason.as_str();
                    tracing::info!(order_id, %event_id, correlation_id, %kind, reason, detail, "rejected");
                }
                Outcome::Duplicate => tracing::info!(order_id, %event_id, correlation_id, %kind, "duplicate"),
                Outcome::Parked(reason, detail) => {
                    let reason = reason.as_str();
                    tracing::error!(order_id, %event_id, correlation_id, %kind, reason, detail, "parked");
                }
                Outcome::Retry(why) => {
                    let receives = message.receive_count;
                    tracing::warn!(order_id, %event_id, correlation_id, %kind, receives, why, "to be retried");
                }
            }
        }
        Err(_) => tracing::error!(message_id = id, ?outcome, "a message that is no event"),
    }
    Handled { message, outcome }
}
