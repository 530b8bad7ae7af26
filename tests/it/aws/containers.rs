//! Tests the service's roles as containers: `orders api`, `orders consumer`, `orders dead-letters` and `orders table
//! create`.

use std::process::Output;

use api::ports::{EventPublisher, PublishError};
use infra::sqs::coalesce::CoalescingPublisher;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::at;
use crate::conformance::QueueOptions;
use crate::conformance::aws::{AwsBackend, dead_letters};
use crate::pipeline::from_created_to_delivered;
use crate::support::counting::CountingProxy;
use crate::support::emulator::Emulator;
use crate::support::events::{confirmed, created, new_order_id};
use crate::support::eventually::PATIENCE;
use crate::support::http;
use crate::support::service::{order, orders};

async fn fifo() -> AwsBackend {
    AwsBackend::open(true, QueueOptions::default()).await
}

fn error_of(output: &Output) -> String {
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_from_created_to_delivered() {
    let backend = fifo().await;
    let emulator = Emulator::shared();
    let (mut api, mut consumer) =
        (backend.start_api(&emulator.endpoint), backend.start_consumer(&emulator.endpoint));
    let order_id = from_created_to_delivered(&api, "containers").await;
    assert_eq!(backend.history(&order_id.parse().unwrap()).await.len(), 5);
    assert_eq!(api.get("/readyz").await.0, 200);
    assert!(api.terminate().success());
    assert!(consumer.terminate().success());
    assert_eq!(dead_letters(&backend.queues.dead_letters_url).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_carry_the_ids_and_the_trace_of_the_request_that_caused_them() {
    let backend = fifo().await;
    let emulator = Emulator::shared();
    let proxy = CountingProxy::start(&emulator.endpoint).await;
    let api = backend.start_api(&proxy.endpoint);
    let (traceparent, xray) = (
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
    );
    let posted = http::client()
        .request(Method::POST, format!("{}/v1/orders", api.url))
        .header("content-type", "application/json")
        .header("x-correlation-id", "request-7")
        .header("traceparent", traceparent)
        .header("x-amzn-trace-id", xray)
        .body(order("traced").to_string());
    let receipt: Value = serde_json::from_str(&posted.send().await.unwrap().text().await.unwrap()).unwrap();

    let receive = json!({ "QueueUrl": backend.queues.url, "WaitTimeSeconds": 5, "MessageAttributeNames": ["All"],
                          "MessageSystemAttributeNames": ["All"] });
    let message = emulator.sqs("ReceiveMessage", &receive).await["Messages"][0].take();
    let attribute = |name: &str| message["MessageAttributes"][name]["StringValue"].clone();
    assert_eq!(
        (attribute("correlation_id"), attribute("traceparent")),
        (json!("request-7"), json!(traceparent))
    );
    let system = &message["Attributes"];
    // The emulator drops the system attributes of messages in a batch. So this test reads the attributes from
    // the call of the API.
    let sent = &proxy.take().latest["SendMessageBatch"]["Entries"][0];
    assert_eq!(sent["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"], xray);
    assert_eq!(
        (&system["MessageGroupId"], &system["MessageDeduplicationId"]),
        (&receipt["order_id"], &receipt["event_id"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_v0_producer_and_the_api_share_a_queue() {
    let backend = fifo().await;
    let emulator = Emulator::shared();
    let order = json!({ "order_id": "A-1001", "customer_id": "cust_7", "total": 4250,
                        "items": [{ "sku": "widget", "quantity": 2, "price": 2000 }, "gift-wrap"] });
    let mut events = vec![json!({ "type": "order_created", "data": order })];
    // Sends only one update. A v0 producer derives the deduplication id from order and type, so SQS would drop a second
    // update within five minutes.
    let data = json!({ "order_id": "A-1001", "customer_id": "cust_7", "status": "confirmed" });
    events.push(json!({ "type": "order_updated", "data": data }));
    events.push(json!({ "type": "order_created", "data": { "order_id": "A-1002", "customer_id": "cust_7", "total": 9.5, "items": ["x"] } }));
    emulator.produce_v0(&backend.queues.url, &events);

    let (api, _consumer) =
        (backend.start_api(&emulator.endpoint), backend.start_consumer(&emulator.endpoint));
    from_created_to_delivered(&api, "ours").await;
    backend.drained(PATIENCE).await;
    let (_, view) = api.get("/v1/orders/A-1001").await;
    assert_eq!(
        (&view["status"], &view["version"], &view["total"]),
        (&json!("confirmed"), &json!(2), &json!(4250))
    );
    // A message with an amount that is not an integer is parked with a reason.
    let letters = dead_letters(&backend.queues.dead_letters_url).await;
    let attribute = |name: &str| letters[0]["MessageAttributes"][name]["StringValue"].clone();
    assert_eq!((letters.len(), attribute("reason")), (1, json!("invalid")));
    assert!(attribute("detail").as_str().unwrap().contains("data.total"), "{letters:?}");
    assert_eq!(attribute("origin_queue"), backend.queues.url);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_posts_share_calls_and_each_gets_its_own_answer() {
    let backend = fifo().await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let sdk = infra::aws::config_at(&proxy.endpoint).await;
    let publisher = CoalescingPublisher::new(infra::aws::queue(&sdk, &backend.queues.url));
    let mut events: Vec<_> = (0..100).map(|_| created(&new_order_id())).collect();
    events[42].actor = Some("x".repeat(1 << 20));

    let calls = events.iter().map(|event| publisher.publish(std::slice::from_ref(event)));
    let answers = futures_util::future::join_all(calls).await;
    for (i, answer) in answers.into_iter().map(|mut answer| answer.remove(0)).enumerate() {
        match answer {
            Err(PublishError::TooLarge { bytes, limit }) => assert!(i == 42 && bytes > limit),
            answer => assert!(i != 42 && answer.is_ok(), "{i}: {answer:?}"),
        }
    }
    let calls = proxy.take().calls_of("SendMessageBatch");
    assert!((10..=20).contains(&calls), "{calls} calls for 100 events");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_order_that_are_published_together_keep_their_order() {
    let backend = fifo().await;
    let orders: Vec<_> = (0..12).map(|_| new_order_id()).collect();
    let events: Vec<_> = orders.iter().flat_map(|id| [created(id), confirmed(id)]).collect();
    for result in backend.queue.publish(&events).await {
        result.unwrap();
    }
    let _consumer = backend.start_consumer(&Emulator::shared().endpoint);
    backend.drained(PATIENCE).await;
    for id in &orders {
        assert_eq!(backend.history(id).await.len(), 2, "{id}");
    }
}

#[test]
fn all_missing_settings_are_reported_together() {
    let error = error_of(&at("http://127.0.0.1:9", &["consumer"]).output().unwrap());
    for name in ["QUEUE_URL", "DLQ_URL", "TABLE_NAME"] {
        assert!(error.contains(&format!("{name} is not set")), "{error}");
    }
    let mut command = orders(&["api"]);
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/nonexistent");
    assert!(error_of(&command.output().unwrap()).contains("AWS_REGION is not set"));
}

#[test]
fn all_invalid_settings_are_reported_together() {
    let mut command = at("http://127.0.0.1:9", &["consumer"]);
    command.envs([
        ("QUEUE_URL", "http://sqs/1/a.fifo"),
        ("DLQ_URL", "http://sqs/1/b"),
        ("TABLE_NAME", "no table"),
    ]);
    command.envs([
        ("LOG_LEVEL", "orders=loud"),
        ("ORDERS_CONCURRENCY", "0"),
        ("ORDERS_DEFAULT_CURRENCY", "Euro"),
    ]);
    let error = error_of(&command.output().unwrap());
    let errors = [
        "LOG_LEVEL \"orders=loud\"",
        "QUEUE_URL and DLQ_URL must both be FIFO queues",
        "TABLE_NAME \"no table\"",
        "ORDERS_CONCURRENCY \"0\"",
        "ORDERS_DEFAULT_CURRENCY \"Euro\"",
    ];
    for expected in errors {
        assert!(error.contains(expected), "no {expected} in {error}");
    }
    assert_eq!(error.lines().count(), 1 + errors.len(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_unusable_resources_are_reported_together() {
    let endpoint = &Emulator::shared().endpoint;
    let url = |name: &str| format!("{endpoint}/000000000000/{name}.fifo");
    let unusable: [(&str, &[&str]); 2] = [
        ("consumer", &["nowhere.fifo", "neither.fifo", "table nothing"]),
        ("dead-letters", &["neither.fifo", "table nothing", "bucket no-such-bucket", "topic arn:aws:sns:"]),
    ];
    for (role, names) in unusable {
        let mut command = at(endpoint, &[role]);
        command.env("QUEUE_URL", url("nowhere")).env("DLQ_URL", url("neither")).env("TABLE_NAME", "nothing");
        command.env("DLQ_BUCKET", "no-such-bucket");
        command.env("ALERTS_TOPIC", "arn:aws:sns:us-east-1:000000000000:no-such-topic");
        let error = error_of(&command.output().unwrap());
        for name in names {
            assert!(error.contains(name), "no {name} in {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_created_once() {
    let endpoint = &Emulator::shared().endpoint;
    let name = format!("made-{}", Uuid::now_v7().simple());
    let create = || at(endpoint, &["table", "create", "--table-name", &name]).output().unwrap();
    let (first, second) = (create(), create());
    assert!(first.status.success() && second.status.success(), "{second:?}");
    assert_eq!(String::from_utf8(first.stdout).unwrap(), format!("the table {name} was created\n"));
    assert!(String::from_utf8(second.stdout).unwrap().contains("exists already"));

    let other = format!("other-{}", Uuid::now_v7().simple());
    let table = json!({ "TableName": other, "BillingMode": "PAY_PER_REQUEST",
                        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
                        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }] });
    Emulator::shared().dynamodb("CreateTable", &table).await;
    let error = error_of(&at(endpoint, &["table", "create", "--table-name", &other]).output().unwrap());
    assert!(
        error.contains("does not have the keys pk and sk") && error.contains("customer-orders"),
        "{error}"
    );
}
