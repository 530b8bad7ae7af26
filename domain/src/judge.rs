//! Judges whether an event may be recorded for its order now. The consumer and the prediction of a redrive use it.

use crate::envelope::Envelope;
use crate::event_kinds::EventType;
use crate::lifecycle::{self, OrderState};
use crate::order::Order;
use crate::reasons::RejectReason;

/// Whether an event may be recorded for its order now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The event may be recorded.
    Legal,
    /// The event may not be recorded now, but a later event could make it legal: a queue without order may deliver it
    /// before its predecessors.
    Early(Refusal),
    /// The event may be recorded neither now nor later.
    Never(Refusal),
}

/// The rule that refuses an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the rule.
    pub reason: RejectReason,
    /// The rule and the violation, in one sentence.
    pub detail: String,
}

/// Judges `envelope` against its order. `None` means that the order does not exist.
///
/// Versions only grow: an event that expects an earlier version is never legal again, and one that expects a later version is
/// early.
pub fn judge(order: Option<&Order>, envelope: &Envelope) -> Verdict {
    let event = envelope.event.event_type();
    let state = order.map_or(OrderState::None, Order::state);
    let version = order.map_or(0, |order| order.version);

    if let Some(expected) = envelope.expected_version.filter(|expected| *expected != version) {
        let detail =
            format!("the event expects version {expected} of the order, which is at version {version}");
        let refusal = Refusal { reason: RejectReason::VersionMismatch, detail };
        return if expected > version { Verdict::Early(refusal) } else { Verdict::Never(refusal) };
    }
    judge_transition(state, event)
}

/// Judges an event of this type by the state of its order alone.
pub fn judge_transition(state: OrderState, event: EventType) -> Verdict {
    if lifecycle::next(state, event).is_some() {
        Verdict::Legal
    } else if state.can_ever_allow(event) {
        Verdict::Early(illegal(event, state))
    } else {
        Verdict::Never(illegal(event, state))
    }
}

fn illegal(event: EventType, state: OrderState) -> Refusal {
    let allowed: Vec<_> = state.allowed_events().map(EventType::as_str).collect();
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    let detail = format!("{event} is not legal while the order is {state}; legal now: {allowed}");
    Refusal { reason: RejectReason::IllegalTransition, detail }
}
