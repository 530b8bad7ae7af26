//! Examples for the OpenAPI and AsyncAPI descriptions: a message of each event type, and the bodies for an order with
//! these events.
//!
//! The code that encodes events and bodies also writes the examples, so the examples never become outdated.

mod operator;
pub(crate) mod webhooks;

use std::collections::BTreeMap;

use domain::{
    Currency, Envelope, EventType, Guard, Order, Outcome, Receipt, RecordedEvent, RejectReason, Violation,
};
use serde_json::{Value, json};

use crate::feed::FeedPageBody;
use crate::health::{HealthBody, ReadyBody};
use crate::http::LinkBuilder;
use crate::orders::{ContactOfOrder, EventPage, OrderBody, OrderPage, ReceiptBody, ReceiptPage, proposable};
use crate::ports::OrderSnapshot;
use crate::problem::{self, ProblemKind};

const ORDER: &str = "019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f";

/// An example of a queue message with an event of type `event_type`.
pub(crate) fn message(event_type: EventType) -> Value {
    let mut data = data(event_type);
    data["order_id"] = ORDER.into();
    let place = EventType::ALL.iter().position(|other| *other == event_type).unwrap_or_default();
    let message = json!({
        "event_id": format!("019ab0c2-7d1e-7000-8000-{:012}", place + 1),
        "type": event_type,
        "schema_version": domain::SCHEMA_VERSION,
        "timestamp": format!("2026-11-23T10:{:02}:00Z", place * 4),
        "correlation_id": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "data": data,
    });
    serde_json::from_slice(&envelope(&message).encode()).expect("an envelope is JSON")
}

fn envelope(message: &Value) -> Envelope {
    let euro = Currency::parse("EUR").expect("the euro is a currency");
    Envelope::decode(message.to_string().as_bytes(), euro).expect("the samples follow the domain's rules")
}

/// The log of the example order: created, confirmed and paid.
fn log() -> Vec<RecordedEvent> {
    let types = [EventType::Created, EventType::Confirmed, EventType::Paid];
    let entry = |(version, event_type)| {
        let envelope = envelope(&message(event_type));
        RecordedEvent { version, recorded_at: envelope.timestamp, repaired: None, envelope }
    };
    (1..).zip(types).map(entry).collect()
}

/// An example of a feed item: the latest event of the example order.
pub(crate) fn feed_item() -> Value {
    let mut page = FeedPageBody::example(log());
    page["items"].as_array_mut().and_then(Vec::pop).unwrap_or_default()
}

fn to_json(body: impl serde::Serialize) -> Value {
    serde_json::to_value(body).expect("the bodies are plain JSON")
}

fn receipt(event_type: EventType, outcome: Option<Outcome>) -> Value {
    let receipt = Receipt::of(&envelope(&message(event_type)), outcome);
    to_json(ReceiptBody::of(&receipt, &LinkBuilder::at_root()))
}

/// Examples of a body with the schema `name`: the name, the summary and the value of each example.
pub(crate) fn of_schema(name: &str) -> Vec<(&'static str, &'static str, Value)> {
    let order =
        Order::fold(&log()).expect("the samples follow the domain's rules").expect("there are events");
    let snapshot = OrderSnapshot { order: order.into(), parked: 0 };
    let order = || OrderBody::of(&snapshot.order, 0, &LinkBuilder::at_root());
    match name {
        "Receipt" => receipts(),
        "Order" => vec![("paid", "A paid order", to_json(order()))],
        "ReceiptPage" => vec![("one", "A shipment that was too early", rejections())],
        "ContactOfOrder" => vec![("whole", "The contact", to_json(ContactOfOrder::of(&snapshot.order)))],
        "OrderPage" => {
            let page = OrderPage::of(std::slice::from_ref(&snapshot), &LinkBuilder::at_root(), None);
            vec![("last", "The last page", to_json(page))]
        }
        "EventPage" => {
            let page = EventPage::of(log(), None);
            vec![("last", "The last page", to_json(page))]
        }
        "FeedPage" => vec![("latest", "The latest events", FeedPageBody::example(log()))],
        "BatchBody" => {
            let refused = problem::example(ProblemKind::InvalidRequest);
            let items = json!([
                { "status": 202, "receipt": receipt(EventType::Created, None) },
                { "status": 422, "problem": refused },
            ]);
            vec![("mixed", "One order accepted, one with errors", json!({ "items": items }))]
        }
        "ReadyBody" => {
            let why = "the disk has 112 MiB left, and 256 MiB are kept in reserve".to_owned();
            vec![
                ("ready", "Ready for reads and writes", to_json(ReadyBody::of(None))),
                ("reads", "Ready for reads only", to_json(ReadyBody::of(Some(why)))),
            ]
        }
        "HealthBody" => vec![("ok", "Alive", to_json(HealthBody { status: "ok" }))],
        name => operator::of_schema(name).into_iter().chain(webhooks::of_schema(name)).collect(),
    }
}

/// Examples of the request body of `operation`: the name, the summary and the value of each example. Pages sort the
/// examples by name.
pub(crate) fn of_request(operation: &str) -> Vec<(String, &'static str, Value)> {
    match operation {
        "createOrder" => vec![("full".to_owned(), "With all members", data(EventType::Created))],
        "createOrders" => {
            let mut full = data(EventType::Created);
            // References are unique, so the full order cannot have the reference of the `createOrder` example.
            full["reference"] = "WEB-2026-1008".into();
            let minimal = json!({ "customer_id": "customer-7", "currency": "EUR", "items": full["items"] });
            vec![("two".to_owned(), "Two orders", json!({ "orders": [full, minimal] }))]
        }
        "proposeEvent" => {
            let proposal = |(place, event_type): (usize, EventType)| {
                let event = match data(event_type) {
                    Value::Object(data) if data.is_empty() => json!({ "type": event_type }),
                    data => json!({ "type": event_type, "data": data }),
                };
                (format!("{:02}-{event_type}", place + 1), event_type.summary(), event)
            };
            proposable().enumerate().map(proposal).collect()
        }
        operation => {
            let samples = operator::of_request(operation).into_iter();
            let samples = samples.chain(webhooks::of_request(operation));
            samples.map(|(name, summary, value)| (name.to_owned(), summary, value)).collect()
        }
    }
}

/// Example data for an event of type `event_type`, as clients send it.
fn data(event_type: EventType) -> Value {
    serde_json::from_str(event_type.example_data()).expect("the examples are JSON")
}

fn rejected() -> Outcome {
    let violation =
        Violation { guard: Guard::Confirmed, line_id: None, order_id: None, numbers: BTreeMap::new() };
    Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail: "order_shipped is not legal while the order is pending: the order is not confirmed"
            .to_owned(),
        at_version: Some(1),
        violation: Some(Box::new(violation)),
    }
}

fn rejections() -> Value {
    let receipt = Receipt::of(&envelope(&message(EventType::Shipped)), Some(rejected()));
    to_json(ReceiptPage::of(&[receipt], &LinkBuilder::at_root(), None))
}

fn receipts() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("accepted", "In flight", receipt(EventType::Created, None)),
        (
            "recorded",
            "Recorded as version 1",
            receipt(EventType::Created, Some(Outcome::Recorded { version: 1 })),
        ),
        ("rejected", "Rejected by the rules", receipt(EventType::Shipped, Some(rejected()))),
    ]
}
