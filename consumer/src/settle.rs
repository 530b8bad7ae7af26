//! The end of a batch: what was not appended is settled or parked, and what became of each message is told.

use domain::{Envelope, ParkReason, Receipt};

use crate::execute::{Consumer, Group, Handled, Outcome};
use crate::plan::{Item, Step};
use crate::ports::{AppendError, Appended, End, Parking};
use crate::spans;

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
            let failed = group.appended.iter().find_map(|result| result.as_ref().err()).map(explain);
            for (item, step) in group.items.into_iter().zip(group.plan.steps) {
                let outcome = match (&step, &failed) {
                    // It was judged after events that are not there now. Where there is order, it is held back anyway.
                    (Step::Settle(_), Some(why)) if item.message.group.is_none() => {
                        Some(Outcome::Retry(why.clone()))
                    }
                    _ => after_append(&step, &group.appended),
                };
                endings.push(Ending { item, step, group: number, outcome });
            }
        }
        hold_back(&mut endings);
        self.settle(&mut endings).await;
        hold_back(&mut endings);
        self.release(&mut endings).await;
        hold_back(&mut endings);
        self.give_up(&mut endings);
        while self.park_next(&mut endings).await {
            hold_back(&mut endings);
        }
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
                (Ok(()), Some(outcome)) => outcome_of(&outcome),
                (Ok(()), None) => Outcome::Retry("the outcome to settle was none".to_owned()),
                (Err(error), _) => Outcome::Retry(format!("{error:#}")),
            });
        }
    }

    /// Takes replays that came to an end out of the dead letters. What cannot be is handled once more, to the same end.
    async fn release(&self, endings: &mut [Ending]) {
        let replays = endings.iter_mut().filter(|ending| ending.item.message.replayed().is_some());
        let mut done: Vec<(&mut Ending, End)> = replays
            .filter_map(|ending| {
                let end = ending.outcome.as_ref()?.end()?;
                Some((ending, end))
            })
            .collect();
        if done.is_empty() {
            return;
        }
        let letters: Vec<_> =
            done.iter().map(|(ending, end)| (ending.item.message.letter_id(), *end)).collect();
        let results = self.dead_letters.release(&letters).await;
        for ((ending, _), result) in done.iter_mut().zip(results) {
            if let Err(error) = result {
                ending.outcome = Some(Outcome::Retry(format!("{error:#}")));
            }
        }
    }

    /// Puts aside what would be received again more often than the queue does it.
    fn give_up(&self, endings: &mut [Ending]) {
        let Some(most) = self.max_receives else { return };
        let mut given_up = None;
        for ending in endings {
            let receives = ending.item.message.receive_count;
            let Some(Outcome::Retry(why)) = ending.outcome.as_ref().filter(|_| receives >= most) else {
                continue;
            };
            let ordered = ending.item.message.group.is_some();
            let reason = match given_up == Some(ending.group) && ordered {
                true => ParkReason::BehindParked,
                false => ParkReason::TriesExhausted,
            };
            ending.step = Step::Park(reason, format!("received {receives} times; at last: {why}"));
            ending.outcome = None;
            given_up = Some(ending.group);
        }
    }

    /// Parks the first message of each group that is to be parked, so that they stand in line as they came: if one
    /// cannot be parked, nothing behind it is. True if there may be more.
    async fn park_next(&self, endings: &mut [Ending]) -> bool {
        let mut latest = None;
        let mut first_of_group = |ending: &&mut Ending| {
            let ordered = ending.item.message.group.is_some();
            !ordered || latest.replace(ending.group) != Some(ending.group)
        };
        let parking = endings.iter_mut().filter(|e| e.outcome.is_none() && matches!(e.step, Step::Park(..)));
        let mut parking: Vec<&mut Ending> = parking.filter(|ending| first_of_group(ending)).collect();
        if parking.is_empty() {
            return false;
        }
        let letters: Vec<_> = parking.iter().filter_map(|ending| letter(ending)).collect();
        let results = self.dead_letters.park(&letters).await;
        let reasons: Vec<_> = letters.into_iter().map(|letter| (letter.reason, letter.detail)).collect();
        for ((ending, (reason, detail)), result) in parking.iter_mut().zip(reasons).zip(results) {
            ending.outcome = Some(match result {
                Ok(()) => Outcome::Parked(reason, detail),
                Err(error) => Outcome::Retry(format!("{error:#}")),
            });
        }
        true
    }
}

/// What an ending that is to be parked is parked as.
fn letter(ending: &Ending) -> Option<Parking<'_>> {
    let Step::Park(reason, detail) = &ending.step else { return None };
    Some(Parking {
        message: &ending.item.message,
        reason: *reason,
        detail: detail.clone(),
        event: ending.item.event.as_ref().ok(),
        order_id: ending.item.order_id.clone(),
    })
}

fn outcome_of(outcome: &domain::Outcome) -> Outcome {
    match outcome.clone() {
        domain::Outcome::Recorded { version } => Outcome::Recorded(version),
        domain::Outcome::Rejected { reason, detail, .. } => Outcome::Rejected(reason, detail),
        domain::Outcome::Parked { reason, detail } => Outcome::Parked(reason, detail),
    }
}

/// What the appends say of a message; nothing where it waits for something else.
fn after_append(step: &Step, appended: &[Result<Appended, AppendError>]) -> Option<Outcome> {
    match step {
        Step::Append { index, version } => Some(match appended.get(*index) {
            Some(Ok(Appended::New | Appended::Already)) => Outcome::Recorded(*version),
            Some(Err(error)) => Outcome::Retry(explain(error)),
            None => Outcome::Retry("the store did not answer for it".to_owned()),
        }),
        Step::Again(outcome) => Some(outcome_of(outcome)),
        Step::Duplicate(_) => Some(Outcome::Duplicate),
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

pub(crate) fn log_recorded(envelope: &Envelope, version: u64) {
    let (order_id, event_id) = (envelope.order_id.as_str(), envelope.event_id);
    let (kind, correlation_id) = (envelope.event.event_type(), envelope.correlation_id.as_str());
    tracing::info!(order_id, %event_id, correlation_id, %kind, version, "recorded");
}

/// Tells the outcome, and logs it: one line for each event handled.
fn handled(ending: Ending) -> Handled {
    let outcome = ending.outcome.unwrap_or_else(|| Outcome::Retry("it was left open".to_owned()));
    let message = ending.item.message;
    spans::ended(&ending.item.span, &outcome);
    let _entered = ending.item.span.enter();
    let id = message.id.as_str();
    match &ending.item.event {
        Ok(envelope) => {
            let (order_id, event_id) = (envelope.order_id.as_str(), envelope.event_id);
            let (kind, correlation_id) = (envelope.event.event_type(), envelope.correlation_id.as_str());
            match &outcome {
                Outcome::Recorded(version) => log_recorded(envelope, *version),
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
                Outcome::Archived => {}
            }
        }
        Err(_) => tracing::error!(message_id = id, ?outcome, "a message that is no event"),
    }
    Handled { message, outcome }
}
