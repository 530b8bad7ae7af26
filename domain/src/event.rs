//! The nine things that can happen to an order.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::ids::CustomerId;
use crate::money::{Amount, Currency, LineItems};
use crate::value::{InvalidValue, Metadata, Text};

/// One fact about one order, with the data that belongs to it.
///
/// Fields that are `Option` are stated by our own clients always; they are absent only where an article producer's
/// `order_updated` told a status and nothing else ([`crate::upcast_v0`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A customer ordered.
    Created(Created),
    /// The lines were replaced, before confirmation.
    Amended(Amended),
    /// The merchant took the order on.
    Confirmed(Empty),
    /// The customer paid.
    Paid(Paid),
    /// The goods left.
    Shipped(Shipped),
    /// The goods arrived.
    Delivered(Empty),
    /// The order was called off.
    Cancelled(Cancelled),
    /// The goods came back.
    Returned(Returned),
    /// The customer got money back.
    Refunded(Refunded),
}

/// Data of an event that has none: an empty object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Data of `order_created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Who ordered.
    pub customer_id: CustomerId,
    /// The currency of every amount of the order.
    pub currency: Currency,
    /// What was ordered.
    pub items: LineItems,
    /// What it costs: the sum of the lines, or what an article producer stated.
    pub total: Amount,
    /// The client's own notes.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// Data of `order_amended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amended {
    /// All lines, as they are from now on. Each states its price, for they add up to the order's new total.
    #[serde(deserialize_with = "priced")]
    pub items: LineItems,
}

fn priced<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LineItems, D::Error> {
    let items = LineItems::deserialize(deserializer)?;
    if !items.is_priced() {
        return Err(de::Error::custom(InvalidValue::new("items", "must have a unit price on every line")));
    }
    Ok(items)
}

/// Data of `order_paid`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// The payment's id at the payment provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Text<128>>,
    /// What was paid. It is recorded as told; settling it against the total is the payment system's business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}

/// Data of `order_shipped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Text<128>>,
    /// The carrier's tracking number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<Text<128>>,
}

/// Data of `order_cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
}

/// Data of `order_returned`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
}

/// Data of `order_refunded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// The refund's id at the payment provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<Text<128>>,
    /// What was paid back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}

impl Event {
    /// The event's type.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::Created(_) => EventType::Created,
            Self::Amended(_) => EventType::Amended,
            Self::Confirmed(_) => EventType::Confirmed,
            Self::Paid(_) => EventType::Paid,
            Self::Shipped(_) => EventType::Shipped,
            Self::Delivered(_) => EventType::Delivered,
            Self::Cancelled(_) => EventType::Cancelled,
            Self::Returned(_) => EventType::Returned,
            Self::Refunded(_) => EventType::Refunded,
        }
    }
}

/// The type of an event, as written in `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// `order_created`
    #[serde(rename = "order_created")]
    Created,
    /// `order_amended`
    #[serde(rename = "order_amended")]
    Amended,
    /// `order_confirmed`
    #[serde(rename = "order_confirmed")]
    Confirmed,
    /// `order_paid`
    #[serde(rename = "order_paid")]
    Paid,
    /// `order_shipped`
    #[serde(rename = "order_shipped")]
    Shipped,
    /// `order_delivered`
    #[serde(rename = "order_delivered")]
    Delivered,
    /// `order_cancelled`
    #[serde(rename = "order_cancelled")]
    Cancelled,
    /// `order_returned`
    #[serde(rename = "order_returned")]
    Returned,
    /// `order_refunded`
    #[serde(rename = "order_refunded")]
    Refunded,
}

impl EventType {
    /// Every type, in the order an order usually meets them.
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Amended,
        Self::Confirmed,
        Self::Paid,
        Self::Shipped,
        Self::Delivered,
        Self::Cancelled,
        Self::Returned,
        Self::Refunded,
    ];

    /// The type as written in `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "order_created",
            Self::Amended => "order_amended",
            Self::Confirmed => "order_confirmed",
            Self::Paid => "order_paid",
            Self::Shipped => "order_shipped",
            Self::Delivered => "order_delivered",
            Self::Cancelled => "order_cancelled",
            Self::Returned => "order_returned",
            Self::Refunded => "order_refunded",
        }
    }

    /// The type written as `name`, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| candidate.as_str() == name)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
