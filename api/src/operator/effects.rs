//! Decides what a redrive does with the dead letters of one sequence. `dead_letters` and `redrive` call this module.
//! Its functions are pure, so a dry run and a redrive make the same decisions.

use domain::{Currency, DeadLetter, DeadLetterState, EventId, Outcome, Prediction, Timestamp, predict};
use serde_json::json;
use utoipa::openapi::{RefOr, Schema};

use crate::describe::schemas::schema;
use crate::ports::SharedOrder;

/// How often a dead letter is replayed before it must be repaired. After this number of failures, another replay
/// would fail too. Without the limit, repeated replays could fill the queue.
pub(crate) const MAX_REPLAYS: u32 = 5;

/// What a redrive does, or would do, with a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RedriveEffect {
    /// The effect that the rules predict if the dead letter is sent.
    Predicted(Prediction),
    /// The dead letter was already replayed the maximum number of times, so it is not sent again.
    ReplayedTooOften(u32),
    /// The dead letter was discarded, so it is not sent.
    Discarded,
    /// The dead letter is so far back in its sequence that no prediction is made.
    NotPredicted,
    /// The dead letter was sent back to the queue.
    Sent,
    /// The dead letter no longer exists, or was discarded.
    Gone,
    /// The dead letter could not be sent, for this reason.
    Failed(String),
}

impl RedriveEffect {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Predicted(Prediction::WouldRecord(_)) => "would_record",
            Self::Predicted(Prediction::AlreadyRecorded(_)) => "already_recorded",
            Self::Predicted(Prediction::Illegal(_)) => "illegal",
            Self::Predicted(Prediction::Unreadable(_)) => "unreadable",
            Self::Predicted(Prediction::FollowsParked) => "behind",
            Self::ReplayedTooOften(_) => "replayed_too_often",
            Self::Discarded => "discarded",
            Self::NotPredicted => "not_predicted",
            Self::Sent => "sent",
            Self::Gone => "gone",
            Self::Failed(_) => "failed",
        }
    }

    /// All texts that [`Self::as_str`] can return.
    pub(crate) const ALL: [&str; 11] = [
        "would_record",
        "already_recorded",
        "illegal",
        "unreadable",
        "behind",
        "replayed_too_often",
        "discarded",
        "not_predicted",
        "sent",
        "gone",
        "failed",
    ];

    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Self::Predicted(Prediction::Illegal(refusal)) => Some(refusal.detail.clone()),
            Self::Predicted(Prediction::Unreadable(error)) => Some(error.to_string()),
            Self::Predicted(Prediction::FollowsParked) => {
                Some("an earlier dead letter of its order would stay parked".to_owned())
            }
            Self::ReplayedTooOften(replays) => Some(format!(
                "the dead letter was replayed {replays} times without success: repair or discard it"
            )),
            Self::NotPredicted => Some(
                "the dead letter is too far back in the parked sequence of its order to predict the result"
                    .to_owned(),
            ),
            Self::Failed(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// The JSON pointer of the member because of which the message cannot be read.
    pub(crate) fn pointer(&self) -> Option<&str> {
        match self {
            Self::Predicted(Prediction::Unreadable(error)) => error.pointer(),
            _ => None,
        }
    }

    pub(crate) fn version(&self) -> Option<u64> {
        match self {
            Self::Predicted(Prediction::WouldRecord(version) | Prediction::AlreadyRecorded(version)) => {
                Some(*version)
            }
            _ => None,
        }
    }

    /// Whether a redrive sends the dead letter. The consumer then decides about its event, and the event's receipt
    /// shows the outcome.
    pub(crate) fn is_to_be_sent(&self) -> bool {
        use Prediction::{AlreadyRecorded, Illegal, WouldRecord};
        matches!(self, Self::Predicted(WouldRecord(_) | AlreadyRecorded(_) | Illegal(_)))
    }
}

/// The schema of the texts that [`RedriveEffect::as_str`] returns.
pub(super) fn effect_schema() -> RefOr<Schema> {
    schema(json!({
        "type": "string", "enum": RedriveEffect::ALL,
        "description": "`would_record`: the event would be recorded. `already_recorded`: the event is in the log already. \
            `illegal`: the event would be rejected. `unreadable`: the message still cannot be read. `behind`: an earlier \
            dead letter of the order would stay parked. `replayed_too_often`: the dead letter was sent back 5 times without \
            success; repair or discard it. `discarded`: an operator discarded the dead letter. `not_predicted`: the dead \
            letter is too far back in the parked sequence of its order to predict the result. `sent`: the dead letter was \
            sent back to the queue. `gone`: the dead letter no longer exists. `failed`: the dead letter could not be sent; \
            try again.",
    }))
}

/// The order and the outcomes that the predictions for a sequence depend on.
pub(crate) struct SequenceContext {
    pub(crate) order: Option<SharedOrder>,
    /// The outcomes of the events in the dead letters. An event without an outcome is omitted.
    pub(crate) outcomes: Vec<(EventId, Outcome)>,
}

/// The effect of a redrive on each dead letter of a sequence, in order. A dead letter that was replayed too often or
/// cannot be read blocks all later dead letters of the sequence.
pub(crate) fn redrive_effects(
    sequence: &[DeadLetter],
    context: &SequenceContext,
    currency: Currency,
    now: Timestamp,
) -> Vec<RedriveEffect> {
    let predictions = predict(context.order.as_deref(), &context.outcomes, sequence, currency, now);
    let mut is_blocked = false;
    let effect = |(letter, prediction): (&DeadLetter, Prediction)| {
        let is_replayed_too_often = letter.replays >= MAX_REPLAYS && letter.state == DeadLetterState::Parked;
        let effect = match prediction {
            _ if letter.state == DeadLetterState::Discarded => RedriveEffect::Discarded,
            _ if is_blocked => RedriveEffect::Predicted(Prediction::FollowsParked),
            prediction @ Prediction::Unreadable(_) => RedriveEffect::Predicted(prediction),
            _ if is_replayed_too_often => RedriveEffect::ReplayedTooOften(letter.replays),
            prediction => RedriveEffect::Predicted(prediction),
        };
        is_blocked |= !effect.is_to_be_sent() && effect != RedriveEffect::Discarded;
        effect
    };
    sequence.iter().zip(predictions).map(effect).collect()
}
