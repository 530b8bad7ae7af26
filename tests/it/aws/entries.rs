//! Tests log entries in the form that programs wrote before ids became bytes and names short. Current programs read these
//! items, list them, and append to their logs, so one log has both forms.

use std::path::Path;

use api::ports::{OrderFilter, OrderReader};
use consumer::ports::OrderLog;
use consumer::{Consumer, Disposition};
use domain::{CustomerId, Envelope, OrderId};
use serde_json::{Value, json};

use super::bill::item_bytes;
use crate::conformance::aws::AwsBackend;
use crate::conformance::listing::eventually_lists;
use crate::conformance::{Backend, QueueOptions};
use crate::support::consumers::consumer_of;
use crate::support::emulator::Emulator;
use crate::support::events::{amended, append_of, confirmed, created, new_order_id, paid, recorded};

fn golden() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/dynamodb-entries-1.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A table that contains the items of the golden file.
async fn earlier_table() -> AwsBackend {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    for item in golden() {
        let put = json!({ "TableName": backend.table_name, "Item": item });
        Emulator::shared().dynamodb("PutItem", &put).await;
    }
    backend
}

/// The orders of the golden file, each with its number of events.
fn orders() -> Vec<(OrderId, u64)> {
    let mut orders: Vec<(OrderId, u64)> = Vec::new();
    for item in golden() {
        let (pk, sk) = (item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap());
        let Some(id) = pk.strip_prefix("ORDER#").filter(|_| sk.starts_with("EVENT#")) else { continue };
        let id = OrderId::parse(id).unwrap();
        match orders.iter_mut().find(|(known, _)| *known == id) {
            Some((_, events)) => *events += 1,
            None => orders.push((id, 1)),
        }
    }
    orders
}

async fn handle(backend: &AwsBackend, event: &Envelope) -> Disposition {
    let consumer = Consumer {
        ledger: Some(backend.table.clone()),
        ..consumer_of(backend.log(), backend.dead_letters())
    };
    let message = consumer::ports::Message {
        id: event.event_id.to_string(),
        group: Some(event.order_id.to_string()),
        receive_count: 1,
        body: event.encode(),
        ..consumer::ports::Message::default()
    };
    let mut handled = consumer::BatchHandler::handle(&consumer, vec![message]).await;
    consumer::BatchHandler::count(&consumer, &mut handled).await;
    handled.remove(0).disposition
}

