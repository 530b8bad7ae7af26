//! Examples for both descriptions: a message of each event type, and the bodies for an order with these events.
//!
//! The code that encodes events and bodies writes the examples too, so they are always right.

mod operator;

use domain::{Currency, Envelope, EventType, Order, Outcome, Receipt, RecordedEvent, RejectReason};
use serde_json::{Value, json};

use crate::health::{HealthBody, ReadyBody};
use crate::http::LinkBuilder;
use crate::orders::{EventPage, OrderBody, OrderPage, ReceiptBody};
use crate::ports::OrderSnapshot;
use crate::problem::{self, ProblemKind};

const ORDER: &str = "019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f";

/// A queue message of this type.
pub(crate) fn message(event_type: EventType) -> Value {
    let example = event_type.example_data();
    let mut data: Value = serde_json::from_str(example).expect("the examples are JSON");
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

/// The log of a paid order.
fn log() -> Vec<RecordedEvent> {
    let types = [EventType::Created, EventType::Confirmed, EventType::Paid];
    let entry = |(version, event_type)| {
        let envelope = envelope(&message(event_type));
        RecordedEvent { version, recorded_at: envelope.timestamp, repaired: None, envelope }
    };
    (1..).zip(types).map(entry).collect()
}

fn to_json(body: impl serde::Serialize) -> Value {
    serde_json::to_value(body).expect("the bodies are plain JSON")
}

fn receipt(event_type: EventType, outcome: Option<Outcome>) -> Value {
    let receipt = Receipt::of(&envelope(&message(event_type)), outcome);
    to_json(ReceiptBody::of(&receipt, &LinkBuilder::at_root()))
}

/// Examples of the body with this schema: name, summary and value.
pub(crate) fn of_schema(name: &str) -> Vec<(&'static str, &'static str, Value)> {
    let order =
        Order::fold(&log()).expect("the samples follow the domain's rules").expect("there are events");
    let snapshot = OrderSnapshot { order: order.into(), parked: 0 };
    let order = || OrderBody::of(&snapshot.order, 0, &LinkBuilder::at_root());
    match name {
        "Receipt" => receipts(),
        "Order" => vec![("paid", "A paid order", to_json(order()))],
        "OrderPage" => {
            let page = OrderPage::of(std::slice::from_ref(&snapshot), &LinkBuilder::at_root(), None);
            vec![("last", "The last page", to_json(page))]
        }
        "EventPage" => {
            let page = EventPage::of(log(), None);
            vec![("last", "The last page", to_json(page))]
        }
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
        name => operator::of_schema(name),
    }
}

/// Examples of the request body of this operation: name, summary and value.
pub(crate) fn of_request(operation: &str) -> Vec<(&'static str, &'static str, Value)> {
    match operation {
        "createOrders" => {
            let mut full = message(EventType::Created)["data"].take();
            full.as_object_mut().map(|members| members.remove("order_id"));
            let minimal = json!({ "customer_id": "customer-7", "currency": "EUR", "items": full["items"] });
            vec![("two", "Two orders", json!({ "orders": [full, minimal] }))]
        }
        operation => operator::of_request(operation),
    }
}

fn receipts() -> Vec<(&'static str, &'static str, Value)> {
    let rejected = Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail: "order_shipped is not legal while the order is pending".to_owned(),
        at_version: Some(1),
        violation: None,
    };
    vec![
        ("accepted", "In flight", receipt(EventType::Created, None)),
        (
            "recorded",
            "Recorded as version 1",
            receipt(EventType::Created, Some(Outcome::Recorded { version: 1 })),
        ),
        ("rejected", "Rejected by the rules", receipt(EventType::Shipped, Some(rejected))),
    ]
}
