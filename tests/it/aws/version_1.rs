//! Tests items that programs of schema version 1 wrote. Current programs read these items, list them and append to
//! their logs. `scripts/side-by-side.py` created the items with a program of version 1, and also runs such a program
//! beside the current one.

use std::path::Path;

use api::operations::DeadLetterStore;
use api::ports::{OrderFilter, OrderReader};
use consumer::Consumer;
use consumer::dead_letters::dead_letter_of;
use consumer::ports::{Archive, Inbox, LoadRequest, Message, OrderLog};
use domain::{CustomerId, Envelope, Event, OrderId, OrderStatus, ParkReason};
use serde_json::{Value, json};

use crate::conformance::aws::AwsBackend;
use crate::conformance::listing::eventually_lists;
use crate::conformance::{Backend, QueueOptions};
use crate::support::consumers::consumer_of;
use crate::support::emulator::Emulator;
use crate::support::events::{amended, confirmed, created, eur, new_order_id, paid};
use crate::support::eventually::PATIENCE;

/// The orders, each with its status and its number of events.
const ORDERS: [(&str, OrderStatus, u64); 11] = [
    ("created", OrderStatus::Pending, 1),
    ("pending", OrderStatus::Pending, 2),
    ("confirmed", OrderStatus::Confirmed, 2),
    ("paid", OrderStatus::Paid, 3),
    ("shipped", OrderStatus::Shipped, 4),
    ("delivered", OrderStatus::Delivered, 5),
    ("returned", OrderStatus::Returned, 6),
    ("refunded", OrderStatus::Refunded, 7),
    ("cancelled", OrderStatus::Cancelled, 2),
    ("cancelled-paid", OrderStatus::Cancelled, 4),
    ("refunded-cancelled", OrderStatus::Refunded, 5),
];

fn id(name: &str) -> OrderId {
    OrderId::parse(name).unwrap()
}

/// A table that contains the items of the programs of version 1.
async fn table_of_version_1() -> AwsBackend {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/dynamodb-v1.jsonl");
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let item: Value = serde_json::from_str(line).unwrap();
        let put = json!({ "TableName": backend.table_name, "Item": item });
        Emulator::shared().dynamodb("PutItem", &put).await;
    }
    backend
}

fn consumer(backend: &AwsBackend) -> Consumer {
    Consumer { ledger: Some(backend.table.clone()), ..consumer_of(backend.log(), backend.dead_letters()) }
}

fn message(event: &Envelope) -> Message {
    Message {
        id: event.event_id.to_string(),
        group: Some(event.order_id.to_string()),
        receive_count: 1,
        body: event.encode(),
        ..Message::default()
    }
}

