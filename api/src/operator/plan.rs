//! What a redrive does with the letters of one line: pure, so that a dry run and the real one cannot differ.

use domain::{Currency, DeadLetter, EventId, LetterState, Order, Outcome, Prediction, Timestamp, predict};

/// How often a letter is replayed until it is repaired. What fails as often as this fails the next time too, and whoever
/// replays it in a loop would fill the queue with it.
pub(crate) const MAX_REPLAYS: u32 = 5;

/// What becomes, or would become, of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// As the rules say, if it were sent.
    Predicted(Prediction),
    /// It was sent too often.
    ReplayedTooOften(u32),
    /// It is discarded, and stays so.
    Discarded,
    /// It stands too far back in its order's line to say.
    NotPredicted,
    /// It is on its way back.
    Sent,
    /// It is not there any more.
    Gone,
    /// It could not be sent.
    Failed(String),
}

impl Fate {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Predicted(Prediction::WouldRecord(_)) => "would_record",
            Self::Predicted(Prediction::AlreadyRecorded(_)) => "already_recorded",
            Self::Predicted(Prediction::Illegal(_)) => "illegal",
            Self::Predicted(Prediction::Unreadable(_)) => "unreadable",
            Self::Predicted(Prediction::Behind) => "behind",
            Self::ReplayedTooOften(_) => "replayed_too_often",
            Self::Discarded => "discarded",
            Self::NotPredicted => "not_predicted",
            Self::Sent => "sent",
            Self::Gone => "gone",
            Self::Failed(_) => "failed",
        }
    }

    /// Every result there is.
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
            Self::Predicted(Prediction::Behind) => {
                Some("one before it in its order's line would not leave the dead letters".to_owned())
            }
            Self::ReplayedTooOften(replays) => {
                Some(format!("it was replayed {replays} times in vain: repair or discard it"))
            }
            Self::NotPredicted => {
                Some("more letters stand before it in its order's line than are looked at here".to_owned())
            }
            Self::Failed(why) => Some(why.clone()),
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

    /// Whether the letter is to be sent: the consumer decides on it, and its receipt tells.
    pub(crate) fn is_to_be_sent(&self) -> bool {
        use Prediction::{AlreadyRecorded, Illegal, WouldRecord};
        matches!(self, Self::Predicted(WouldRecord(_) | AlreadyRecorded(_) | Illegal(_)))
    }
}

/// What is known of an order whose line is looked at.
pub(crate) struct Known {
    pub(crate) order: Option<Order>,
    /// Of the events in its letters, as far as they have one.
    pub(crate) outcomes: Vec<(EventId, Outcome)>,
}

/// The fate of each letter of a line, in line. What was sent too often stops the line like what cannot be read.
pub(crate) fn fates(line: &[DeadLetter], known: &Known, currency: Currency, now: Timestamp) -> Vec<Fate> {
    let predictions = predict(known.order.as_ref(), &known.outcomes, line, currency, now);
    let mut stopped = false;
    let fate = |(letter, prediction): (&DeadLetter, Prediction)| {
        let worn_out = letter.replays >= MAX_REPLAYS && letter.state == LetterState::Parked;
        let fate = match prediction {
            _ if letter.state == LetterState::Discarded => Fate::Discarded,
            _ if stopped => Fate::Predicted(Prediction::Behind),
            prediction @ Prediction::Unreadable(_) => Fate::Predicted(prediction),
            _ if worn_out => Fate::ReplayedTooOften(letter.replays),
            prediction => Fate::Predicted(prediction),
        };
        stopped |= !fate.is_to_be_sent() && fate != Fate::Discarded;
        fate
    };
    line.iter().zip(predictions).map(fate).collect()
}
