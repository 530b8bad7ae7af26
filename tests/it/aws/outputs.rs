//! Tests the outputs of the relay on AWS. The real binary runs as a container and as a function. It publishes
//! recorded events to an EventBridge bus and to SNS topics, FIFO and standard, and queues receive the events.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use consumer::webhooks::EventPayload;
use domain::Envelope;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::feed::{FeedBackend, logs};
use crate::support::emulator::Emulator;
use crate::support::emulator::lambda::Function;
use crate::support::emulator::stream::{Delivery, StreamMapping};
use crate::support::events::{created_for, recorded};
use crate::support::eventually::{check, eventually};
use crate::support::service::Service;

/// Queues behind a bus and a topic.
struct Outputs {
    feed: FeedBackend,
    bus: String,
    topic: String,
    /// A queue that receives the events of the bus.
    of_bus: String,
    /// A FIFO queue that receives the events of the topic.
    of_topic: String,
    /// A queue that receives the events of one customer from the topic.
    of_customer: String,
}

const CUSTOMER: &str = "c-filtered";

impl Outputs {
    async fn open() -> Self {
        let (feed, emulator) = (FeedBackend::open().await, Emulator::shared());
        let bus = format!("bus-{}", Uuid::now_v7().simple());
        let of_bus = emulator.create_queue(&bus, &Map::new()).await;
        emulator.events("CreateEventBus", &json!({ "Name": bus })).await;
        let pattern = json!({ "source": ["/shop"], "detail-type": [{ "prefix": "orders." }] });
        let rule = json!({ "Name": bus, "EventBusName": bus, "EventPattern": pattern.to_string() });
        emulator.events("PutRule", &rule).await;
        let target = json!([{ "Id": "queue", "Arn": emulator.queue_arn(&of_bus).await }]);
        emulator.events("PutTargets", &json!({ "Rule": bus, "EventBusName": bus, "Targets": target })).await;

        let name = format!("topic-{}.fifo", Uuid::now_v7().simple());
        let topic = emulator.create_fifo_topic(&name).await;
        let fifo = json!({ "FifoQueue": "true" });
        let of_topic = emulator.create_queue(&name, fifo.as_object().unwrap()).await;
        emulator.subscribe(&topic, &of_topic, &[("RawMessageDelivery", "true")]).await;
        let of_customer = emulator.create_queue(&format!("customer-{name}"), fifo.as_object().unwrap()).await;
        let filter = json!({ "customer_id": [CUSTOMER], "type": ["orders.order_created"] }).to_string();
        let attributes = [("RawMessageDelivery", "true"), ("FilterPolicy", &filter)];
        emulator.subscribe(&topic, &of_customer, &attributes).await;
        Self { feed, bus, topic, of_bus, of_topic, of_customer }
    }

    fn variables(&self) -> [(&str, &str); 5] {
        [
            ("TABLE_NAME", &self.feed.backend.table_name),
            ("OUTBOUND_TABLE", &self.feed.outbound_name),
            ("EVENT_BUS", &self.bus),
            ("EVENTS_TOPIC", &self.topic),
            ("ORDERS_WEBHOOKS_SOURCE", "/shop"),
        ]
    }

    /// Starts the relay as a container, with the outputs as its only destinations.
    fn relay(&self) -> Service {
        let mut command: Command = super::at(&Emulator::shared().endpoint, &["relay"]);
        command.envs(self.variables());
        Service::spawn_until(command, "\"relaying\"").0
    }

    /// Waits until every event of the logs has arrived through the bus and through the topic. Returns the
    /// events of each, in the order of their arrival.
    async fn received(&self, logs: &[Vec<Envelope>]) -> (Vec<Value>, Vec<Value>) {
        let count = logs.iter().map(Vec::len).sum();
        let of_bus = received(&self.of_bus, count).await;
        for event in &of_bus {
            assert_eq!(
                (&event["source"], &event["detail-type"]),
                (&json!("/shop"), &event["detail"]["type"])
            );
        }
        let of_bus: Vec<_> = of_bus.into_iter().map(|mut event| event["detail"].take()).collect();
        let of_topic = received(&self.of_topic, count).await;
        for events in [&of_bus, &of_topic] {
            assert_has_all(events, logs);
        }
        (of_bus, of_topic)
    }
}

/// Waits until the queue has delivered `count` messages. Returns their bodies.
async fn received(queue: &str, count: usize) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    eventually("the events are on the queue", async || {
        let input = json!({ "QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1 });
        let answer = Emulator::shared().sqs("ReceiveMessage", &input).await;
        for message in answer["Messages"].as_array().into_iter().flatten() {
            all.push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
            // The queue delivers the next message of the group only after this message is deleted.
            let delete = json!({ "QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"] });
            Emulator::shared().sqs("DeleteMessage", &delete).await;
        }
        check(all.len() >= count, all.len())
    })
    .await;
    all
}

