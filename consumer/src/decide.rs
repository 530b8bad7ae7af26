//! Decides what to do with one event, given the state of its order. Plain functions: `plan` calls them for what the queue
//! delivers, and [`crate::inline`] for an event that is being accepted.

use domain::judge::Refusal;
use domain::order::FoldError;
use domain::{
    Envelope, Event, EventId, Order, Outcome, ParkReason, RecordedEvent, Timestamp, Verdict, judge,
};

use crate::ports::{EventOutcome, LoadedOrder, Message};

/// What the consumer does with one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Append it to its order's log.
    Record {
        /// As this version.
        version: u64,
    },
    /// Store this outcome: the rules refuse the event.
    Reject(Outcome),
    /// Write nothing: an earlier delivery of the same message led to this outcome.
    AlreadyHandled(Outcome),
    /// Write nothing: another message brought the same event before.
    Duplicate,
    /// Move its message to the dead letters.
    Park(ParkReason, String),
    /// Leave its message on the queue, to be received again.
    Retry(String),
}

/// The order of an event, as far as the decision depends on it.
#[derive(Debug, Clone, Copy)]
pub struct OrderContext<'a> {
    /// The order; `None` if its log is empty.
    pub order: Option<&'a Order>,
    /// The ids at the head of its parked sequence.
    pub parked: &'a [String],
    /// The outcome of the event itself, if it was handled before.
    pub earlier: Option<&'a EventOutcome>,
}

impl<'a> OrderContext<'a> {
    /// The context of this event of a loaded order.
    pub fn of(loaded: &'a LoadedOrder, event_id: EventId) -> Self {
        let earlier = loaded.outcomes.iter().find(|outcome| outcome.event_id == event_id);
        Self { order: loaded.order.as_ref(), parked: &loaded.parked, earlier }
    }

    /// Whether a dead letter of the order has to be processed before this message. A replay follows only those that precede it
    /// in the parked sequence; a message from a producer follows all of them.
    fn follows_parked(&self, message: &Message) -> bool {
        let place = self.parked.iter().position(|id| id == message.dead_letter_id());
        place.unwrap_or(self.parked.len()) > 0
    }
}

/// Decides on `envelope`, which `message` carries.
///
/// On an ordered queue, an event that follows a parked event of its order is parked too, even if it is legal now: the
/// parked event may change that once it is redriven. Only an `order_created` follows nothing. On a queue without order, a
/// legal event is recorded, and an early one is retried until its predecessors are recorded, or parked if they are parked.
pub fn decide(context: OrderContext<'_>, message: &Message, envelope: &Envelope) -> Plan {
    let is_ordered = message.group.is_some();
    let is_replay = message.replayed().is_some();
    if let Some(EventOutcome { outcome, message: handled_message, .. }) = context.earlier {
        let is_same_message = handled_message.as_deref() == Some(message.dead_letter_id());
        match outcome {
            Outcome::Recorded { .. } | Outcome::Rejected { .. } if is_same_message => {
                return Plan::AlreadyHandled(outcome.clone());
            }
            // It is a dead letter already, but could not be removed from the queue.
            Outcome::Parked { reason, detail } if is_same_message && !is_replay => {
                return Plan::Park(*reason, detail.clone());
            }
            Outcome::Parked { .. } if is_replay => {}
            _ => return Plan::Duplicate,
        }
    }
    let follows_parked = context.follows_parked(message);
    match judge(context.order, envelope) {
        Verdict::Never(refusal) => reject(context.order, refusal),
        Verdict::Legal if follows_parked && is_ordered && !matches!(envelope.event, Event::Created(_)) => {
            park_after_parked()
        }
        Verdict::Legal => Plan::Record { version: version_of(context.order) + 1 },
        Verdict::Early(refusal) if !is_ordered && is_replay => Plan::Retry(refusal.detail),
        Verdict::Early(_) if follows_parked => park_after_parked(),
        Verdict::Early(refusal) if is_ordered => reject(context.order, refusal),
        Verdict::Early(refusal) => Plan::Retry(refusal.detail),
    }
}

fn version_of(order: Option<&Order>) -> u64 {
    order.map_or(0, |order| order.version)
}

fn reject(order: Option<&Order>, refusal: Refusal) -> Plan {
    let Refusal { reason, detail } = refusal;
    Plan::Reject(Outcome::Rejected { reason, detail, at_version: Some(version_of(order)) })
}

fn park_after_parked() -> Plan {
    Plan::Park(ParkReason::BehindParked, "an earlier event of its order is in the dead letters".to_owned())
}

/// The log entry for an event that [`Plan::Record`] is for, recorded at `now`, and the order after it.
///
/// An error means that the event contradicts itself, because the rules and the fold read the same table.
pub fn log_entry(
    order: Option<&Order>,
    message: &Message,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<(RecordedEvent, Order), FoldError> {
    // Recording times never decrease along a log, even if a clock was set back or machines disagree.
    let recorded_at = order.and_then(|order| order.recorded_at).map_or(now, |latest| latest.max(now));
    let (version, repaired) = (version_of(order) + 1, message.repaired());
    let event = RecordedEvent { version, recorded_at, repaired, envelope: envelope.clone() };
    let order = Order::apply(order.cloned(), &event)?;
    Ok((event, order))
}
