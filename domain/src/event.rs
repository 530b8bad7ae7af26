//! The data of each kind of event, as the table in [`crate::event_kinds`] refers to it.
//!
//! Events from clients of the API always contain the optional fields. The fields are absent only in events from v0
//! producers, whose `order_updated` may contain a status and nothing else ([`crate::upcast_v0`]).

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::ids::CustomerId;
use crate::money::{Amount, Currency, LineItems};
use crate::value::{InvalidValue, Metadata, Text};

/// Data of an event without data: an empty object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Data of `order_created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The customer who placed the order.
    pub customer_id: CustomerId,
    /// The currency of all amounts of the order.
    pub currency: Currency,
    /// The ordered lines.
    pub items: LineItems,
    /// The price of the order: the sum of its lines, or the total that a v0 producer stated.
    pub total: Amount,
    /// Notes of the client.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// Data of `order_amended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amended {
    /// All lines of the order from now on. Each line must have a price, because the prices add up to the new total.
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
    /// The id of the payment at the payment provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Text<128>>,
    /// The amount paid, recorded as received. The payment system is responsible for comparing it with the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}

/// Data of `order_shipped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// The carrier's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Text<128>>,
    /// The carrier's tracking number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<Text<128>>,
}

/// Data of `order_cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
}

/// Data of `order_returned`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
}

/// Data of `order_refunded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// The id of the refund at the payment provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<Text<128>>,
    /// The amount refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}
