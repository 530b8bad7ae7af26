//! Tests batch calls to SQS: their limits, and batches that SQS accepts only in part. The emulator always accepts
//! whole batches, so these tests use a fake SQS.

use std::sync::{Arc, Mutex};

use api::ports::{EventPublisher, PublishError};
use axum::extract::State;
use axum::{Json, Router};
use consumer::Disposition;
use consumer::ports::{Inbox, ParkRequest};
use domain::{Envelope, ParkReason};
use infra::sqs::Queue;
use serde_json::{Value, json};

use crate::conformance::aws::{AwsBackend, dead_letters};
use crate::conformance::{Backend, QueueOptions};
use crate::support::events::{confirmed, created, new_order_id, paid};
use crate::support::eventually::PATIENCE;
use crate::support::http::serve;

/// Decides how a fake SQS answers an entry. `None` accepts the entry, and `Some` refuses the entry with the
/// given `SenderFault`.
type Refuse = fn(calls: usize, deduplication_id: &str) -> Option<bool>;

#[derive(Clone)]
struct Picky {
    refuse: Refuse,
    /// For each call, the deduplication ids of its entries.
    calls: Arc<Mutex<Vec<Vec<String>>>>,
}

/// A fake SQS that accepts a part of each batch.
async fn picky(refuse: Refuse) -> (Queue, Picky) {
    let picky = Picky { refuse, calls: Arc::default() };
    let endpoint = serve(Router::new().fallback(send_message_batch).with_state(picky.clone())).await;
    let sdk = infra::aws::config_at(&endpoint).await;
    (infra::aws::queue(&sdk, &format!("{endpoint}/1/orders.fifo")), picky)
}

async fn send_message_batch(State(picky): State<Picky>, body: String) -> Json<Value> {
    let call: Value = serde_json::from_str(&body).unwrap();
    let entries = call["Entries"].as_array().unwrap();
    let id = |entry: &Value| entry["MessageDeduplicationId"].as_str().unwrap().to_owned();
    let mut calls = picky.calls.lock().unwrap();
    calls.push(entries.iter().map(id).collect());
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match (picky.refuse)(calls.len(), &id(entry)) {
            None => successful.push(json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" })),
            Some(fault) => failed.push(json!({ "Id": entry["Id"], "Code": "Because", "SenderFault": fault })),
        }
    }
    Json(json!({ "Successful": successful, "Failed": failed }))
}

fn ids(events: &[&Envelope]) -> Vec<String> {
    events.iter().map(|event| event.event_id.to_string()).collect()
}