/// Asserts that `events` contains the events of every log, in the order of their versions.
fn assert_has_all(events: &[Value], logs: &[Vec<Envelope>]) {
    let mut by_order: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in events {
        by_order.entry(event["subject"].as_str().unwrap()).or_default().push(event);
    }
    for log in logs {
        let versions: Vec<_> = by_order[log[0].order_id.as_str()]
            .iter()
            .map(|event| event["orderversion"].as_u64().unwrap())
            .collect();
        assert_eq!(versions, (1..=log.len() as u64).collect::<Vec<_>>(), "{}", log[0].order_id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_publishes_the_bodies_of_webhooks_in_the_order_of_their_orders() {
    let outputs = Outputs::open().await;
    let mut logs = logs(12);
    logs[0][0] = created_for(&logs[0][0].order_id, CUSTOMER);
    let _relay = outputs.relay();
    outputs.feed.record_all(&logs).await;
    let (of_bus, of_topic) = outputs.received(&logs).await;
    let last = recorded(1, &logs[3]).pop().unwrap();
    let mut expected: Value =
        serde_json::from_slice(&EventPayload::of("/shop", last.clone()).unwrap().body).unwrap();
    for events in [&of_bus, &of_topic] {
        let is_it = |event: &&Value| event["id"] == last.envelope.event_id.to_string();
        let event = events.iter().find(is_it).unwrap();
        // The time is not compared, because this test records the event at another time.
        expected["time"] = event["time"].clone();
        expected["data"]["recorded_at"] = event["time"].clone();
        assert_eq!(*event, expected);
    }
    let filtered = received(&outputs.of_customer, 1).await;
    assert_eq!(filtered.len(), 1, "the subscription filters by customer and type");
    assert_eq!(filtered[0]["subject"], logs[0][0].order_id.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_is_replaced_and_every_event_is_published() {
    let outputs = Outputs::open().await;
    let mut first = outputs.relay();
    let logs = logs(10);
    outputs.feed.record(&logs, 1).await;
    eventually("some events are published", async || {
        let depth = Emulator::shared().queue_depth(&outputs.of_bus).await;
        check(depth.visible > 0, depth)
    })
    .await;
    first.kill();
    for version in [2, 3] {
        outputs.feed.record(&logs, version).await;
    }
    let _second = outputs.relay();
    // The second relay may publish events again that the killed relay has published. FIFO topics drop the
    // repetitions.
    let of_topic = received(&outputs.of_topic, 30).await;
    assert_has_all(&of_topic, &logs);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_publishes_and_counts_what_the_stream_delivers() {
    let outputs = Outputs::open().await;
    let program = Path::new(env!("CARGO_BIN_EXE_orders"));
    let function = Function::deploy(Emulator::shared(), program, "relay", &outputs.variables()).await;
    let logs = logs(5);
    outputs.feed.record_all(&logs).await;
    let mut mapping =
        StreamMapping { function: &function, stream: outputs.feed.stream.clone(), batch_size: 6, next: 0 };
    while let Some(Delivery { delivered, done }) = mapping.deliver(Emulator::shared()).await {
        assert_eq!(delivered, done);
    }
    outputs.received(&logs).await;
    let lines = function.log().await;
    let counted: f64 = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["Result"] == "Published")
        .filter_map(|line| line["OutputEvents"].as_f64())
        .sum();
    let events: usize = logs.iter().map(Vec::len).sum();
    assert_eq!(counted, 2.0 * events as f64, "each event once for each output: {lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_topic_gets_every_event() {
    let (feed, emulator) = (FeedBackend::open().await, Emulator::shared());
    let name = format!("standard-{}", Uuid::now_v7().simple());
    let (topic, _) = emulator.create_topic(&name).await;
    let queue = emulator.create_queue(&format!("raw-{name}"), &Map::new()).await;
    emulator.subscribe(&topic, &queue, &[("RawMessageDelivery", "true")]).await;
    let mut command: Command = super::at(&emulator.endpoint, &["relay"]);
    command.envs([("TABLE_NAME", &feed.backend.table_name), ("OUTBOUND_TABLE", &feed.outbound_name)]);
    command.env("EVENTS_TOPIC", &topic);
    let _relay = Service::spawn_until(command, "\"relaying\"").0;
    let logs = logs(4);
    feed.record_all(&logs).await;
    assert_has_all(&received(&queue, logs.iter().map(Vec::len).sum()).await, &logs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_does_not_exist_is_reported_at_the_start() {
    let outputs = Outputs::open().await;
    let mut command = super::at(&Emulator::shared().endpoint, &["relay"]);
    command.envs(outputs.variables()).env("EVENT_BUS", "no-such-bus");
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("the event bus no-such-bus cannot be used"),
        "{error}"
    );
}
