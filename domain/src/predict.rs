//! Predicts the result of redriving a parked sequence. The API returns the prediction, also for a dry run of a redrive.

use crate::dead_letter::DeadLetter;
use crate::decode::DecodeError;
use crate::envelope::Envelope;
use crate::ids::EventId;
use crate::judge::{Refusal, Verdict, judge};
use crate::money::Currency;
use crate::order::Order;
use crate::outcome::Outcome;
use crate::reasons::RejectReason;
use crate::recorded::RecordedEvent;
use crate::value::Timestamp;

/// The predicted result of redriving a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prediction {
    /// The event would be recorded with the given version.
    WouldRecord(u64),
    /// The event is already recorded with the given version.
    AlreadyRecorded(u64),
    /// The rules would refuse the event, once the events of the preceding dead letters are handled.
    Illegal(Refusal),
    /// The dead letter still cannot be decoded, so it would be parked again.
    Unreadable(DecodeError),
    /// An earlier dead letter of the sequence would be parked again, so this dead letter would be parked again too.
    FollowsParked,
}

/// Predicts the result of redriving each of `letters`. `letters` are the dead letters of a parked sequence,
/// in order, or one dead letter that belongs to no order. `outcomes` contains the final outcomes of the
/// events that already have one.
pub fn predict(
    order: Option<&Order>,
    outcomes: &[(EventId, Outcome)],
    letters: &[DeadLetter],
    default_currency: Currency,
    now: Timestamp,
) -> Vec<Prediction> {
    let mut order = order.cloned();
    let mut is_blocked = false;
    let mut predictions = Vec::with_capacity(letters.len());
    for letter in letters {
        let prediction = match Envelope::decode(&letter.body.0, default_currency) {
            _ if is_blocked => Prediction::FollowsParked,
            Err(error) => Prediction::Unreadable(error),
            Ok(envelope) => predict_event(&mut order, outcomes, envelope, now),
        };
        is_blocked |= matches!(prediction, Prediction::Unreadable(_));
        predictions.push(prediction);
    }
    predictions
}

fn predict_event(
    order: &mut Option<Order>,
    outcomes: &[(EventId, Outcome)],
    envelope: Envelope,
    now: Timestamp,
) -> Prediction {
    match outcomes.iter().find(|(id, _)| *id == envelope.event_id) {
        Some((_, Outcome::Recorded { version })) => return Prediction::AlreadyRecorded(*version),
        Some((_, Outcome::Rejected { reason, detail, violation, .. })) => {
            let violation = violation.clone();
            return Prediction::Illegal(Refusal { reason: *reason, detail: detail.clone(), violation });
        }
        Some((_, Outcome::Parked { .. })) | None => {}
    }
    match judge(order.as_ref(), None, &envelope) {
        Verdict::Early(refusal) | Verdict::Never(refusal) => Prediction::Illegal(refusal),
        Verdict::Legal => {
            let version = order.as_ref().map_or(1, |order| order.version + 1);
            let event = RecordedEvent { version, recorded_at: now, repaired: None, envelope };
            match Order::apply_judged(order.take(), &event) {
                Ok(after) => {
                    *order = Some(after);
                    Prediction::WouldRecord(version)
                }
                Err(error) => Prediction::Illegal(Refusal {
                    reason: RejectReason::IllegalTransition,
                    detail: error.to_string(),
                    violation: None,
                }),
            }
        }
    }
}
