//! Ids that are derived from a request, a message or a deadline, so that a repetition gets the same ids. The API, the
//! envelope and [`mod@crate::expiry`] use this module.

use uuid::Uuid;

use crate::event_kinds::EventType;
use crate::ids::{EventId, OrderId};
use crate::subscription::SubscriptionId;
use crate::value::Timestamp;

/// The namespace of all derived ids, which is the UUIDv5 of the DNS name `orders.invalid` (RFC 9562 section 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0xedd7_bee7_6798_56f3_9aa8_61dd_d21f_fd52);

/// The id of the event in a message that has no event id. The same order, type and time always give the same id, so
/// that a repeated message is recognised as a duplicate.
pub fn derive_event_id(order_id: &OrderId, event_type: EventType, timestamp: Timestamp) -> EventId {
    EventId::from(derive(&["message", order_id.as_str(), event_type.as_str(), &timestamp.to_string()]))
}

/// The ids for a request with an idempotency key that creates an order. The same `principal` and `key` give the same
/// ids on every backend, so retries can be recognised without a table of keys.
pub fn ids_for_key(principal: &str, key: &str) -> (OrderId, EventId) {
    let order_id = OrderId::from(derive(&["order", principal, key]));
    (order_id, EventId::from(derive(&["event", principal, key])))
}

/// The ids for one order of a batch with an idempotency key. `place` is the position of the order in the batch. The ids
/// differ from the ids of all single requests.
pub fn ids_for_item(principal: &str, key: &str, place: usize) -> (OrderId, EventId) {
    let place = place.to_string();
    let order_id = OrderId::from(derive(&["order of batch", principal, key, &place]));
    (order_id, EventId::from(derive(&["event of batch", principal, key, &place])))
}

/// The event id for a request with an idempotency key that proposes an event of an order. The id depends on the order,
/// because the queue would drop the second of two events with the same id as a duplicate.
pub fn event_id_for_key(principal: &str, order_id: &OrderId, key: &str) -> EventId {
    EventId::from(derive(&["event of order", principal, order_id.as_str(), key]))
}

/// The id of the event that cancels an unpaid order at its deadline. The id depends on the deadline and on the version
/// of the order. So a restarted service, or a second service, proposes the same event. If the order gets a new version
/// and is still unpaid, the service makes a new proposal.
pub fn event_id_for_deadline(order_id: &OrderId, deadline: Timestamp, version: u64) -> EventId {
    let (deadline, version) = (deadline.micros().to_string(), version.to_string());
    EventId::from(derive(&["deadline", order_id.as_str(), &deadline, &version]))
}

/// The id for a request with an idempotency key that creates a webhook subscription.
pub fn subscription_id_for_key(principal: &str, key: &str) -> SubscriptionId {
    SubscriptionId::from(derive(&["webhook subscription", principal, key]))
}

/// The UUIDv5 of the parts. Each part is preceded by its length, so that different lists of parts never give
/// the same id.
fn derive(parts: &[&str]) -> Uuid {
    let mut name = String::new();
    for part in parts {
        name.push_str(&format!("{}:{part}", part.len()));
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}
