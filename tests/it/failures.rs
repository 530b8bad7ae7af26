//! Tests poison messages, transient failures and alerts on the embedded engine: nothing is lost. The module `aws`
//! contains the same tests for SQS and DynamoDB.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::operations::{DeadLetterFilter, DeadLetterStore, Pipeline};
use api::ports::{EventPublisher, OrderReader};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Router, body};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use consumer::Consumer;
use consumer::poll::{self, PollOptions};
use consumer::ports::Inbox;
use domain::{OrderId, ParkReason};
use infra::embedded::{Embedded, NewMessage, Options, alerts};
use infra::webhook::Webhook;
use ring::hmac;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::support::consumers::consumer_of;
use crate::support::events::{confirmed, created, eur, new_order_id, paid};
use crate::support::eventually::{check, eventually};
use crate::support::flaky::{Flaky, Hasty};
use crate::support::http;
use crate::support::service::PATIENCE;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A webhook that receives alerts. It refuses the first requests.
#[derive(Default)]
struct Pager {
    refusals_left: AtomicUsize,
    /// The headers and bodies of all requests. Refused requests are included.
    requests: Mutex<Vec<(HeaderMap, Vec<u8>)>>,
}

async fn page(State(pager): State<Arc<Pager>>, headers: HeaderMap, body: body::Bytes) -> StatusCode {
    pager.requests.lock().unwrap().push((headers, body.to_vec()));
    let less = |left: usize| left.checked_sub(1);
    match pager.refusals_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
        Ok(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Err(_) => StatusCode::NO_CONTENT,
    }
}

async fn serve(pager: Arc<Pager>) -> String {
    let router = Router::new().route("/hook", post(page)).with_state(pager);
    format!("{}/hook", http::serve(router).await)
}

fn open(folder: &TempDir) -> Arc<Embedded> {
    let options = Options { min_free_bytes: 0, ..Options::new(eur()) };
    Arc::new(Embedded::open(&folder.path().join("data"), options).unwrap())
}

async fn until_drained(engine: &Embedded) {
    let drained = async || {
        let depth = engine.queue_depth();
        check(depth == 0, depth)
    };
    eventually("the queue is empty", drained).await;
}

