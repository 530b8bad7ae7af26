//! The events, envelopes and orders that tests start from.

use domain::event::{Amended, Cancelled, Created, Empty, Paid, Refunded, Returned, Shipped};
use domain::{
    Amount, CorrelationId, Currency, CustomerId, Envelope, Event, EventId, EventType, LineItem, LineItems,
    Metadata, Order, OrderId, Quantity, RecordedEvent, Sku, Text, Timestamp,
};
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
        sku: Sku::parse(sku).unwrap(),
        quantity: Quantity::parse(quantity).unwrap(),
        unit_price: unit_price.map(amount),
    }
}

/// Two lines, 2 × 1250 + 1 × 499.
pub(crate) fn items() -> LineItems {
    LineItems::parse(vec![line("mug", 2, Some(1250)), line("tea", 1, Some(499))]).unwrap()
}

/// An event of this type, with every field it can have.
pub(crate) fn event(event_type: EventType) -> Event {
    match event_type {
        EventType::Created => Event::Created(Created {
            customer_id: CustomerId::parse("customer-1").unwrap(),
            currency: eur(),
            items: items(),
            total: amount(2999),
            metadata: Metadata::parse([("gift".to_owned(), "yes".to_owned())].into()).unwrap(),
        }),
        EventType::Amended => {
            Event::Amended(Amended { items: LineItems::parse(vec![line("pot", 3, Some(2000))]).unwrap() })
        }
        EventType::Confirmed => Event::Confirmed(Empty {}),
        EventType::Paid => Event::Paid(Paid { payment_id: text("pay-1"), amount: Some(amount(2999)) }),
        EventType::Shipped => {
            Event::Shipped(Shipped { carrier: text("Post"), tracking_number: text("track-1") })
        }
        EventType::Delivered => Event::Delivered(Empty {}),
        EventType::Cancelled => Event::Cancelled(Cancelled { reason: text("changed their mind") }),
        EventType::Returned => Event::Returned(Returned { reason: text("does not fit") }),
        EventType::Refunded => {
            Event::Refunded(Refunded { refund_id: text("refund-1"), amount: Some(amount(2999)) })
        }
    }
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

/// The log entry of `event` at `version`; each version happened a minute after the one before, and was recorded
/// half a minute later.
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

/// The log of these events, in versions 1, 2, 3 …
pub(crate) fn log(events: impl IntoIterator<Item = Event>) -> Vec<RecordedEvent> {
    (1..).zip(events).map(|(version, event)| recorded(version, event)).collect()
}

/// The order after these events; `None` if there are none.
pub(crate) fn order_after(events: impl IntoIterator<Item = Event>) -> Option<Order> {
    Order::fold(&log(events)).unwrap()
}

/// The order after events of these types, written as `created confirmed paid`.
pub(crate) fn order_after_types(types: &str) -> Option<Order> {
    order_after(types.split_whitespace().map(|short| event(event_type(short))))
}

/// The event type that is named `order_` followed by `short`.
pub(crate) fn event_type(short: &str) -> EventType {
    EventType::from_name(&format!("order_{short}")).unwrap()
}
