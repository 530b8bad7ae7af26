//! Predicts the result of redriving a parked sequence. The API shows it, and a dry run of a redrive returns it.

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

/// What redriving a dead letter would lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prediction {
    /// The event would be recorded, as this version.
    WouldRecord(u64),
    /// The event is recorded already, as this version.
    AlreadyRecorded(u64),
    /// The rules would refuse the event, after the events of the preceding dead letters.
    Illegal(Refusal),
    /// The dead letter still cannot be decoded, and would be parked again.
    Unreadable(DecodeError),
    /// The dead letter would be parked again, because it follows one that would be parked again.
    FollowsParked,
}

/// Predicts the result of redriving `letters`: a parked sequence in order, or one dead letter without an order.
/// `outcomes` contains the final outcomes of those events that have one.
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
