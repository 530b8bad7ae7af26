//! The body that shows an order. The handlers of this module return it, and `describe` shows its schema.

use domain::event::Notes;
use domain::{
    Amount, Currency, CustomerId, EventType, FulfilmentStatus, Metadata, Order, OrderId, OrderStatus,
    PaymentStatus, Reference, Timestamp, allowed_events,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::describe::schemas;
use crate::http::LinkBuilder;
use crate::orders::order_parts::{
    FirstPayment, FirstShipment, LineView, MoneyView, PaymentView, RefundView, ReturnView, ShipmentView,
};

/// An order as of its latest recorded event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderBody<'a> {
    #[schema(schema_with = schemas::order_object)]
    object: &'static str,
    /// The id of the order.
    #[schema(value_type = String)]
    order_id: &'a OrderId,
    /// The customer who placed the order.
    #[schema(value_type = String)]
    customer_id: &'a CustomerId,
    /// The status of the order.
    #[schema(schema_with = schemas::status)]
    status: OrderStatus,
    /// What the customer has paid.
    #[schema(schema_with = schemas::payment_status)]
    payment_status: PaymentStatus,
    /// Where the goods are.
    #[schema(schema_with = schemas::fulfilment_status)]
    fulfilment_status: FulfilmentStatus,
    /// The number of recorded events.
    #[schema(minimum = 1)]
    version: u64,
    /// The ISO 4217 code of the currency of every amount.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$")]
    currency: Currency,
    /// The lines, each with the number of units that were cancelled, shipped, delivered and returned.
    #[schema(value_type = Vec<LineView<'static>>)]
    items: Vec<LineView<'a>>,
    /// The total price of the order, in the currency's minor unit. It is the sum of the lines and the adjustments, and
    /// does not include cancelled and returned units. If every unit is cancelled, the total is 0.
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    total: Amount,
    money: MoneyView,
    /// Discounts, shipping, taxes and fees.
    #[schema(schema_with = schemas::order_adjustments, required = true)]
    adjustments: &'a [domain::adjustments::Adjustment],
    /// The payments, in the order in which they came.
    #[schema(value_type = Vec<PaymentView<'static>>)]
    payments: Vec<PaymentView<'a>>,
    /// The refunds.
    #[schema(value_type = Vec<RefundView<'static>>)]
    refunds: Vec<RefundView<'a>>,
    /// The shipments.
    #[schema(value_type = Vec<ShipmentView<'static>>)]
    shipments: Vec<ShipmentView<'a>>,
    /// The returns.
    #[schema(value_type = Vec<ReturnView<'static>>)]
    returns: Vec<ReturnView<'a>>,
    /// The holds that are not released. An order with a hold cannot be shipped.
    #[schema(schema_with = schemas::holds, required = true)]
    holds: &'a [domain::parcels::Hold],
    /// Whether the merchant confirmed the order.
    confirmed: bool,
    /// Whether the order may be shipped before it is paid.
    ship_unpaid: bool,
    /// When the service proposes to cancel the order if it is still unpaid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time", nullable = false)]
    expires_at: Option<Timestamp>,
    /// The client's own number of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    reference: Option<&'a Reference>,
    /// Whom to contact about the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::order_contact, required = false)]
    contact: Option<&'a domain::contact::Contact>,
    /// Notes for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    notes: Option<&'a Notes>,
    /// The client's own key-value data.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: &'a Metadata,
    /// The first payment with a captured amount. Deprecated: use `payments`, which lists all payments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::payment, required = false)]
    payment: Option<FirstPayment<'a>>,
    /// The first shipment. Deprecated: use `shipments`, which lists all shipments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::shipment, required = false)]
    shipment: Option<FirstShipment<'a>>,
    /// The number of the order's events in the dead letters. If there are more than 100, the number is 100.
    parked: u64,
    /// The events that are legal now.
    #[schema(schema_with = schemas::event_types)]
    allowed_events: Vec<EventType>,
    /// The timestamp of the first event.
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// The timestamp of the latest event.
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
    links: OrderLinks,
}

/// The links of an order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderLinks {
    /// This order.
    #[serde(rename = "self")]
    own: String,
    /// The order's log.
    events: String,
}

impl<'a> OrderBody<'a> {
    pub(crate) fn of(order: &'a Order, parked: u64, links: &LinkBuilder) -> Self {
        Self {
            object: schemas::ORDER,
            order_id: &order.order_id,
            customer_id: &order.customer_id,
            status: order.status,
            payment_status: order.payment_status(),
            fulfilment_status: order.fulfilment_status(),
            version: order.version,
            currency: order.currency,
            items: LineView::list(&order.items),
            total: order.total,
            money: MoneyView::of(order),
            adjustments: order.adjustments.list(),
            payments: order.payments.iter().map(PaymentView::of).collect(),
            refunds: order.refunds.iter().map(RefundView::of).collect(),
            shipments: order.shipments.iter().map(ShipmentView::of).collect(),
            returns: order.returns.iter().map(ReturnView::of).collect(),
            holds: &order.holds,
            confirmed: order.confirmed,
            ship_unpaid: order.ship_unpaid,
            expires_at: order.expires_at,
            reference: order.reference.as_ref(),
            contact: order.contact.as_deref(),
            notes: order.notes.as_ref(),
            metadata: &order.metadata,
            payment: FirstPayment::of(order),
            shipment: FirstShipment::of(order),
            parked,
            allowed_events: allowed_events(Some(order)).collect(),
            created_at: order.created_at,
            updated_at: order.updated_at,
            links: OrderLinks { own: links.order(&order.order_id), events: links.events(&order.order_id) },
        }
    }
}
