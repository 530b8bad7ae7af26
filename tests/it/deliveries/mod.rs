//! Tests that the real binary delivers webhooks to a real receiver. The receiver is a process that fails at random. It verifies
//! signatures with the reference library of Standard Webhooks. The test kills both processes several times.

mod operators;
mod outgoing;
mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::eventually::{check, eventually_within};
use crate::support::recorded::{self, text};
use crate::support::service::{Service, order};
use receiver::{Receiver, Request};

/// The wait is long, because deliveries give way to everything else, and other tests keep the processors busy.
const PATIENCE: Duration = Duration::from_secs(300);
const ROUNDS: usize = 10;
const ORDERS_OF_ROUND: usize = 8;
/// The retry delays are short, so that the test is fast. There are so many attempts that no delivery reaches its last
/// attempt.
const FLAGS: [&str; 5] = [
    "--webhooks-allow-private",
    "--webhooks-retry-delays",
    "100ms,100ms,100ms,100ms,100ms,200ms,200ms,200ms,200ms,200ms,500ms,500ms,500ms,500ms,500ms,500ms,500ms,500ms,500ms,500ms,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s",
    "--webhooks-timeout",
    "1s",
];

async fn subscribe(service: &Service, body: &Value) -> (String, String) {
    let created = service.ask(Method::POST, "/v1/webhooks", &[], Some(body)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let text = |name: &str| created.body[name].as_str().unwrap_or_else(|| panic!("{created:?}")).to_owned();
    (text("id"), text("secret"))
}

/// Creates some orders, and records a few events of each order.
async fn record(service: &Service) {
    for _ in 0..ORDERS_OF_ROUND {
        let created = service.accept("/v1/orders", &order("c-1")).await;
        let path = format!("/v1/orders/{}/events", created["order_id"].as_str().unwrap());
        service.accept(&path, &json!({ "type": "order_confirmed" })).await;
        for note in 0..3 {
            let body = json!({ "type": "order_annotated", "data": { "notes": format!("note {note}") } });
            service.accept(&path, &body).await;
        }
    }
}

/// For each order, the ids of its recorded events. The ids are sorted by version.
fn exported(data: &Path) -> BTreeMap<String, Vec<String>> {
    let mut orders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in recorded::exported(data) {
        let events = orders.entry(text(&event["data"], "order_id").to_owned()).or_default();
        events.push(text(&event, "event_id").to_owned());
        assert_eq!(event["version"], events.len(), "the export has every version in order");
    }
    orders
}

/// Checks that the receiver got all events with valid signatures, the events of each order in the order of their versions, and each
/// event with the same body every time.
fn audit(requests: &[Request], exported: &BTreeMap<String, Vec<String>>) {
    let mut accepted: BTreeMap<&str, u64> = BTreeMap::new();
    let mut bodies: BTreeMap<&str, u64> = BTreeMap::new();
    for request in requests {
        assert!(request.verified && !request.tampered_verifies, "{request:?}");
        assert_eq!(request.content_type, "application/cloudevents+json");
        let version = accepted.entry(&request.order).or_default();
        assert!(
            request.version <= *version + 1,
            "an event came before an earlier event of its order: {request:?}"
        );
        let id = &exported[&request.order][usize::try_from(request.version).unwrap() - 1];
        assert_eq!(&request.id, id);
        assert_eq!(*bodies.entry(&request.id).or_insert(request.body_hash), request.body_hash, "{request:?}");
        if request.delivers() {
            *version = request.version.max(*version);
        }
    }
    let delivered: BTreeMap<_, _> =
        accepted.into_iter().map(|(id, version)| (id.to_owned(), version)).collect();
    let recorded: BTreeMap<_, _> =
        exported.iter().map(|(id, events)| (id.clone(), events.len() as u64)).collect();
    assert_eq!(delivered, recorded, "every event is delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_event_is_delivered_in_order_although_both_sides_are_killed() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &FLAGS);
    let mut receiver = Receiver::start(folder.path(), "flaky");
    let (id, secret) = subscribe(&service, &json!({ "url": receiver.url() })).await;
    receiver.set_secret(&secret);
    for round in 0..ROUNDS {
        record(&service).await;
        if round == ROUNDS / 2 {
            // During the overlap, deliveries are signed with both secrets. So the receiver may switch to the new
            // secret at any time.
            let path = format!("/v1/webhooks/{id}/rotate");
            let rotated =
                service.ask(Method::POST, &path, &[], Some(&json!({ "overlap_seconds": 3600 }))).await;
            assert_eq!(rotated.status, 200, "{rotated:?}");
            let before = receiver.requests().len();
            record(&service).await;
            let arrived = async || check(receiver.requests().len() > before + 10, "few requests");
            eventually_within(PATIENCE, "the receiver gets events with both signatures", arrived).await;
            receiver.set_secret(rotated.body["secret"].as_str().unwrap());
        }
        service.kill();
        if round % 2 == 0 {
            receiver.restart("flaky");
        }
        service = Service::start(&data, &FLAGS);
    }
    receiver.restart("good");
    let path = format!("/v1/webhooks/{id}");
    eventually_within(PATIENCE, "everything is delivered", async || {
        let (_, subscription) = service.get(&path).await;
        let progress = &subscription["progress"];
        let done = progress["lag_events"] == 0 && progress["held_orders"] == 0;
        check(done, subscription)
    })
    .await;
    assert!(service.terminate().success());
    let exported = exported(&data);
    assert_eq!(exported.len(), (ROUNDS + 1) * ORDERS_OF_ROUND);
    let requests = receiver.requests();
    let events: usize = exported.values().map(Vec::len).sum();
    assert!(requests.len() > events + 10, "events were posted again: {} for {events}", requests.len());
    audit(&requests, &exported);
    let failures: BTreeSet<_> = receiver.requests().into_iter().map(|request| request.does).collect();
    assert_eq!(failures.len(), 9, "the receiver failed in every way: {failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_receiver_is_refused_unless_it_is_allowed() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &[]);
    let receiver = Receiver::start(folder.path(), "good");
    let (id, secret) =
        subscribe(&service, &json!({ "url": receiver.url().replace("http:", "https:") })).await;
    receiver.set_secret(&secret);
    let path = format!("/v1/webhooks/{id}/test");
    let tested = service.ask(Method::POST, &path, &[], Some(&json!({}))).await;
    assert!(tested.body["error"].as_str().unwrap().contains("a loopback address"), "{tested:?}");
    let line = service.wait_for_log("a webhook was not sent");
    assert!(line["reason"].as_str().unwrap().contains("127.0.0.1"), "{line}");
    assert!(!line.to_string().contains("/hook"), "the path may be a credential: {line}");
    assert!(service.terminate().success());
    assert!(receiver.requests().is_empty());
}
