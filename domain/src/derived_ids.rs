//! Ids derived from a request, a message or a deadline, so that repetitions lead to the same ids. The API, the envelope and
//! [`mod@crate::expiry`] use them.

use uuid::Uuid;

use crate::event_kinds::EventType;
use crate::ids::{EventId, OrderId};
use crate::value::Timestamp;

/// The namespace of all derived ids (itself the UUIDv5 of the DNS name `orders.invalid`; RFC 9562 section 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0xedd7_bee7_6798_56f3_9aa8_61dd_d21f_fd52);

/// The id of the event in a message without an event id. The same order, type and time give the same id, so that a producer's
/// retries are one event.
pub fn derive_event_id(order_id: &OrderId, event_type: EventType, timestamp: Timestamp) -> EventId {
    EventId::from(derive(&["message", order_id.as_str(), event_type.as_str(), &timestamp.to_string()]))
}

/// The ids for a request with an idempotency key that creates an order. The same `principal` and `key` always give the
/// same ids, on every backend, so that retries need no table of keys.
pub fn ids_for_key(principal: &str, key: &str) -> (OrderId, EventId) {
    let order_id = OrderId::from(derive(&["order", principal, key]));
    (order_id, EventId::from(derive(&["event", principal, key])))
}

/// The ids for the order at `place` of a batch with an idempotency key. They differ from the ids of all single requests.
pub fn ids_for_item(principal: &str, key: &str, place: usize) -> (OrderId, EventId) {
    let place = place.to_string();
    let order_id = OrderId::from(derive(&["order of batch", principal, key, &place]));
    (order_id, EventId::from(derive(&["event of batch", principal, key, &place])))
}

/// The id for a request with an idempotency key that proposes an event of an order. It depends on the order: if events of two
/// orders had the same id, the queue would drop the second as a duplicate.
pub fn event_id_for_key(principal: &str, order_id: &OrderId, key: &str) -> EventId {
    EventId::from(derive(&["event of order", principal, order_id.as_str(), key]))
}

/// The id of the event that cancels an order at this version because it is unpaid at its deadline. A restarted service, or
/// two services, propose the same event. An order that is still unpaid at a later version gets another proposal.
pub fn event_id_for_deadline(order_id: &OrderId, deadline: Timestamp, version: u64) -> EventId {
    let (deadline, version) = (deadline.micros().to_string(), version.to_string());
    EventId::from(derive(&["deadline", order_id.as_str(), &deadline, &version]))
}

/// The UUIDv5 of the parts, each preceded by its length, so that different lists of parts never make the same text.
fn derive(parts: &[&str]) -> Uuid {
    let mut name = String::new();
    for part in parts {
        name.push_str(&format!("{}:{part}", part.len()));
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}