/// Handles the event, and asserts that it is recorded with the given version.
async fn record(backend: &AwsBackend, event: &Envelope, version: u64) {
    let handled = consumer(backend).handle(vec![message(event)]).await;
    assert_eq!(handled[0].disposition, consumer::Disposition::Recorded(version), "{handled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_version_1_are_read_with_their_counters() {
    let backend = table_of_version_1().await;
    for (name, status, version) in ORDERS {
        // Checks each order. `history` asserts that the order in the projection and the loaded order are both equal
        // to the fold of the log.
        assert_eq!(backend.history(&id(name)).await.len() as u64, version, "{name}");
        let order = backend.table.order(&id(name)).await.unwrap().unwrap().order;
        assert_eq!((order.status, order.version, order.lacks_counters()), (status, version, false), "{name}");
    }
    let filter = OrderFilter::of_customer(CustomerId::parse("c-1").unwrap());
    let newest_first: Vec<_> = ORDERS.iter().rev().map(|(name, ..)| id(name)).collect();
    eventually_lists(&backend, &filter, &newest_first).await;
    let listed = backend.table.find_orders(&filter, None, 20).await.unwrap().orders;
    for snapshot in listed {
        let order = backend.table.order(&snapshot.order.order_id).await.unwrap().unwrap().order;
        assert_eq!(snapshot.order, order, "the list contains the same order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_goes_on_with_orders_of_version_1() {
    let backend = table_of_version_1().await;
    let refund = |name: &str| {
        let data = json!({ "order_id": name, "refund_id": "r-1", "amount": 2500 });
        let event = json!({ "event_id": uuid::Uuid::now_v7(), "type": "order_refunded", "schema_version": 1,
                            "timestamp": "2026-11-29T21:00:00Z", "correlation_id": "r", "data": data });
        Envelope::decode(event.to_string().as_bytes(), eur()).unwrap()
    };
    record(&backend, &amended(&id("created"), 1), 2).await;
    record(&backend, &confirmed(&id("pending")), 3).await;
    record(&backend, &paid(&id("confirmed")), 3).await;
    record(&backend, &refund("returned"), 7).await;
    record(&backend, &refund("cancelled-paid"), 5).await;
    for name in ["created", "pending", "confirmed", "returned", "cancelled-paid"] {
        backend.history(&id(name)).await;
    }
    for name in ["returned", "cancelled-paid"] {
        let order = backend.table.order(&id(name)).await.unwrap().unwrap().order;
        assert_eq!(order.status, OrderStatus::Refunded, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_version_1_cannot_read_what_a_newer_one_has_changed() {
    let backend = table_of_version_1().await;
    record(&backend, &paid(&id("confirmed")), 3).await;
    let get = json!({ "TableName": backend.table_name, "ConsistentRead": true,
                      "Key": { "pk": { "S": "ORDER#confirmed" }, "sk": { "S": "EVENT#0000000003" } } });
    let item = Emulator::shared().dynamodb("GetItem", &get).await["Item"].take();
    // A program of version 1 reads all log entries of an order before it handles an event, and each must have its id in
    // `event_id`. It cannot read this order, so it retries the event.
    assert!(item["event_id"].is_null() && item["i"]["B"].is_string(), "{item}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_a_program_of_version_1_parked_are_recorded_by_a_redrive() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let order = new_order_id();
    let events = [created(&order), confirmed(&order), paid(&order)];
    assert!(matches!(events[0].event, Event::Created(_)));
    // The dead letters of a program of version 1. The program does not support schema version 2, so it parks the first
    // event and all later events of the order.
    let mut letters = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let reason = if place == 0 { ParkReason::UnknownSchema } else { ParkReason::BehindParked };
        let letter = dead_letter_of(&message(event), &backend.queues.url, infra::now());
        letters.push(domain::DeadLetter { reason, ..letter });
    }
    for letter in &letters {
        backend.archiving().keep(letter).await.unwrap();
    }
    let parked = backend.letters.sequence(&order, 10).await.unwrap().letters;
    assert_eq!(
        parked.iter().map(|letter| letter.reason).collect::<Vec<_>>(),
        [ParkReason::UnknownSchema, ParkReason::BehindParked, ParkReason::BehindParked]
    );
    for result in backend.letters.replay(&parked).await {
        result.unwrap();
    }
    for version in 1..=3 {
        let messages = backend.queue.receive(1, PATIENCE).await.unwrap();
        let handled = consumer(&backend).handle(messages).await;
        assert_eq!(handled[0].disposition, consumer::Disposition::Recorded(version), "{handled:?}");
        let handled = &handled[0];
        backend.queue.ack(&[(&handled.message, &handled.disposition)]).await.remove(0).unwrap();
    }
    assert_eq!(backend.history(&order).await.len(), 3);
    assert!(backend.letters.sequence(&order, 10).await.unwrap().letters.is_empty());
    let wanted = LoadRequest { order_id: order.clone(), event_ids: Vec::new(), references: Vec::new() };
    assert!(backend.table.load(&[wanted]).await.remove(0).unwrap().parked.is_empty());
}
