//! The events, envelopes and orders from which tests start.

use domain::event::Created;
use domain::{
    Amount, CorrelationId, Currency, CustomerId, Envelope, Event, EventId, EventType, LineItem, LineItems,
    Order, OrderId, Quantity, RecordedEvent, Sku, Text, Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const ORDER: &str = "order-1";

pub(crate) fn eur() -> Currency {
    Currency::parse("EUR").unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub(crate) fn text<const MAX: usize>(text: &str) -> Option<Text<MAX>> {
    Some(Text::parse(text).unwrap())
}

pub(crate) fn amount(minor: i64) -> Amount {
    Amount::parse(minor).unwrap()
}

pub(crate) fn line(sku: &str, quantity: i64, unit_price: Option<i64>) -> LineItem {
    LineItem {
        line_id: None,
        sku: Sku::parse(sku).unwrap(),
        name: None,
        quantity: Quantity::parse(quantity).unwrap(),
        unit_price: unit_price.map(amount),
    }
}

/// Two lines: 2 units at a price of 1250, and 1 unit at 499.
pub(crate) fn items() -> LineItems {
    LineItems::parse(vec![line("mug", 2, Some(1250)), line("tea", 1, Some(499))]).unwrap()
}

/// An `order_created` event with the given lines and total, and without any optional member.
pub(crate) fn created(items: LineItems, total: i64) -> Created {
    Created {
        customer_id: CustomerId::parse("customer-1").unwrap(),
        currency: eur(),
        items,
        total: amount(total),
        metadata: domain::Metadata::default(),
        adjustments: domain::adjustments::Adjustments::default(),
        reference: None,
        contact: None,
        notes: None,
        expires_at: None,
        ship_unpaid: false,
    }
}

/// The data of an event of the given type, with a total of 2999. The data has every member of the current
/// schema version except `ship_unpaid`, `goodwill` and the members that only older versions set.
pub(crate) fn data(event_type: EventType) -> Value {
    let units = json!([{"line_id": "mug", "quantity": 2}, {"line_id": "2", "quantity": 1}]);
    match event_type {
        EventType::Created => json!({
            "customer_id": "customer-1", "currency": "EUR", "total": 2999, "metadata": {"gift": "yes"},
            "items": [
                {"line_id": "mug", "sku": "mug", "name": "Blue mug", "quantity": 2, "unit_price": 1250},
                {"sku": "tea", "quantity": 1, "unit_price": 499}
            ],
            "adjustments": [
                {"adjustment_id": "shipping", "kind": "shipping", "label": "Standard", "amount": 200},
                {"adjustment_id": "summer", "kind": "discount", "amount": -200, "line_id": "mug"}
            ],
            "reference": "PO-1", "notes": "Ring twice.", "expires_at": "2026-12-01T00:00:00Z",
            "contact": {
                "name": "Ada Lovelace", "email": "ada@example.com", "phone": "+49 221 1234567",
                "shipping_address": {
                    "name": "Ada Lovelace", "company": "Engines", "line1": "Hauptstraße 5", "line2": "Hof",
                    "city": "Köln", "postal_code": "50667", "region": "NRW", "country": "DE"
                },
                "billing_address": {"line1": "St James's Square 12", "city": "London", "country": "GB"}
            },
        }),
        EventType::Amended => json!({
            "items": [{"sku": "pot", "quantity": 3, "unit_price": 2000}], "adjustments": [],
            "contact": {"name": "Grace Hopper"}, "reference": "PO-2"
        }),
        EventType::Annotated => json!({"metadata": {"clerk": "Grace", "gift": null}, "notes": "Wrap it."}),
        EventType::Confirmed => json!({}),
        EventType::Held => json!({"hold": "fraud-check", "reason": "The addresses differ."}),
        EventType::Released => json!({"hold": "fraud-check", "reason": "Asked by phone."}),
        EventType::PaymentAuthorized => json!({"payment_id": "pay-0", "amount": 2999, "method": "card"}),
        EventType::PaymentVoided => json!({"payment_id": "pay-0"}),
        EventType::Paid => json!({"payment_id": "pay-1", "amount": 2999, "method": "card"}),
        EventType::Shipped => {
            json!({"carrier": "Post", "tracking_number": "track-1", "shipment_id": "box-1", "items": units})
        }
        EventType::Delivered => json!({"shipment_id": "box-1"}),
        EventType::Cancelled => json!({"reason": "changed their mind", "items": units}),
        EventType::ReturnRequested => {
            json!({"reason": "does not fit", "return_id": "return-1", "items": units})
        }
        EventType::Returned => json!({"reason": "does not fit", "return_id": "return-1", "items": units}),
        EventType::Refunded => {
            json!({"refund_id": "refund-1", "amount": 2999, "payment_id": "pay-1", "reason": "returned"})
        }
    }
}

/// An event of the given type, with the data that [`data`] returns.
pub(crate) fn event(event_type: EventType) -> Event {
    proposed(event_type, &data(event_type))
}

/// The event with the given type and data, in the current schema version.
pub(crate) fn proposed(event_type: EventType, data: &Value) -> Event {
    message(event_type, 2, data).event
}

/// The envelope of a message of the given type, schema version and data.
pub(crate) fn message(event_type: EventType, schema_version: u32, data: &Value) -> Envelope {
    let mut data = data.clone();
    data["order_id"] = json!(ORDER);
    let message = json!({
        "event_id": Uuid::from_u128(1), "type": event_type, "schema_version": schema_version,
        "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "request-1", "data": data,
    });
    Envelope::decode(message.to_string().as_bytes(), eur())
        .unwrap_or_else(|error| panic!("{message}: {error}"))
}

/// An envelope about [`ORDER`], without optional members.
pub(crate) fn envelope(event: Event) -> Envelope {
    Envelope {
        event_id: EventId::from(Uuid::from_u128(1)),
        order_id: OrderId::parse(ORDER).unwrap(),
        timestamp: time("2026-11-23T10:00:00Z"),
        correlation_id: CorrelationId::parse("request-1").unwrap(),
        expected_version: None,
        request_hash: None,
        actor: None,
        event,
    }
}

/// The log entry of `event` at `version`. Each event happens one minute after the previous event, and is recorded half
/// a minute later.
pub(crate) fn recorded(version: u64, event: Event) -> RecordedEvent {
    let minute = version.min(59);
    let timestamp = time(&format!("2026-11-23T10:{minute:02}:00Z"));
    let recorded_at = time(&format!("2026-11-23T10:{minute:02}:30Z"));
    RecordedEvent {
        version,
        recorded_at,
        repaired: None,
        envelope: Envelope { timestamp, ..envelope(event) },
    }
}

/// The log of the given events, with the versions 1, 2, 3 …
pub(crate) fn log(events: impl IntoIterator<Item = Event>) -> Vec<RecordedEvent> {
    (1..).zip(events).map(|(version, event)| recorded(version, event)).collect()
}

/// The order after `event`, which gets the next version.
pub(crate) fn after(order: Option<Order>, event: Event) -> Result<Order, String> {
    let version = order.as_ref().map_or(1, |order| order.version + 1);
    Order::apply(order, &recorded(version, event)).map_err(|error| error.to_string())
}

/// The order after the given events, or `None` if there are no events.
pub(crate) fn order_after(events: impl IntoIterator<Item = Event>) -> Option<Order> {
    Order::fold(&log(events)).unwrap()
}

/// The order after events of the given types. The types are separated by blanks and lack the prefix `order_`,
/// as in `created confirmed paid`.
pub(crate) fn order_after_types(types: &str) -> Option<Order> {
    order_after(types.split_whitespace().map(|short| event(event_type(short))))
}

/// The event type with the name `order_` followed by `short`.
pub(crate) fn event_type(short: &str) -> EventType {
    EventType::from_name(&format!("order_{short}")).unwrap()
}
