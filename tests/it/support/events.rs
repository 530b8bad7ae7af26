//! Events for tests.

use consumer::ports::Append;
use domain::adjustments::Adjustments;
use domain::event::{Amended, Created, Empty, Paid};
use domain::{
    Amount, CorrelationId, Currency, CustomerId, Envelope, Event, EventId, LineItem, LineItems, Metadata,
    Order, OrderId, Quantity, RecordedEvent, Sku, Text, Timestamp,
};
use uuid::Uuid;

pub fn new_order_id() -> OrderId {
    OrderId::from(Uuid::now_v7())
}

pub fn eur() -> Currency {
    Currency::parse("EUR").unwrap()
}

pub fn at(second: u32) -> Timestamp {
    Timestamp::parse(&format!("2026-11-23T10:{:02}:{:02}Z", second / 60, second % 60)).unwrap()
}

pub fn items(lines: usize) -> LineItems {
    let line = |i| LineItem {
        line_id: None,
        name: None,
        sku: Sku::parse(&format!("sku-{i}-{}", "x".repeat(40))).unwrap(),
        quantity: Quantity::parse(2).unwrap(),
        unit_price: Some(Amount::parse(450).unwrap()),
    };
    LineItems::parse((0..lines).map(line).collect()).unwrap()
}

pub fn envelope(order_id: &OrderId, event: Event) -> Envelope {
    Envelope {
        event_id: EventId::from(Uuid::now_v7()),
        order_id: order_id.clone(),
        timestamp: at(0),
        correlation_id: CorrelationId::from(Uuid::now_v7()),
        expected_version: None,
        request_hash: None,
        actor: None,
        event,
    }
}

pub fn created_for(order_id: &OrderId, customer: &str) -> Envelope {
    let items = items(2);
    let total = items.total();
    let customer_id = CustomerId::parse(customer).unwrap();
    let created = Created {
        customer_id,
        currency: eur(),
        items,
        total,
        metadata: Metadata::default(),
        adjustments: Adjustments::default(),
        reference: None,
        contact: None,
        notes: None,
        expires_at: None,
        ship_unpaid: false,
    };
    envelope(order_id, Event::Created(created))
}

pub fn created(order_id: &OrderId) -> Envelope {
    created_for(order_id, "c-1")
}

pub fn amended(order_id: &OrderId, lines: usize) -> Envelope {
    envelope(order_id, Event::Amended(Amended { items: Some(items(lines)), ..Amended::default() }))
}

pub fn confirmed(order_id: &OrderId) -> Envelope {
    envelope(order_id, Event::Confirmed(Empty {}))
}

pub fn paid(order_id: &OrderId) -> Envelope {
    let payment_id = Some(Text::parse("pay-1").unwrap());
    let amount = Some(Amount::parse(1800).unwrap());
    envelope(order_id, Event::Paid(Paid { payment_id, amount, ..Paid::default() }))
}

/// The given events as log entries with consecutive versions. The first version is `first`.
pub fn recorded(first: u64, envelopes: &[Envelope]) -> Vec<RecordedEvent> {
    let numbered = (first..).zip(envelopes);
    numbered
        .map(|(version, envelope)| RecordedEvent {
            version,
            recorded_at: at(30),
            repaired: None,
            envelope: envelope.clone(),
        })
        .collect()
}

/// The append of the last `last` events of `log` to the events before them.
pub fn append_of(log: &[RecordedEvent], last: usize) -> Append {
    let (before, events) = log.split_at(log.len() - last);
    Append {
        events: events.to_vec(),
        messages: Vec::new(),
        order: fold(log),
        previous: Order::fold(before).unwrap(),
    }
}

pub fn fold(events: &[RecordedEvent]) -> Order {
    Order::fold(events).unwrap().unwrap()
}
