//! Converts the stored states of webhook deliveries to the deliveries that the API shows to operators. Both backends use
//! these functions.

use api::ports::webhooks::{Delivery, DeliveryAttempt, DeliveryState, Skip};
use consumer::webhooks::{Attempt, HeldOrder, HeldState, SkippedDelivery};

/// The failed delivery that holds an order back. `None` if no delivery holds the order back any more.
pub(crate) fn of_held(row: HeldOrder) -> Option<Delivery> {
    let (state, next_attempt_at) = match row.state {
        HeldState::Retrying { due } => (DeliveryState::Retrying, Some(due)),
        HeldState::GaveUp => (DeliveryState::GaveUp, None),
        HeldState::CaughtUp { .. } => return None,
    };
    let head = row.head?;
    Some(Delivery {
        event_id: head.event_id,
        event_type: head.event_type,
        order_id: row.order_id,
        version: row.next,
        state,
        attempts: row.attempts,
        last_attempt: row.last_attempt.map(of_attempt),
        next_attempt_at,
        skip: None,
    })
}

/// Converts a delivery that an operator has skipped.
pub(crate) fn of_skipped(skipped: SkippedDelivery) -> Delivery {
    Delivery {
        event_id: skipped.event.event_id,
        event_type: skipped.event.event_type,
        order_id: skipped.order_id,
        version: skipped.version,
        state: DeliveryState::Skipped,
        attempts: skipped.attempts,
        last_attempt: skipped.last_attempt.map(of_attempt),
        next_attempt_at: None,
        skip: Some(Skip { reason: skipped.reason, at: skipped.at, by: skipped.by }),
    }
}

/// Converts an attempt of a delivery.
pub(crate) fn of_attempt(attempt: Attempt) -> DeliveryAttempt {
    let Attempt { at, latency_ms, status, body_excerpt, error } = attempt;
    DeliveryAttempt { at, latency_ms, status, body_excerpt, error }
}
