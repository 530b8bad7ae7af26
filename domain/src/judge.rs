//! The decision: may this event be recorded for this order, now?

use crate::envelope::Envelope;
use crate::event::EventType;
use crate::lifecycle::{Legality, State};
use crate::order::Order;
use crate::outcome::RejectReason;

/// What the rules say of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Record it.
    Legal,
    /// Not legal now, but it could become so: on a queue without order its predecessors may be still to come.
    Early(Refusal),
    /// Not now and at no later time.
    Never(Refusal),
}

/// Which rule says no, and the rule in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule's code.
    pub reason: RejectReason,
    /// The rule, and what it met, in a sentence.
    pub detail: String,
}

/// Judges `envelope` against the order it is about (`None`: the order does not exist).
///
/// An expected version that has passed can never come true again; one that is still to come makes the event early.
pub fn judge(order: Option<&Order>, envelope: &Envelope) -> Verdict {
    let event = envelope.event.event_type();
    let state = order.map_or(State::None, Order::state);
    let version = order.map_or(0, |order| order.version);

    if let Some(expected) = envelope.expected_version.filter(|expected| *expected != version) {
        let detail =
            format!("the event expects version {expected} of the order, which is at version {version}");
        let refusal = Refusal { reason: RejectReason::VersionMismatch, detail };
        return if expected > version { Verdict::Early(refusal) } else { Verdict::Never(refusal) };
    }
    match state.legality(event) {
        Legality::Legal(_) => Verdict::Legal,
        Legality::Early => Verdict::Early(illegal(event, state)),
        Legality::Never => Verdict::Never(illegal(event, state)),
    }
}

fn illegal(event: EventType, state: State) -> Refusal {
    let allowed: Vec<_> = state.allowed_events().map(EventType::as_str).collect();
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    let detail = format!("{event} is not legal while the order is {state}; legal now: {allowed}");
    Refusal { reason: RejectReason::IllegalTransition, detail }
}