/// Events whose ids end with 0 to 9.
fn ten_events() -> Vec<Envelope> {
    let event = |number: u32| {
        let event_id = format!("01a20f6a-d3cd-76e2-b916-b16130e86e8{number}").parse().unwrap();
        Envelope { event_id, ..created(&new_order_id()) }
    };
    (0..10).map(event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_entries_that_sqs_refuses_without_sender_fault_are_sent_again() {
    let (queue, picky) = picky(|calls, id| {
        (calls == 1 && id.ends_with(['0', '1', '2', '3', '4', '5', '6', '7'])).then_some(false)
    })
    .await;
    let events = ten_events();
    for result in queue.publish(&events).await {
        result.unwrap();
    }
    let calls = picky.calls.lock().unwrap().clone();
    let all = ids(&events.iter().collect::<Vec<_>>());
    let refused: Vec<_> =
        all.iter().filter(|id| id.ends_with(['0', '1', '2', '3', '4', '5', '6', '7'])).cloned().collect();
    assert_eq!(calls[0], all);
    assert_eq!(calls.get(1).cloned().unwrap_or_default(), refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_sqs_keeps_refusing_fails_alone() {
    let (queue, picky) = picky(|_, id| id.ends_with(['0', '1', '2', '3']).then_some(false)).await;
    let events = ten_events();
    let results = queue.publish(&events).await;
    for (event, result) in events.iter().zip(results) {
        let refused = event.event_id.to_string().ends_with(['0', '1', '2', '3']);
        assert_eq!(matches!(result, Err(PublishError::NotAccepted(_))), refused, "{result:?}");
    }
    assert!(picky.calls.lock().unwrap().len() <= 4, "it gives up");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refused_event_no_later_event_of_its_order_is_sent() {
    let (queue, picky) = picky(|calls, _| (calls == 1).then_some(true)).await;
    let (a, b) = (new_order_id(), new_order_id());
    let events = [created(&a), confirmed(&a), paid(&a)];
    let results = queue.publish(&events).await;
    assert!(results.iter().all(|result| matches!(result, Err(PublishError::NotAccepted(_)))), "{results:?}");
    assert_eq!(*picky.calls.lock().unwrap(), [ids(&[&events[0]])]);

    // Events of one order are always sent in separate calls. Otherwise, an event that SQS refuses could be sent again
    // after a later event of its order.
    let events = [created(&b), confirmed(&b)];
    assert!(queue.publish(&events).await.into_iter().all(|result| result.is_ok()));
    assert_eq!(picky.calls.lock().unwrap()[1..], [ids(&[&events[0]]), ids(&[&events[1]])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_stay_within_the_size_limit_of_sqs() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let large = |_| Envelope { actor: Some("ä".repeat(150_000)), ..created(&new_order_id()) };
    let mut events: Vec<_> = (0..12).map(large).collect();
    // SQS accepts U+FFFE, U+FFFF and control characters only in escaped form.
    events[0].actor = Some("\u{fffe}\u{ffff}\u{1}".to_owned());
    for result in backend.queue.publish(&events).await {
        result.unwrap();
    }
    let mut received = Vec::new();
    while received.len() < events.len() {
        for message in backend.queue.receive(10, PATIENCE).await.unwrap() {
            received.push(Envelope::decode(&message.body, crate::support::events::eur()).unwrap());
            backend.queue.ack(&[(&message, &Disposition::Recorded(1))]).await.remove(0).unwrap();
        }
    }
    assert!(events.iter().all(|event| received.contains(event)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_message_of_sqs_is_parked_whole() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let body = "x".repeat(1 << 20);
    backend.send("group", "1", &body).await;
    let message = backend.queue.receive(1, PATIENCE).await.unwrap().remove(0);
    let parking = ParkRequest {
        message: &message,
        reason: ParkReason::Malformed,
        detail: "too much".to_owned(),
        event: None,
        order_id: None,
    };
    backend.dead_letters().park(&[parking]).await.remove(0).unwrap();
    let letters = dead_letters(&backend.queues.dead_letters_url).await;
    assert!(letters[0]["Body"] == body, "cut or missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_shows_how_many_of_its_events_are_parked() {
    use crate::support::events::{append_of, fold, recorded};
    use api::ports::{OrderFilter, OrderReader};

    use crate::conformance::listing::eventually_lists;

    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let id = new_order_id();
    let log = recorded(1, &[created(&id), confirmed(&id)]);
    let append = |from: usize, to: usize| append_of(&log[..to], to - from);
    let orders_of_customer = OrderFilter::of_customer(fold(&log).customer_id);
    let parked = async || {
        let snapshot = backend.table.order(&id).await.unwrap().unwrap();
        eventually_lists(&backend, &orders_of_customer, std::slice::from_ref(&id)).await;
        let listed = backend.table.find_orders(&orders_of_customer, None, 1).await.unwrap().orders;
        assert_eq!(listed, std::slice::from_ref(&snapshot), "the list contains the same order");
        snapshot.parked
    };
    backend.log().append(&[append(0, 1)]).await.remove(0).unwrap();
    assert_eq!(parked().await, 0, "the order has one event, and no projection");
    let confirmation = &log[1].envelope;
    backend.send("group", "1", &String::from_utf8(confirmation.encode()).unwrap()).await;
    let message = backend.queue.receive(1, PATIENCE).await.unwrap().remove(0);
    let parking = ParkRequest {
        message: &message,
        reason: ParkReason::BehindParked,
        detail: "later".to_owned(),
        event: Some(confirmation),
        order_id: Some(id.clone()),
    };
    backend.dead_letters().park(&[parking]).await.remove(0).unwrap();

    let state = async || backend.table.receipt(&id, confirmation.event_id).await.unwrap().unwrap().state();
    assert_eq!((parked().await, state().await), (1, domain::ReceiptState::Parked));
    backend.log().append(&[append(1, 2)]).await.remove(0).unwrap();
    assert_eq!(state().await, domain::ReceiptState::Recorded);
    assert_eq!(parked().await, 1, "the dead letter stays in the sequence until it is released");
}
