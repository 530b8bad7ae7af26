//! The parts of the body that shows an order: lines, money, payments, refunds, shipments and returns. [`OrderBody`]
//! contains these parts. Counters and lists are always present.
//!
//! [`OrderBody`]: crate::orders::OrderBody

use std::borrow::Cow;

use domain::order_line::line_ids;
use domain::parcels::{Return, ReturnState, Shipment, ShipmentState};
use domain::payments::{Payment, Refund};
use domain::{Amount, LineQuantity, Order, OrderLine, Quantity, Sku, Text};
use serde::Serialize;
use utoipa::ToSchema;

use crate::describe::schemas;

/// A line of an order, with its counters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderLine)]
pub(crate) struct LineView<'a> {
    /// Identifies the line within its order. If the client gave the line no id, the position of the line is its id: `1`
    /// for the first line.
    #[schema(value_type = String)]
    line_id: Cow<'a, str>,
    /// The stock keeping unit.
    #[schema(value_type = String)]
    sku: &'a Sku,
    /// The product's name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    name: Option<&'a Text<200>>,
    /// The number of ordered units.
    #[schema(value_type = u32, minimum = 1, maximum = 1_000_000)]
    quantity: Quantity,
    /// The price of one unit in the currency's minor unit. Absent only if a v0 producer stated only a total for the
    /// order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    unit_price: Option<Amount>,
    /// The number of units that will not be shipped.
    cancelled: u32,
    /// The number of units that were shipped.
    shipped: u32,
    /// The number of shipped units that were delivered.
    delivered: u32,
    /// The number of delivered units that were returned.
    returned: u32,
}

impl<'a> LineView<'a> {
    pub(super) fn list(lines: &'a [OrderLine]) -> Vec<Self> {
        let view = |(line_id, line): (Cow<'a, str>, &'a OrderLine)| Self {
            line_id,
            sku: &line.sku,
            name: line.name.as_ref(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            cancelled: line.cancelled,
            shipped: line.shipped,
            delivered: line.delivered,
            returned: line.returned,
        };
        line_ids(lines).zip(lines).map(view).collect()
    }
}

/// The sums of an order's money, in the currency's minor unit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderMoney)]
pub(crate) struct MoneyView {
    /// The amount of all authorizations that are not voided, including the part that was already captured.
    authorized: i64,
    /// Captured.
    captured: i64,
    /// Refunded.
    refunded: i64,
    /// `total − captured + refunded`. A positive balance is due from the customer, and a negative balance is owed to
    /// the customer.
    balance: i64,
}

impl MoneyView {
    pub(super) fn of(order: &Order) -> Self {
        let domain::order::Money { authorized, captured, refunded, balance } = order.money();
        Self { authorized, captured, refunded, balance }
    }
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub(crate) struct PaymentView<'a> {
    /// The id at the payment provider. Absent if the event of a v0 producer contained no id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    payment_id: Option<&'a Text<128>>,
    /// The means of payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    method: Option<&'a Text<64>>,
    /// The authorized amount. Absent if the payment was captured without an authorization.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, nullable = false, minimum = 0)]
    authorized: Option<Amount>,
    /// Whether the authorization ended before anything was captured.
    voided: bool,
    /// The amount captured.
    #[schema(value_type = i64, minimum = 0)]
    captured: Amount,
    /// The amount refunded.
    #[schema(value_type = i64, minimum = 0)]
    refunded: Amount,
}

impl<'a> PaymentView<'a> {
    pub(super) fn of(payment: &'a Payment) -> Self {
        let Payment { payment_id, method, authorized, voided, captured, refunded } = payment;
        Self {
            payment_id: payment_id.as_ref(),
            method: method.as_ref(),
            authorized: *authorized,
            voided: *voided,
            captured: *captured,
            refunded: *refunded,
        }
    }
}

/// A refund.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub(crate) struct RefundView<'a> {
    /// The id at the payment provider. Absent if the event of a v0 producer contained no id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    refund_id: Option<&'a Text<128>>,
    /// The amount.
    #[schema(value_type = i64, minimum = 0)]
    amount: Amount,
    /// The payment that was refunded, if the event stated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    payment_id: Option<&'a Text<128>>,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    reason: Option<&'a Text<500>>,
    /// Whether the refund also lowered the total.
    goodwill: bool,
}

impl<'a> RefundView<'a> {
    pub(super) fn of(refund: &'a Refund) -> Self {
        let Refund { refund_id, amount, payment_id, reason, goodwill } = refund;
        Self {
            refund_id: refund_id.as_ref(),
            amount: *amount,
            payment_id: payment_id.as_ref(),
            reason: reason.as_ref(),
            goodwill: *goodwill,
        }
    }
}

/// Goods that were shipped together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shipment)]
pub(crate) struct ShipmentView<'a> {
    /// Identifies the shipment within its order.
    #[schema(value_type = String)]
    shipment_id: &'a Text<64>,
    /// The carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    carrier: Option<&'a Text<128>>,
    /// The carrier's tracking number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    tracking_number: Option<&'a Text<128>>,
    /// The units in the shipment.
    #[schema(schema_with = schemas::line_quantities, required = true)]
    items: &'a [LineQuantity],
    /// `shipped`: the goods are on their way. `delivered`: the customer has the goods.
    #[schema(schema_with = schemas::shipment_state, required = true)]
    state: ShipmentState,
}

impl<'a> ShipmentView<'a> {
    pub(super) fn of(shipment: &'a Shipment) -> Self {
        let Shipment { shipment_id, carrier, tracking_number, items, state } = shipment;
        let (carrier, tracking_number) = (carrier.as_ref(), tracking_number.as_ref());
        Self { shipment_id, carrier, tracking_number, items, state: *state }
    }
}

/// Goods that the customer returns together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Return)]
pub(crate) struct ReturnView<'a> {
    /// Identifies the return within its order.
    #[schema(value_type = String)]
    return_id: &'a Text<64>,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    reason: Option<&'a Text<500>>,
    /// The units to return or, once the return has arrived, the returned units.
    #[schema(schema_with = schemas::line_quantities, required = true)]
    items: &'a [LineQuantity],
    /// `requested`: the customer asked to return the goods. `received`: the goods have arrived.
    #[schema(schema_with = schemas::return_state, required = true)]
    state: ReturnState,
}

impl<'a> ReturnView<'a> {
    pub(super) fn of(returned: &'a Return) -> Self {
        let Return { return_id, reason, items, state } = returned;
        Self { return_id, reason: reason.as_ref(), items, state: *state }
    }
}

/// The first captured payment. Some clients still read it, because an order once had only one payment.
#[derive(Debug, Serialize)]
pub(crate) struct FirstPayment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<&'a Text<128>>,
    amount: Amount,
}

impl<'a> FirstPayment<'a> {
    pub(super) fn of(order: &'a Order) -> Option<Self> {
        let captured = order.payments.iter().find(|payment| payment.captured > Amount::ZERO);
        captured.map(|it| Self { payment_id: it.payment_id.as_ref(), amount: it.captured })
    }
}

/// The first shipment. Some clients still read it, because an order once had only one shipment.
#[derive(Debug, Serialize)]
pub(crate) struct FirstShipment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<&'a Text<128>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_number: Option<&'a Text<128>>,
}

impl<'a> FirstShipment<'a> {
    pub(super) fn of(order: &'a Order) -> Option<Self> {
        let shipment = order.shipments.first()?;
        Some(Self { carrier: shipment.carrier.as_ref(), tracking_number: shipment.tracking_number.as_ref() })
    }
}
