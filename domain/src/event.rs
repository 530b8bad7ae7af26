//! The data of each kind of event. The table in [`crate::event_kinds`] refers to these types.
//!
//! Some members are optional here but required by the API, because v0 producers send events without them
//! ([`crate::upcast_v0`]).

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::adjustments::Adjustments;
use crate::contact::Contact;
use crate::ids::{CustomerId, Reference};
use crate::lines::{LineItems, LineQuantities};
use crate::metadata::{Metadata, MetadataPatch};
use crate::money::{Amount, Currency};
use crate::value::{InvalidValue, Text, Timestamp, is_false};

/// The client's notes about an order.
pub type Notes = Text<2000>;

/// The data of an event type that has no members: an empty object.
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
    /// The client's own number of the order, which is unique in this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// How to reach the customer, and where to send the goods and the invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Box<Contact>>,
    /// Notes for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
    /// When the service proposes to cancel the order if it is still unpaid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether the order may be shipped before it is paid, as with invoices and cash on delivery.
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

/// Data of `order_amended`. Each member that is present replaces the whole corresponding member of the order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amended {
    /// The new lines of the order, each with a price.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_priced")]
    pub items: Option<LineItems>,
    /// The new adjustments of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjustments: Option<Adjustments>,
    /// The new contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Box<Contact>>,
    /// The client's new number of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

fn optional_priced<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LineItems>, D::Error> {
    priced(deserializer).map(Some)
}

/// Reads lines, and refuses them unless every line has a price.
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
    /// Changes to the metadata, as a merge patch (RFC 7396).
    #[serde(default, skip_serializing_if = "MetadataPatch::is_empty")]
    pub metadata: MetadataPatch,
    /// The new notes.
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
    /// The hold that is released.
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
    /// The authorized amount, up to which the payment may be captured.
    pub amount: Amount,
    /// The means of payment, such as `card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Text<64>>,
}

/// Data of `order_payment_voided`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentVoided {
    /// The payment whose authorization is voided.
    pub payment_id: Text<128>,
}

/// Data of `order_paid`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Paid {
    /// The id of the payment at the payment provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Text<128>>,
    /// The captured amount. If absent, the rest of the payment's authorization, or the amount that is due if
    /// the payment has no authorization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The means of payment, such as `card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Text<64>>,
    /// Whether the order counts as paid in full, whatever the amount. Only true for events of schema versions 0 and
    /// 1.
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
    /// Identifies the shipment within its order. If absent, the id is the number of the shipment: `1` for the first
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<Text<64>>,
    /// The units in the shipment. If absent, all units that are left to ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<LineQuantities>,
}

/// Data of `order_delivered`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delivered {
    /// The delivered shipment. If absent, all shipments that are not delivered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<Text<64>>,
}

/// Data of `order_cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cancelled {
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The cancelled units. If absent, all units that are left to ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<LineQuantities>,
}

/// Data of `order_return_requested`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReturnRequested {
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// Identifies the return within its order. If absent, the id is the number of the return: `1` for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<Text<64>>,
    /// The units to return. If absent, all units that are delivered and not returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<LineQuantities>,
}

/// Data of `order_returned`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Returned {
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The return that arrived. A return that was never requested may arrive, too. If absent, the id is the number of
    /// the return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<Text<64>>,
    /// The returned units. If absent, the units of the requested return. If the return was not requested, all units
    /// that are delivered and not returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<LineQuantities>,
}

/// Data of `order_refunded`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Refunded {
    /// The id of the refund at the payment provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<Text<128>>,
    /// The refunded amount. If absent, all that is captured and not refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// The payment that is refunded. If absent, the refund is taken from the payments in the order of their creation,
    /// from each up to its captured amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Text<128>>,
    /// The reason, in free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// Whether the refund is a concession that also lowers the total, as a credit note does. Any other refund leaves
    /// the total unchanged, so an amount that was not owed to the customer becomes due again.
    #[serde(default, skip_serializing_if = "is_false")]
    pub goodwill: bool,
    /// Whether the order counts as refunded in full, whatever the amount. Only true for events of schema versions 0
    /// and 1.
    #[serde(default, skip_serializing_if = "is_false")]
    pub settles: bool,
}
