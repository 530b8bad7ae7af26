//! Identifiers, and how they are derived when retries must converge on the same one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::EventType;
use crate::value::{InvalidValue, Timestamp, check_name, string_value};

/// The namespace of every id derived here (itself UUIDv5 of the DNS name `orders.invalid`; RFC 9562 section 5.5).
const NAMESPACE: Uuid = Uuid::from_u128(0xedd7_bee7_6798_56f3_9aa8_61dd_d21f_fd52);

/// Names one order. From outside: 1–64 characters of `[A-Za-z0-9_-]`. Ours are UUIDv7.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(Arc<str>);

impl OrderId {
    /// Parses an order id; an error names the rule.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(InvalidValue::new("order id", "must be 1–64 characters of [A-Za-z0-9_-]"));
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for OrderId {
    fn from(id: Uuid) -> Self {
        Self((&*id.hyphenated().encode_lower(&mut Uuid::encode_buffer())).into())
    }
}

string_value!(OrderId);

/// Names one event, everywhere and forever. The queue and the log drop a second event of the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// The id as a UUID.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for EventId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl std::str::FromStr for EventId {
    type Err = InvalidValue;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| InvalidValue::new("event id", "must be a UUID (RFC 9562)"))
    }
}

/// Names the customer an order belongs to: 1–128 characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerId(Arc<str>);

impl CustomerId {
    /// Parses a customer id; an error names the rule.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        check_name("customer id", text, 128)?;
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

string_value!(CustomerId);

/// Ties together everything one request caused, across logs and services: 1–128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// Parses a correlation id; an error names the rule.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        if text.is_empty() || text.len() > 128 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(InvalidValue::new("correlation id", "must be 1–128 visible ASCII characters"));
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for CorrelationId {
    fn from(id: Uuid) -> Self {
        Self((&*id.hyphenated().encode_lower(&mut Uuid::encode_buffer())).into())
    }
}

string_value!(CorrelationId);

/// The id of the event in a message that carries none: the same order, type and time give the same id, so a
/// producer's retries converge on one event.
pub fn derive_event_id(order_id: &OrderId, event_type: EventType, timestamp: Timestamp) -> EventId {
    EventId(derive(&["message", order_id.as_str(), event_type.as_str(), &timestamp.to_string()]))
}

/// The ids for a request with an idempotency key that creates an order: the same `principal` (who asks) and `key` give
/// the same ids, forever and on every backend, so retries converge without a table of keys.
pub fn ids_for_key(principal: &str, key: &str) -> (OrderId, EventId) {
    let order_id = OrderId::from(derive(&["order", principal, key]));
    (order_id, EventId(derive(&["event", principal, key])))
}

/// The ids for the order at `place` of a batch with an idempotency key. They are apart from those of single requests, whatever
/// their keys are.
pub fn ids_for_item(principal: &str, key: &str, place: usize) -> (OrderId, EventId) {
    let place = place.to_string();
    let order_id = OrderId::from(derive(&["order of batch", principal, key, &place]));
    (order_id, EventId(derive(&["event of batch", principal, key, &place])))
}

/// The id for a request with an idempotency key that proposes an event of an order. The order is a part of it: ids of
/// events of two orders must differ, or a queue would take the second for a repetition of the first.
pub fn event_id_for_key(principal: &str, order_id: &OrderId, key: &str) -> EventId {
    EventId(derive(&["event of order", principal, order_id.as_str(), key]))
}

/// UUIDv5 over the parts, each preceded by its length, so that no two lists of parts read alike.
fn derive(parts: &[&str]) -> Uuid {
    let mut name = String::new();
    for part in parts {
        name.push_str(&format!("{}:{part}", part.len()));
    }
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}
