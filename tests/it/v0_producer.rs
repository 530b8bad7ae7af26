//! Tests messages of schema version 0. The messages have the form in which a v0 producer sends them. The real
//! engine and consumer handle them.

use std::sync::Arc;
use std::time::Duration;

use api::operations::{DeadLetterFilter, DeadLetterStore};
use api::ports::{OrderFilter, OrderReader};
use consumer::poll::{self, PollOptions};
use consumer::ports::Inbox;
use consumer::{Consumer, Disposition};
use domain::{CustomerId, Order, OrderId};
use infra::embedded::{Embedded, NewMessage, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::consumers::consumer_of;
use crate::support::events::eur;
use crate::support::eventually::{check, eventually};

/// A message in the form of a v0 producer. The group is the customer, there is no event id, and the time has no offset.
fn message(kind: &str, order_data: &Value, second: u32) -> NewMessage {
    let body = json!({
        "type": kind,
        "data": order_data,
        "timestamp": format!("2026-11-23T10:00:{second:02}.123456"),
        "correlation_id": "0b5f3a1e-5b0c-4f4e-9a41-3b1d7e0c9a11",
    });
    let text = |field: &str| order_data[field].as_str().unwrap_or("default").to_owned();
    NewMessage {
        group: text("customer_id"),
        deduplication_id: format!("{}-{kind}-{second}", text("order_id")),
        body: body.to_string().into_bytes(),
    }
}

fn open(folder: &TempDir) -> (Arc<Embedded>, Consumer) {
    let options = Options { min_free_bytes: 0, ..Options::new(eur()) };
    let engine = Arc::new(Embedded::open(&folder.path().join("data"), options).unwrap());
    let consumer = consumer_of(engine.clone(), engine.clone());
    (engine, consumer)
}

async fn order(engine: &Embedded, id: &str) -> Option<Order> {
    engine.order(&OrderId::parse(id).unwrap()).await.unwrap().map(|snapshot| (*snapshot.order).clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_orders_of_a_v0_producer_are_recorded_and_projected() {
    let folder = TempDir::new().unwrap();
    let (engine, consumer) = open(&folder);
    let created = json!({ "order_id": "A-1001", "customer_id": "cust_7", "total": 4250,
                          "items": [{ "sku": "widget", "quantity": 2, "price": 2000 }, "gift-wrap"] });
    let mut messages = vec![message("order_created", &created, 0)];
    for (second, status) in (1..).zip(["confirmed", "paid", "shipped", "delivered"]) {
        let update = json!({ "order_id": "A-1001", "status": status });
        messages.push(NewMessage { group: "cust_7".to_owned(), ..message("order_updated", &update, second) });
    }
    // The producer sends the first message again, after the deduplication window. The consumer derives the same event
    // id, and so recognises the event.
    messages.push(NewMessage { deduplication_id: "again".to_owned(), ..messages[0].clone() });
    engine.send(messages).await.unwrap();

    let received = engine.receive(10, Duration::from_secs(5)).await.unwrap();
    assert_eq!(received.len(), 6);
    let handled = consumer.handle(received).await;
    let outcomes: Vec<_> = handled.iter().map(|handled| &handled.disposition).collect();
    let recorded: Vec<_> = (1..=5).map(Disposition::Recorded).collect();
    assert_eq!(outcomes[..5], recorded.iter().collect::<Vec<_>>()[..]);
    assert_eq!(*outcomes[5], Disposition::Duplicate);

    let order = order(&engine, "A-1001").await.unwrap();
    assert_eq!((order.status.as_str(), order.version, order.total.minor()), ("delivered", 5, 4250));
    assert_eq!(order.currency, eur(), "the configured default");
    assert_eq!(order.created_at.to_string(), "2026-11-23T10:00:00.123456Z", "a time without offset is UTC");
    let listed = engine
        .find_orders(&OrderFilter::of_customer(CustomerId::parse("cust_7").unwrap()), None, 10)
        .await
        .unwrap();
    assert_eq!(listed.orders.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_messages_are_parked_and_hold_up_no_other_order() {
    let folder = TempDir::new().unwrap();
    let (engine, consumer) = open(&folder);
    let good = json!({ "order_id": "A-1", "customer_id": "c", "total": 100, "items": ["x"] });
    let decimal = json!({ "order_id": "A-2", "customer_id": "c", "total": 99.99, "items": ["x"] });
    let raw = |id: &str, body: &[u8]| NewMessage {
        group: "c".to_owned(),
        deduplication_id: id.to_owned(),
        body: body.to_vec(),
    };
    let sent = vec![
        raw("1", b"{ not json"),
        raw("2", &[0xff, 0x00, 0x0a, 0xfe]),
        message("order_teleported", &good, 1),
        message("order_created", &decimal, 2),
        message("order_created", &good, 3),
    ];
    let bodies: Vec<_> = sent.iter().map(|message| message.body.clone()).collect();
    engine.send(sent).await.unwrap();

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let options = PollOptions { concurrency: 2, batch_size: 10, wait: Duration::from_secs(20) };
    let polling = tokio::spawn(poll::run(engine.clone(), Arc::new(consumer), options, stopped));
    let drained = async || {
        let depth = engine.queue_depth();
        check(depth == 0, depth)
    };
    eventually("the queue is empty", drained).await;
    stop.send_replace(true);
    polling.await.unwrap();

    assert_eq!(order(&engine, "A-1").await.unwrap().status.as_str(), "pending");
    let dead = engine.letters(&DeadLetterFilter::default(), None, 100).await.unwrap().letters;
    let mut found: Vec<_> =
        dead.iter().map(|letter| (letter.reason.as_str(), letter.body.0.clone())).collect();
    found.sort();
    let reasons = ["malformed", "malformed", "unknown_type", "invalid"];
    let mut expected: Vec<_> = reasons.into_iter().zip(bodies).collect();
    expected.sort();
    assert_eq!(found, expected);
    let decimal = dead.iter().find(|letter| letter.reason.as_str() == "invalid").unwrap();
    assert!(decimal.detail.contains("data.total"), "{}", decimal.detail);
    assert_eq!(decimal.order_id.as_ref().unwrap().as_str(), "A-2");
}
