//! Checks the cancellations that the service itself proposes for orders that are unpaid at their deadline. The audit of an order
//! uses it.

use domain::expiry::{ACTOR, REASON};
use domain::{Event, Order, Timestamp};

use super::logged_event::LoggedEvent;

/// Whether this log entry is a cancellation that the service itself proposed, at the order's deadline or later.
pub(super) fn is_expiry(entry: &LoggedEvent, deadline: Timestamp) -> bool {
    let envelope = &entry.event.envelope;
    let Event::Cancelled(cancelled) = &envelope.event else { return false };
    envelope.actor.as_deref() == Some(ACTOR)
        && cancelled.reason.as_ref().is_some_and(|reason| reason.as_str() == REASON)
        && cancelled.items.is_none()
        && envelope.timestamp >= deadline
}

/// Whether the order with these log entries is unpaid and has something left to ship, so that the service must still
/// cancel it.
pub(super) fn is_unpaid(entries: &[LoggedEvent]) -> bool {
    let folded = Order::fold(entries.iter().map(|entry| &entry.event));
    folded.ok().flatten().is_some_and(|order| order.deadline(None).is_some())
}
