//! What would become of an order's dead letters if they were replayed now, in order.

use crate::dead_letter::DeadLetter;
use crate::envelope::{DecodeError, Envelope, RecordedEvent};
use crate::ids::EventId;
use crate::judge::{Refusal, Verdict, judge};
use crate::money::Currency;
use crate::order::Order;
use crate::outcome::{Outcome, RejectReason};
use crate::value::Timestamp;

/// What would become of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prediction {
    /// It would be recorded as this version.
    WouldRecord(u64),
    /// Its event is in the log already, as this version.
    AlreadyRecorded(u64),
    /// The rules say no, now and after those before it.
    Illegal(Refusal),
    /// It still cannot be read.
    Unreadable(DecodeError),
    /// An earlier one of its order would not leave the dead letters, so this one would be parked behind it again.
    Behind,
}

/// Predicts for `letters`, all of one order (or one that belongs to none), in the order in which they would be replayed.
/// `outcomes` are those of their events that are final.
pub fn predict(
    order: Option<&Order>,
    outcomes: &[(EventId, Outcome)],
    letters: &[DeadLetter],
    default_currency: Currency,
    now: Timestamp,
) -> Vec<Prediction> {
    let mut order = order.cloned();
    let mut blocked = false;
    let mut predictions = Vec::with_capacity(letters.len());
    for letter in letters {
        let prediction = match Envelope::decode(&letter.body.0, default_currency) {
            _ if blocked => Prediction::Behind,
            Err(error) => Prediction::Unreadable(error),
            Ok(envelope) => one(&mut order, outcomes, envelope, now),
        };
        blocked |= matches!(prediction, Prediction::Unreadable(_));
        predictions.push(prediction);
    }
    predictions
}

fn one(
    order: &mut Option<Order>,
    outcomes: &[(EventId, Outcome)],
    envelope: Envelope,
    now: Timestamp,
) -> Prediction {
    match outcomes.iter().find(|(id, _)| *id == envelope.event_id) {
        Some((_, Outcome::Recorded { version })) => return Prediction::AlreadyRecorded(*version),
        Some((_, Outcome::Rejected { reason, detail, .. })) => {
            return Prediction::Illegal(Refusal { reason: *reason, detail: detail.clone() });
        }
        Some((_, Outcome::Parked { .. })) | None => {}
    }
    match judge(order.as_ref(), &envelope) {
        Verdict::Early(refusal) | Verdict::Never(refusal) => Prediction::Illegal(refusal),
        Verdict::Legal => {
            let version = order.as_ref().map_or(1, |order| order.version + 1);
            let event = RecordedEvent { version, recorded_at: now, repaired: None, envelope };
            match Order::apply(order.take(), &event) {
                Ok(after) => {
                    *order = Some(after);
                    Prediction::WouldRecord(version)
                }
                Err(error) => Prediction::Illegal(Refusal {
                    reason: RejectReason::IllegalTransition,
                    detail: error.to_string(),
                }),
            }
        }
    }
}
