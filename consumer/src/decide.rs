//! The decision on one event, given what is known of its order.

use domain::judge::Refusal;
use domain::{Envelope, Event, Order, Outcome, ParkReason, RecordedEvent, Timestamp, Verdict, judge};

use crate::ports::{Message, Settled};

/// What is to be done with one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Append it; this is the order afterwards.
    Record(Box<(RecordedEvent, Order)>),
    /// Store that the rules said no.
    Reject(Refusal),
    /// Nothing: an earlier delivery of this very message came to this outcome.
    Again(Outcome),
    /// Nothing: another message of the same event came to this outcome.
    Duplicate(Outcome),
    /// Put it aside.
    Park(ParkReason, String),
    /// Not now: leave it on the queue, to be received again.
    Retry(String),
}

/// What is known of an order when an event of it is decided on.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The order; `None` if its log is empty.
    pub order: Option<&'a Order>,
    /// Its first dead letters, in line.
    pub parked: &'a [String],
    /// The event's own outcome, if it was handled before.
    pub settled: Option<&'a Settled>,
}

impl Known<'_> {
    /// Whether a dead letter of the order comes before this message. A replay is before those behind it in the line; what
    /// comes from its producer is behind all of them.
    fn is_behind(&self, message: &Message) -> bool {
        let place = self.parked.iter().position(|id| id == message.letter_id());
        place.unwrap_or(self.parked.len()) > 0
    }
}

/// Decides on `envelope`, which came in `message` and is recorded as of `now` if it is.
///
/// Where the queue keeps order, an event waits among the dead letters for those before it, whether it would be legal now
/// or not: what comes before it may change that. Only the creation of an order comes behind nothing. Where the queue
/// keeps no order, what is legal is recorded; what is early waits on the queue for its predecessors, or with them among
/// the dead letters.
pub fn decide(known: Known<'_>, message: &Message, envelope: &Envelope, now: Timestamp) -> Decision {
    let ordered = message.group.is_some();
    let is_replay = message.replayed().is_some();
    if let Some(Settled { outcome, message: of, .. }) = known.settled {
        let same = of.as_deref() == Some(message.letter_id());
        match outcome {
            Outcome::Recorded { .. } | Outcome::Rejected { .. } if same => {
                return Decision::Again(outcome.clone());
            }
            // It is among the dead letters, and only its removal from the queue did not work out.
            Outcome::Parked { reason, detail } if same && !is_replay => {
                return Decision::Park(*reason, detail.clone());
            }
            Outcome::Parked { .. } if is_replay => {}
            _ => return Decision::Duplicate(outcome.clone()),
        }
    }
    let behind = known.is_behind(message);
    match judge(known.order, envelope) {
        Verdict::Never(refusal) => Decision::Reject(refusal),
        Verdict::Legal if behind && ordered && !matches!(envelope.event, Event::Created(_)) => wait_in_line(),
        Verdict::Legal => record(known.order, message, envelope, now),
        Verdict::Early(refusal) if !ordered && is_replay => Decision::Retry(refusal.detail),
        Verdict::Early(_) if behind => wait_in_line(),
        Verdict::Early(refusal) if ordered => Decision::Reject(refusal),
        Verdict::Early(refusal) => Decision::Retry(refusal.detail),
    }
}

fn wait_in_line() -> Decision {
    Decision::Park(
        ParkReason::BehindParked,
        "an earlier event of its order is in the dead letters".to_owned(),
    )
}

fn record(order: Option<&Order>, message: &Message, envelope: &Envelope, now: Timestamp) -> Decision {
    let version = order.map_or(1, |order| order.version + 1);
    let repaired = message.repaired();
    // A clock that was set back, or that of another machine, does not put an event before the one it follows.
    let recorded_at = order.and_then(|order| order.recorded_at).map_or(now, |latest| latest.max(now));
    let event = RecordedEvent { version, recorded_at, repaired, envelope: envelope.clone() };
    match Order::apply(order.cloned(), &event) {
        Ok(after) => Decision::Record(Box::new((event, after))),
        // The rules and the fold read the same table, so only an event that is not what it says can come here.
        Err(error) => Decision::Park(ParkReason::Invalid, error.to_string()),
    }
}