/// The items of an order's log.
async fn items(backend: &AwsBackend, order: &OrderId) -> Vec<Value> {
    let query = json!({ "TableName": backend.table_name, "KeyConditionExpression": "pk = :pk",
                        "ExpressionAttributeValues": { ":pk": { "S": format!("ORDER#{order}") } } });
    Emulator::shared().dynamodb("Query", &query).await["Items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_earlier_programs_are_read_listed_and_continued() {
    let backend = earlier_table().await;
    let orders = orders();
    assert!(orders.len() >= 3, "{orders:?}");
    for (id, events) in &orders {
        // `history` asserts that the order equals the fold of its log.
        let log = backend.history(id).await;
        assert_eq!(log.len() as u64, *events, "{id}");
        for entry in &log {
            let envelope = &entry.envelope;
            let receipt = backend.table.receipt(id, envelope.event_id).await.unwrap().unwrap();
            assert_eq!(
                (&receipt.request_hash, receipt.event_type),
                (&envelope.request_hash, envelope.event.event_type())
            );
            assert!(receipt.message.is_some(), "the entry has the id of its message: {receipt:?}");
            // The event is known when it is delivered again.
            assert_eq!(handle(&backend, envelope).await, Disposition::Duplicate, "{id}");
        }
    }
    let filter = OrderFilter::of_customer(CustomerId::parse("c-earlier").unwrap());
    let newest_first: Vec<_> = orders.iter().rev().map(|(id, _)| id.clone()).collect();
    eventually_lists(&backend, &filter, &newest_first).await;

    let (id, events) = orders.iter().find(|(_, events)| *events == 1).unwrap();
    let later = [amended(id, 1), amended(id, 3), confirmed(id), paid(id)];
    for (place, event) in later.iter().enumerate() {
        assert_eq!(handle(&backend, event).await, Disposition::Recorded(events + 1 + place as u64));
    }
    let log = backend.history(id).await;
    assert_eq!(
        log[1..].iter().map(|entry| &entry.envelope).collect::<Vec<_>>(),
        later.iter().collect::<Vec<_>>()
    );
    let items = items(&backend, id).await;
    let forms: Vec<_> = items.iter().map(|item| (item["entry"].is_null(), item["i"].is_null())).collect();
    assert_eq!(
        forms,
        [(false, true), (true, false), (true, false), (true, false), (true, false)],
        "{items:#?}"
    );
    for (place, event) in later.iter().enumerate() {
        let receipt = backend.table.receipt(id, event.event_id).await.unwrap().unwrap();
        assert_eq!(receipt.outcome, Some(domain::Outcome::Recorded { version: 2 + place as u64 }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_projected_with_its_sixth_event_and_then_with_every_fifth() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let order = new_order_id();
    let mut projected = Vec::new();
    for version in 1..=12 {
        let event = if version == 1 { created(&order) } else { amended(&order, 1 + version as usize % 3) };
        assert_eq!(handle(&backend, &event).await, Disposition::Recorded(version));
        // `history` compares what readers see with the fold of the log.
        assert_eq!(backend.history(&order).await.len() as u64, version);
        let projection = items(&backend, &order).await.into_iter().find(|item| item["sk"]["S"] == "METADATA");
        projected.push(projection.map(|item| item["version"]["N"].as_str().unwrap().to_owned()));
    }
    let text = |version: &str| Some(version.to_owned());
    assert_eq!(projected[..5], [const { None }; 5]);
    assert_eq!(projected[5..10], ["6"; 5].map(text));
    assert_eq!(projected[10..], ["11", "11"].map(text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_a_projection_is_healed_for_readers_and_lists() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let order = new_order_id();
    let events: Vec<_> =
        std::iter::once(created(&order)).chain((1..9).map(|n| amended(&order, n % 4 + 1))).collect();
    let log = recorded(1, &events);
    for entry in &log {
        backend.table.append_without_projecting(entry).await.unwrap();
    }
    assert_eq!(backend.history(&order).await, log, "nine events without a projection");
    eventually_lists(
        &backend,
        &OrderFilter::of_customer(CustomerId::parse("c-1").unwrap()),
        std::slice::from_ref(&order),
    )
    .await;
    let next = recorded(10, &[confirmed(&order), amended(&order, 1)]);
    let all = [log, next].concat();
    backend.table.append(&[append_of(&all, 2)]).await.remove(0).unwrap();
    assert_eq!(backend.history(&order).await, all);
    let projection =
        items(&backend, &order).await.into_iter().find(|item| item["sk"]["S"] == "METADATA").unwrap();
    assert_eq!(projection["version"]["N"], "11");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_is_projected_at_once_so_that_it_is_not_read_again() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let order = new_order_id();
    assert_eq!(handle(&backend, &created(&order)).await, Disposition::Recorded(1));
    assert_eq!(handle(&backend, &amended(&order, 40)).await, Disposition::Recorded(2));
    let stored = items(&backend, &order).await;
    let projection = stored.iter().find(|item| item["sk"]["S"] == "METADATA").unwrap();
    assert_eq!(projection["version"]["N"], "2");
    assert!(item_bytes(&stored[1]) > 1024, "{stored:?}");
    // The projection exists already when the sixth event is due for one.
    for version in 3..=6 {
        assert_eq!(
            handle(&backend, &amended(&order, version as usize)).await,
            Disposition::Recorded(version)
        );
        backend.history(&order).await;
    }
    let projection =
        items(&backend, &order).await.into_iter().find(|item| item["sk"]["S"] == "METADATA").unwrap();
    assert_eq!(projection["version"]["N"], "6");
}