async fn until_requests(pager: &Pager, count: usize) {
    let received = async || {
        let requests = pager.requests.lock().unwrap().len();
        check(requests >= count, requests)
    };
    eventually("the alerts are raised", received).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_orders_continue_a_failing_group_keeps_its_order_and_poison_is_parked_with_one_alert() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    let (healthy, flaky) = (new_order_id(), new_order_id());
    let raw = |id: &str, body: &str| NewMessage {
        group: format!("group of {id}"),
        deduplication_id: id.to_owned(),
        body: body.as_bytes().to_vec(),
    };
    engine.publish(&[created(&flaky), created(&healthy)]).await.into_iter().for_each(|it| {
        it.unwrap();
    });
    engine.send(vec![raw("cut", "{ not an event"), raw("new", r#"{"type":"order_teleported","schema_version":1,"timestamp":"2026-11-23T10:00:00Z","data":{"order_id":"o-9"}}"#)]).await.unwrap();
    let events = [confirmed(&flaky), paid(&flaky), confirmed(&healthy)];
    engine.publish(&events).await.into_iter().for_each(|it| {
        it.unwrap();
    });

    // The second append to the log of the order fails twice.
    let log = Flaky::new(engine.clone(), &flaky, 2);
    let consumer = Consumer { max_receives: Some(5), ..consumer_of(log, engine.clone()) };
    let inbox = Hasty::new(engine.clone());
    let pager = Arc::new(Pager { refusals_left: AtomicUsize::new(1), ..Pager::default() });
    let webhook = Arc::new(
        Webhook::new(&serve(pager.clone()).await, Some(SECRET), "shop-eu".parse().unwrap()).unwrap(),
    );
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: 1, batch_size: 10, wait: Duration::from_secs(20) };
    let polling = tokio::spawn(poll::run(inbox.clone(), Arc::new(consumer), options, stopped.clone()));
    let alerting = tokio::spawn(alerts::run(Embedded::clone(&engine), webhook, stopped));
    until_drained(&engine).await;
    until_requests(&pager, 2).await;
    stop.send_replace(true);
    polling.await.unwrap();
    alerting.await.unwrap();

    let version = async |id: &OrderId| engine.order(id).await.unwrap().unwrap().order.version;
    assert_eq!((version(&healthy).await, version(&flaky).await), (2, 3));
    let kinds: Vec<_> = engine.events(&flaky, 0, 10).await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|it| it.envelope.event.event_type().as_str()).collect();
    assert_eq!(kinds, ["order_created", "order_confirmed", "order_paid"]);
    let delays = inbox.delays.lock().unwrap().clone();
    assert_eq!(delays.keys().collect::<Vec<_>>(), [flaky.as_str()], "no other group is retried");

    let letters = engine.letters(&DeadLetterFilter::default(), None, 10).await.unwrap().letters;
    let mut reasons: Vec<_> =
        letters.iter().map(|it| (it.reason, it.order_id.as_ref().map(|id| id.as_str()))).collect();
    reasons.sort_by_key(|(reason, _)| reason.as_str());
    assert_eq!(reasons, [(ParkReason::Malformed, None), (ParkReason::UnknownType, Some("o-9"))]);
    for letter in &letters {
        assert!(!letter.detail.is_empty() && letter.first_received_at.is_some(), "{letter:?}");
        assert_eq!((letter.receive_count, letter.origin.as_str()), (1, "embedded"));
    }

    let counters = engine.counters().await.unwrap();
    let ledger = domain::Ledger { accepted: 7, recorded: 5, parked: 2, ..domain::Ledger::default() };
    assert_eq!((counters.ledger, counters.queued(), counters.balanced()), (ledger, 0, Some(true)));
    assert_one_alert(&pager.requests.lock().unwrap());
}

/// Asserts that all requests carry the same signed alert. The first request was refused, so the alert was sent again.
fn assert_one_alert(requests: &[(HeaderMap, Vec<u8>)]) {
    assert_eq!(requests[0].0["webhook-id"], requests[1].0["webhook-id"]);
    for (headers, body) in requests {
        let text = |name: &str| headers[name].to_str().unwrap();
        let key = BASE64_STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed =
            [text("webhook-id").as_bytes(), b".", text("webhook-timestamp").as_bytes(), b".", body].concat();
        let signature =
            BASE64_STANDARD.decode(text("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, &signed, &signature).unwrap();
        let alert: Value = serde_json::from_slice(body).unwrap();
        assert_eq!((&alert["type"], &alert["data"]["count"]), (&"dead_letters.parked".into(), &2.into()));
        let text = alert["text"].as_str().unwrap();
        assert_eq!(alert["data"]["deployment"], "shop-eu");
        for part in
            ["orders [shop-eu]: ", "1 × malformed", "1 × unknown_type", "order o-9", "orders dlq list"]
        {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_always_fails_is_parked_with_its_last_error_and_the_rest_of_its_order_follows() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    let id = new_order_id();
    engine.publish(&[created(&id), confirmed(&id), paid(&id)]).await.into_iter().for_each(|it| {
        it.unwrap();
    });
    let consumer = |failures| Consumer {
        max_receives: Some(3),
        ..consumer_of(Flaky::new(engine.clone(), &id, failures), engine.clone())
    };
    let drain = async |consumer: Consumer| {
        let inbox = Hasty::new(engine.clone());
        let (stop, stopped) = watch::channel(false);
        let options = PollOptions { concurrency: 1, batch_size: 10, wait: Duration::from_secs(20) };
        let polling = tokio::spawn(poll::run(inbox, Arc::new(consumer), options, stopped));
        until_drained(&engine).await;
        stop.send_replace(true);
        polling.await.unwrap();
    };
    drain(consumer(usize::MAX)).await;
    let sequence = engine.sequence(&id, 1000).await.unwrap().letters;
    let reasons: Vec<_> = sequence.iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [ParkReason::TriesExhausted, ParkReason::BehindParked, ParkReason::BehindParked]);
    assert!(sequence[0].detail.contains("throttled") && sequence[0].receive_count == 3, "{:?}", sequence[0]);
    let counters = engine.counters().await.unwrap();
    assert_eq!((counters.ledger.parked, counters.dead_letters, counters.balanced()), (3, 3, Some(true)));

    // The log no longer fails, so the redrive of the whole parked sequence succeeds.
    for result in engine.replay(&sequence).await {
        result.unwrap();
    }
    let replaying = engine.counters().await.unwrap();
    assert_eq!((replaying.ledger.parked, replaying.queued(), replaying.balanced()), (0, 3, Some(true)));
    drain(consumer(0)).await;
    assert_eq!(engine.order(&id).await.unwrap().unwrap().order.version, 3);
    assert_eq!(engine.letters(&DeadLetterFilter::default(), None, 10).await.unwrap().letters, []);
    let ledger = domain::Ledger { accepted: 3, recorded: 3, ..domain::Ledger::default() };
    assert_eq!(engine.counters().await.unwrap().ledger, ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_was_not_raised_is_raised_after_a_restart() {
    let folder = TempDir::new().unwrap();
    {
        let engine = open(&folder);
        let message =
            NewMessage { group: "g".to_owned(), deduplication_id: "1".to_owned(), body: vec![0xff, 0x00] };
        engine.send(vec![message]).await.unwrap();
        let message = engine.receive(1, PATIENCE).await.unwrap().remove(0);
        let consumer = consumer_of(engine.clone(), engine.clone());
        consumer.handle(vec![message]).await;
    }
    let engine = open(&folder);
    let letter = engine.letters(&DeadLetterFilter::default(), None, 10).await.unwrap().letters.remove(0);
    assert_eq!(letter.body.0, [0xff, 0x00], "any bytes");
    let pager = Arc::<Pager>::default();
    let webhook =
        Arc::new(Webhook::new(&serve(pager.clone()).await, None, "shop-eu".parse().unwrap()).unwrap());
    let (stop, stopped) = watch::channel(false);
    let alerting = tokio::spawn(alerts::run(Embedded::clone(&engine), webhook, stopped));
    until_requests(&pager, 1).await;
    stop.send_replace(true);
    alerting.await.unwrap();
    let (headers, body) = pager.requests.lock().unwrap().remove(0);
    assert!(!headers.contains_key("webhook-signature"));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["data"]["first"][0]["id"], letter.id.as_str());
}
