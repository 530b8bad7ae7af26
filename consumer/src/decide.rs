//! Decides what to do with one event, given the state of its order. The functions are pure. `plan` calls this module
//! for messages from the queue, and [`crate::inline`] calls it for an event that is being accepted.

use domain::judge::Refusal;
use domain::{
    Envelope, Event, FoldError, Order, OrderId, Outcome, ParkReason, RecordedEvent, Reference, Timestamp,
    Verdict, judge,
};

use crate::ports::{EventOutcome, LoadedOrder, Message};

/// What the consumer does with one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Append the event to its order's log.
    Record {
        /// The version that the event gets in the log.
        version: u64,
    },
    /// Store the outcome, because the rules refuse the event.
    Reject(Outcome),
    /// Write nothing, because an earlier delivery of the same message led to this outcome.
    AlreadyHandled(Outcome),
    /// Write nothing, because another message has already delivered the same event.
    Duplicate,
    /// Move the event's message to the dead letters.
    Park(ParkReason, String),
    /// Leave the event's message on the queue, so that it is received again.
    Retry(String),
}

/// The parts of an order's state that affect the decision about one event.
#[derive(Debug, Clone, Copy)]
pub struct OrderContext<'a> {
    /// The order, or `None` if its log is empty.
    pub order: Option<&'a Order>,
    /// The ids of the first dead letters in the order's parked sequence.
    pub parked: &'a [String],
    /// The outcome of the event, if the event was already handled.
    pub earlier: Option<&'a EventOutcome>,
    /// The other order that already has the reference that the event would give to its order.
    pub reference_holder: Option<&'a OrderId>,
}

impl<'a> OrderContext<'a> {
    /// Selects the parts of a loaded order on which the decision about an event depends.
    pub fn of(loaded: &'a LoadedOrder, envelope: &Envelope) -> Self {
        let earlier = loaded.outcomes.iter().find(|outcome| outcome.event_id == envelope.event_id);
        let reference_holder = reference_of(&envelope.event).and_then(|wanted| {
            let mut holders = loaded.reference_holders.iter();
            let taken = holders.find(|(taken, by)| taken == wanted && *by != envelope.order_id);
            taken.map(|(_, by)| by)
        });
        Self { order: loaded.order.as_ref(), parked: &loaded.parked, earlier, reference_holder }
    }

    /// Whether a dead letter of the order must be processed before this message. A replay must wait only for the dead
    /// letters that precede its own in the parked sequence. A message from a producer must wait for the whole
    /// sequence.
    fn follows_parked(&self, message: &Message) -> bool {
        let place = self.parked.iter().position(|id| id == message.dead_letter_id());
        place.unwrap_or(self.parked.len()) > 0
    }
}

/// Decides what to do with the event in `envelope`, which arrived in `message`.
///
/// On an ordered queue, an event that follows a parked event of its order is parked too. This applies even to
/// an event that is legal now, because redriving the parked event may make it illegal. Only an
/// `order_created` event is never parked for that reason.
///
/// On a queue without order, a legal event is recorded, and an early event is retried until its predecessors are
/// recorded. If its predecessors are parked, the early event is parked too, unless the message is a replay.
pub fn decide(context: OrderContext<'_>, message: &Message, envelope: &Envelope) -> Plan {
    let is_ordered = message.group.is_some();
    let is_replay = message.replayed().is_some();
    if let Some(EventOutcome { outcome, message: handled_message, .. }) = context.earlier {
        let is_same_message = handled_message.as_deref() == Some(message.dead_letter_id());
        match outcome {
            Outcome::Recorded { .. } | Outcome::Rejected { .. } if is_same_message => {
                return Plan::AlreadyHandled(outcome.clone());
            }
            // The message was already moved to the dead letters, but could not be deleted from the queue.
            Outcome::Parked { reason, detail } if is_same_message && !is_replay => {
                return Plan::Park(*reason, detail.clone());
            }
            Outcome::Parked { .. } if is_replay => {}
            _ => return Plan::Duplicate,
        }
    }
    let follows_parked = context.follows_parked(message);
    match judge(context.order, context.reference_holder, envelope) {
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

/// The reference that the event gives to its order.
pub fn reference_of(event: &Event) -> Option<&Reference> {
    match event {
        Event::Created(created) => created.reference.as_ref(),
        Event::Amended(amended) => amended.reference.as_ref(),
        _ => None,
    }
}

fn version_of(order: Option<&Order>) -> u64 {
    order.map_or(0, |order| order.version)
}

fn reject(order: Option<&Order>, refusal: Refusal) -> Plan {
    let Refusal { reason, detail, violation } = refusal;
    Plan::Reject(Outcome::Rejected { reason, detail, at_version: Some(version_of(order)), violation })
}

fn park_after_parked() -> Plan {
    Plan::Park(ParkReason::BehindParked, "an earlier event of the same order is a dead letter".to_owned())
}

/// The log entry for an event whose plan is [`Plan::Record`], and the order after that entry. The entry is recorded
/// at `now`.
///
/// The caller has already judged the event. So an error only means that the event is not the next one in the order's log.
pub fn log_entry(
    order: Option<&Order>,
    message: &Message,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<(RecordedEvent, Order), FoldError> {
    // Recording times never decrease along a log, even if a clock was set back or the clocks of machines differ.
    let recorded_at = order.and_then(|order| order.recorded_at).map_or(now, |latest| latest.max(now));
    let (version, repaired) = (version_of(order) + 1, message.repaired());
    let event = RecordedEvent { version, recorded_at, repaired, envelope: envelope.clone() };
    let order = Order::apply_judged(order.cloned(), &event)?;
    Ok((event, order))
}
