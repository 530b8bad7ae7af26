//! Judges whether an event may be recorded for its order now. The consumer, the fold and the prediction of a redrive
//! call this module.

use crate::envelope::Envelope;
use crate::event_kinds::{Event, EventType};
use crate::guard::{self, Check, Guard, GuardFailure, Violation};
use crate::ids::OrderId;
use crate::order::Order;
use crate::reasons::RejectReason;

/// Whether an event may be recorded for its order now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The event may be recorded.
    Legal,
    /// The event may not be recorded now, but a later event could make it legal. A queue without order may deliver an
    /// event before its predecessors.
    Early(Refusal),
    /// The event may not be recorded now, and can never become legal.
    Never(Refusal),
}

/// The rule that refuses an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the rule.
    pub reason: RejectReason,
    /// Describes the rule and the violation, in one sentence.
    pub detail: String,
    /// The guard that the event failed, if a guard refused it.
    pub violation: Option<Box<Violation>>,
}

/// Judges whether `envelope` may be recorded for `order`, which is `None` if the order does not exist.
/// `reference_holder` is the order that already has the reference in the event, if there is one.
///
/// Versions only increase. An event that expects an earlier version can never become legal, and an event that expects a
/// later version is early.
pub fn judge(order: Option<&Order>, reference_holder: Option<&OrderId>, envelope: &Envelope) -> Verdict {
    let version = order.map_or(0, |order| order.version);
    if let Some(expected) = envelope.expected_version.filter(|expected| *expected != version) {
        let detail = format!(
            "the event expects version {expected} of the order, but the order is at version {version}"
        );
        let refusal = Refusal { reason: RejectReason::VersionMismatch, detail, violation: None };
        return if expected > version { Verdict::Early(refusal) } else { Verdict::Never(refusal) };
    }
    let taken = reference_holder.filter(|holder| **holder != envelope.order_id).map(reference_taken);
    let judged = judge_event(order, &envelope.event);
    let event_type = envelope.event.event_type();
    match (judged, taken) {
        (Ok(()), None) => Verdict::Legal,
        (Err(failure), _) if !failure.is_early => Verdict::Never(refusal(order, event_type, failure)),
        (_, Some(taken)) => Verdict::Never(refusal(order, event_type, taken)),
        (Err(failure), None) => Verdict::Early(refusal(order, event_type, failure)),
    }
}

pub(crate) fn judge_event(order: Option<&Order>, event: &Event) -> Check {
    guard::all(event.event_type().guards().iter().map(|guard| guard.check(order, event)))
}

/// The types of events that the order can legally get now if their data is suitable, in the order of the table of
/// event kinds.
pub fn allowed_events(order: Option<&Order>) -> impl Iterator<Item = EventType> {
    let is_allowed =
        move |event: &EventType| event.guards().iter().all(|guard| guard.can_pass(order, *event));
    EventType::ALL.into_iter().filter(is_allowed)
}

fn reference_taken(holder: &OrderId) -> GuardFailure {
    let detail = format!("order {holder} has this reference");
    let mut failure = GuardFailure::new(Guard::ReferenceFree, detail, false);
    failure.violation.order_id = Some(holder.clone());
    failure
}

fn refusal(order: Option<&Order>, event: EventType, failure: GuardFailure) -> Refusal {
    let GuardFailure { violation, detail, .. } = failure;
    let detail = match order {
        Some(order) => format!("{event} is not legal while the order is {}: {detail}", order.status),
        None => format!("{event} is not legal: {detail}"),
    };
    let reason = RejectReason::IllegalTransition;
    Refusal { reason, detail, violation: Some(Box::new(violation)) }
}
