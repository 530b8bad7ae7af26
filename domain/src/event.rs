//! The data of each kind of event, as the table in [`crate::event_kinds`] refers to it.
//!
//! The API requires some members that are optional here: v0 producers send events without them ([`crate::upcast_v0`]).

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::adjustments::Adjustments;
use crate::contact::Contact;
use crate::ids::{CustomerId, Reference};
use crate::lines::{LineItems, LineQuantities};
use crate::metadata::{Metadata, MetadataPatch};
use crate::money::{Amount, Currency};
use crate::value::{InvalidValue, Text, Timestamp, is_false};

/// Notes of the client about an order.
pub type Notes = Text<2000>;

/// Data of an event without data: an empty object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Data of `order_created`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedCreated")]
pub struct Created {
    /// The customer who placed the order.
    pub customer_id: CustomerId,
    /// The currency of all amounts of the order.
    pub currency: Currency,
    /// The ordered lines.
    pub items: LineItems,
    /// The price of the order: the sum of its lines and adjustments.
    pub total: Amount,
    /// Key-value data of the client.
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Discounts, shipping, taxes and fees.
    #[serde(skip_serializing_if = "Adjustments::is_empty")]
    pub adjustments: Adjustments,
    /// The client's own number of the order, unique in this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Whom to reach about the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Box<Contact>>,
    /// Notes for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
    /// When the service proposes to cancel the order if it is still unpaid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether the order may be shipped before it is paid, as for invoices and cash on delivery.
    #[serde(skip_serializing_if = "is_false")]
    pub ship_unpaid: bool,
}

#[derive(Deserialize)]
struct UncheckedCreated {
    customer_id: CustomerId,
    currency: Currency,
    items: LineItems,
    total: Amount,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    adjustments: Adjustments,
    reference: Option<Reference>,
    contact: Option<Box<Contact>>,
    notes: Option<Notes>,
    expires_at: Option<Timestamp>,
    #[serde(default)]
    ship_unpaid: bool,
}

impl TryFrom<UncheckedCreated> for Created {
    type Error = InvalidValue;

    fn try_from(data: UncheckedCreated) -> Result<Self, InvalidValue> {
        let UncheckedCreated { customer_id, currency, items, total, metadata, adjustments, .. } = data;
        let expected = adjustments.total_with(&items)?;
        if total != expected {
            let rule = format!("must be the sum of the lines and adjustments, {}", expected.minor());
            return Err(InvalidValue::new("total", rule));
        }
        let UncheckedCreated { reference, contact, notes, expires_at, ship_unpaid, .. } = data;
        Ok(Self {
            customer_id,
            currency,
            items,
            total,
            metadata,
            adjustments,
            reference,
            contact,
            notes,
            expires_at,
            ship_unpaid,
        })
    }
}

/// Data of `order_amended`. Each member that is present replaces the order's as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amended {
    /// All lines of the order from now on, each with a price.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_priced")]
    pub items: Option<LineItems>,
    /// All adjustments of the order from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjustments: Option<Adjustments>,
    /// The contact from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Box<Contact>>,
    /// The client's own number of the order from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

fn optional_priced<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LineItems>, D::Error> {
    priced(deserializer).map(Some)
}

/// Reads lines that must all have a price.
pub(crate) fn priced<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LineItems, D::Error> {
    let items = LineItems::deserialize(deserializer)?;
    if !items.is_priced() {
        return Err(de::Error::custom(InvalidValue::new("items", "must have a unit price on every line")));
    }
    Ok(items)
}

/// Data of `order_annotated`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Annotated {
    /// Changes of the metadata, as a merge patch (RFC 7396).
    #[serde(default, skip_serializing_if = "MetadataPatch::is_empty")]
    pub metadata: MetadataPatch,
    /// The notes from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
}

/// Data of `order_held`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Identifies the hold within its order, such as `fraud-check`.
    pub hold: Text<64>,
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
}

/// Data of `order_released`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The hold that ends.
    pub hold: Text<64>,
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
}

/// Data of `order_payment_authorized`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAuthorized {
    /// The id of the payment at the payment provider.
    pub payment_id: Text<128>,
    /// The amount that may be captured.
    pub amount: Amount,
    /// The means of payment, such as `card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Text<64>>,
}

/// Data of `order_payment_voided`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentVoided {
    /// The payment whose authorization ends.
    pub payment_id: Text<128>,
}

/// Data of `order_paid`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Paid {
    /// The id of the payment at the payment provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Text<128>>,
    /// The amount captured. If absent: what is left of the payment's authorization; for other payments, what is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The means of payment, such as `card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Text<64>>,
    /// Whether the order counts as paid in full, whatever the amount. Only events of schema versions 0 and 1 do.
    #[serde(default, skip_serializing_if = "is_false")]
    pub settles: bool,
}

/// Data of `order_shipped`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shipped {
    /// The carrier's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Text<128>>,
    /// The carrier's tracking number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<Text<128>>,
    /// Identifies the shipment within its order. If absent, its number is its id: `1` for the first shipment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<Text<64>>,
    /// The units in the shipment. If absent: all that is left to ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<LineQuantities>,
}

/// Data of `order_delivered`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delivered {
    /// The delivered shipment. If absent: all shipments that are not delivered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<Text<64>>,
}

/// Data of `order_cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cancelled {
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The cancelled units. If absent: all that is left to ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<LineQuantities>,
}

/// Data of `order_return_requested`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReturnRequested {
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// Identifies the return within its order. If absent, its number is its id: `1` for the first return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<Text<64>>,
    /// The units to return. If absent: all that are delivered and not returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<LineQuantities>,
}

/// Data of `order_returned`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Returned {
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The return that arrived. It need not have been requested. If absent, its number is its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<Text<64>>,
    /// The returned units. If absent: those of the requested return; for other returns, all that are delivered and not
    /// returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<LineQuantities>,
}

/// Data of `order_refunded`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Refunded {
    /// The id of the refund at the payment provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<Text<128>>,
    /// The amount refunded. If absent: all that is captured and not refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The payment that is refunded. If absent: the payments in the order in which they came, each as far as it is captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Text<128>>,
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// Whether the refund is a concession that also lowers the total, as a credit note does. Otherwise a refund of more than is
    /// owed to the customer becomes due again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub goodwill: bool,
    /// Whether the order counts as refunded in full, whatever the amount. Only events of schema versions 0 and 1 do.
    #[serde(default, skip_serializing_if = "is_false")]
    pub settles: bool,
}
