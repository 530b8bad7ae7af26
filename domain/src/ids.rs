//! The types of identifiers, which all crates use.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::{InvalidValue, check_name, string_value};

/// Identifies an order: 1–64 characters of `[A-Za-z0-9_-]`. The API generates UUIDs. Other producers choose their own
/// ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(Arc<str>);

impl OrderId {
    /// Parses an order id. The error states the rule for order ids.
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

/// Identifies an event. The id is globally unique and never reused. The queue and the log drop a second event with
/// the same id.
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

/// Identifies the customer of an order: 1–128 characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerId(Arc<str>);

impl CustomerId {
    /// Parses a customer id. The error states the rule for customer ids.
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

/// The client's own number of an order, such as a purchase order number: 1–64 characters without control characters.
/// Each reference is unique in this service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(Arc<str>);

impl Reference {
    /// Parses a reference. The error states the rule for references.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        check_name("reference", text, 64)?;
        Ok(Self(text.into()))
    }

    /// The reference as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

string_value!(Reference);

/// Identifies all logs and events, in all services, that one request caused: 1–128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// Parses a correlation id. The error states the rule for correlation ids.
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
