//! Tests fair queues: the groups that events have on a standard queue, and that orders pass through it.

use api::ports::EventPublisher;
use domain::Envelope;
use serde_json::{Value, json};

use crate::conformance::QueueOptions;
use crate::conformance::aws::{AwsBackend, dead_letters};
use crate::support::counting::CountingProxy;
use crate::support::emulator::Emulator;
use crate::support::events::{created, new_order_id};
use crate::support::service::{Service, order};

/// The groups of the entries of the latest batch.
fn groups(proxy: &CountingProxy) -> Vec<Value> {
    let sent = proxy.take().latest["SendMessageBatch"]["Entries"].clone();
    let entries = sent.as_array().unwrap();
    for entry in entries.iter().filter(|entry| entry.get("MessageGroupId").is_some()) {
        assert_eq!(entry["MessageDeduplicationId"], Value::Null, "only FIFO queues deduplicate");
    }
    entries.iter().map(|entry| entry["MessageGroupId"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_on_a_fair_queue_have_the_group_of_their_principal() {
    let backend = AwsBackend::open(false, QueueOptions::default()).await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let queue = infra::aws::queue(&infra::aws::config_at(&proxy.endpoint).await, &backend.queues.url);
    let by = |actor: Option<&str>| Envelope { actor: actor.map(str::to_owned), ..created(&new_order_id()) };
    // SQS allows no blanks and no other scripts in a group.
    let events = [by(Some("shop ü")), by(Some("shop ü")), by(Some("other")), by(None), by(None)];

    for result in queue.clone().with_fair_groups(true).publish(&events).await {
        result.unwrap();
    }
    let groups_of_events = groups(&proxy);
    let group = |at: usize| groups_of_events[at].as_str().unwrap();
    assert!(group(0).len() == 32 && group(0).bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", group(0));
    assert_eq!(group(0), group(1), "events of one principal share the queue");
    assert_ne!(group(0), group(2));
    assert_ne!(group(3), group(4), "without a principal, each order has its own share");

    for result in queue.publish(&events).await {
        result.unwrap();
    }
    assert_eq!(groups(&proxy), vec![Value::Null; events.len()], "fairness is off by default");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_pass_through_a_fair_queue() {
    let backend = AwsBackend::open(false, QueueOptions::default()).await;
    let emulator = Emulator::shared();
    let mut command = backend.role("api", &emulator.endpoint);
    command.env("ORDERS_LISTEN", "127.0.0.1:0").env("ORDERS_FAIR_QUEUE", "true");
    let api = Service::spawn(command);
    let _consumer = backend.start_consumer(&emulator.endpoint);
    let receipt = api.accept("/v1/orders", &order("fair")).await;
    assert_eq!(api.outcome(&receipt).await["state"], "recorded");
    let confirmed = format!("/v1/orders/{}/events", receipt["order_id"].as_str().unwrap());
    let receipt = api.accept(&confirmed, &json!({ "type": "order_confirmed" })).await;
    assert_eq!(api.outcome(&receipt).await["state"], "recorded");
    assert_eq!(dead_letters(&backend.queues.dead_letters_url).await, Vec::<Value>::new());
}
