//! Tests failures: killed consumers, duplicate deliveries and throttling by AWS.

use std::time::{Duration, Instant};

use api::ports::EventPublisher;
use serde_json::{Value, json};

use crate::conformance::QueueOptions;
use crate::conformance::aws::{AwsBackend, dead_letters};
use crate::support::emulator::Emulator;
use crate::support::emulator::proxy::{Proxy, throttled};
use crate::support::events::{confirmed, created, new_order_id, paid};

const ORDERS: usize = 40;
const KILLS: usize = 4;
/// The time limit is five minutes, because messages of killed consumers and throttled messages are received again
/// only after a delay.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn kills_duplicates_and_throttling_do_not_change_the_result() {
    let options = QueueOptions {
        visibility_timeout: Duration::from_secs(2),
        max_receives: 100,
        ..QueueOptions::default()
    };
    let backend = AwsBackend::open(true, options).await;
    let emulator = Emulator::shared();
    let rules = [throttled("dynamodb", 0.1), throttled("sqs", 0.05)];
    let proxy = Proxy::start(&emulator.endpoint, 7, &rules);

    let orders: Vec<_> = (0..ORDERS).map(|_| new_order_id()).collect();
    let events: Vec<_> = orders.iter().flat_map(|id| [created(id), confirmed(id), paid(id)]).collect();
    for result in backend.queue.publish(&events).await {
        result.unwrap();
    }
    // Half of the events are sent again in a second message, like a duplicate delivery by SQS.
    for event in events.iter().step_by(2) {
        let again = json!({ "QueueUrl": backend.queues.url, "MessageBody": String::from_utf8(event.encode()).unwrap(),
                            "MessageGroupId": event.order_id.as_str(),
                            "MessageDeduplicationId": format!("again-{}", event.event_id) });
        emulator.sqs("SendMessage", &again).await;
    }

    for _ in 0..KILLS {
        let consumer = backend.start_consumer(&proxy.endpoint);
        for _ in 0..3 {
            consumer.wait_for_log("\"recorded\"");
        }
        consumer.signal("KILL");
    }
    let consumer = backend.start_consumer(&proxy.endpoint);
    backend.drained(PATIENCE).await;

    for id in &orders {
        let history = backend.history(id).await;
        let expected: Vec<_> = events.iter().filter(|event| event.order_id == *id).collect();
        let found: Vec<_> = history.iter().map(|event| &event.envelope).collect();
        assert_eq!(found, expected, "the log contains each event once, in order");
    }
    assert_eq!(dead_letters(&backend.queues.dead_letters_url).await, Vec::<Value>::new());
    assert!(!proxy.faults().await.is_empty(), "nothing was throttled");
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_share_a_queue_without_order_agree() {
    let options = QueueOptions {
        visibility_timeout: Duration::from_secs(10),
        max_receives: 100,
        ..QueueOptions::default()
    };
    let backend = AwsBackend::open(false, options).await;
    let orders: Vec<_> = (0..8).map(|_| new_order_id()).collect();
    // Sends the events in reverse order, each twice, and interleaved. So most events are early, and many arrive at
    // the same time.
    let mut events: Vec<_> = orders.iter().flat_map(|id| [paid(id), confirmed(id), created(id)]).collect();
    events.sort_by_key(|event| event.event.event_type().as_str().len());
    let twice: Vec<_> = events.iter().chain(&events).cloned().collect();
    for result in backend.queue.publish(&twice).await {
        result.unwrap();
    }
    let endpoint = &Emulator::shared().endpoint;
    let _consumers = [backend.start_consumer(endpoint), backend.start_consumer(endpoint)];
    backend.drained(PATIENCE).await;

    for id in &orders {
        let mut kinds: Vec<_> = backend
            .history(id)
            .await
            .iter()
            .map(|event| event.envelope.event.event_type().as_str())
            .collect();
        // The payment and the confirmation may be recorded in either order.
        kinds[1..].sort_unstable();
        assert_eq!(kinds, ["order_created", "order_confirmed", "order_paid"]);
    }
    assert_eq!(dead_letters(&backend.queues.dead_letters_url).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_accepted_while_sqs_throttles() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let proxy = Proxy::start(&Emulator::shared().endpoint, 7, &[]);
    let api = backend.start_api(&proxy.endpoint);
    proxy.set_rules(&[throttled("sqs", 0.4)]).await;
    let order = crate::support::service::order("throttled");
    let start = Instant::now();
    while proxy.faults().await.is_empty() {
        let answer = api.send(reqwest::Method::POST, "/v1/orders", Some(&order)).await.unwrap();
        // If four attempts in a row fail, the API answers 503.
        assert!([202, 503].contains(&answer.status().as_u16()), "{answer:?}");
        assert!(start.elapsed() < PATIENCE);
    }

    proxy.set_rules(&[throttled("sqs", 1.0)]).await;
    let answer = api.send(reqwest::Method::POST, "/v1/orders", Some(&order)).await.unwrap();
    assert_eq!(answer.status(), 503);
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["type"], "/problems/unavailable", "{problem}");
}
