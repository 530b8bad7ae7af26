//! Measures what an ordinary order causes, from the functions to the table, and compares it with the file that the bill of
//! `docs/aws.md` and `orders load` are computed from.

use std::path::Path;

use consumer::ports::Inbox;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::support::counting::CountingProxy;
use crate::support::emulator::Emulator;
use crate::support::emulator::lambda::Function;
use crate::support::eventually::PATIENCE;

/// A value of the file with what an ordinary order causes.
pub fn measured(name: &str) -> f64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/load/cost/measured.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file[name].as_f64().unwrap_or_else(|| panic!("{name} is not in the file"))
}

/// Compares a size that varies by some bytes, because ids and numbers differ in their lengths.
fn assert_near(bytes: usize, name: &str) {
    let expected = measured(name);
    assert!(
        (bytes as f64 - expected).abs() <= 16.0,
        "{name}: {bytes} bytes, and {expected} in measured.json"
    );
}

/// An order as a shop sends it: UUIDs as ids, three lines and a contact.
fn ordinary_order() -> Value {
    json!({
        "customer_id": Uuid::now_v7(), "currency": "EUR",
        "items": [
            { "sku": "TEA-ASSAM-250G", "quantity": 2, "unit_price": 450 },
            { "sku": "CUP-BLUE-300ML", "quantity": 1, "unit_price": 1250 },
            { "sku": "FILTER-PAPER-100", "quantity": 3, "unit_price": 390 },
        ],
        "contact": {
            "name": "Augusta Lovelace", "email": "augusta.lovelace@shop.example", "phone": "+44 20 7946 0958",
            "shipping_address": { "name": "Augusta Lovelace", "line1": "12 St James's Square", "city": "London",
                                  "postal_code": "SW1Y 4JH", "country": "GB" },
        },
    })
}

/// The event of API Gateway for a request with a token that creates an order.
fn request(order: &Value) -> Value {
    let fixture = |name: &str| -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/tests/fixtures/apigw").join(name);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let mut event = fixture("http-v2-default-post.json");
    let mut authorizer = fixture("http-v2-jwt-get-query.json")["requestContext"]["authorizer"].take();
    authorizer["jwt"]["claims"]["sub"] = json!(Uuid::now_v7());
    authorizer["jwt"]["claims"]["scope"] = json!("orders.write");
    authorizer["jwt"]["claims"].as_object_mut().unwrap().remove("customer_id");
    event["requestContext"]["authorizer"] = authorizer;
    event["headers"]["idempotency-key"] = json!(Uuid::now_v7());
    // An access token of a usual size.
    event["headers"]["authorization"] = json!(format!("Bearer {}", "x".repeat(800)));
    event["headers"].as_object_mut().unwrap().remove("x-correlation-id");
    event["body"] = json!(order.to_string());
    event
}

/// The bytes of headers, each with a colon, a blank and the end of its line.
fn header_bytes(headers: &Value) -> usize {
    let headers = headers.as_object().unwrap().iter();
    headers.map(|(name, value)| name.len() + value.as_str().unwrap().len() + 4).sum()
}

/// The size of an item by DynamoDB's rules
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
pub fn item_bytes(item: &Value) -> usize {
    item.as_object().unwrap().iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = || value.as_str().unwrap();
    match kind.as_str() {
        "S" => text().len(),
        // About a byte for two digits, and one more.
        "N" => text().trim_start_matches('-').len().div_ceil(2) + 1,
        // In base64.
        "B" => text().trim_end_matches('=').len() * 3 / 4,
        other => panic!("an attribute of the type {other}"),
    }
}

/// The bytes of a function's own lines with their ends, and the lines. The emulator shows the last lines of an invocation only
/// after the next one, so this invokes the function once more, with an event that logs nothing.
async fn own_bytes(function: &Function<'_>) -> (usize, Vec<String>) {
    function.invoke(&json!({})).await;
    let lines: Vec<_> = function.log().await.into_iter().filter(|line| line.starts_with('{')).collect();
    (lines.iter().map(|line| line.trim_end().len() + 1).sum(), lines)
}

async fn deploy(backend: &AwsBackend, role: &str, endpoint: &str) -> Function<'static> {
    let program = Path::new(env!("CARGO_BIN_EXE_orders"));
    let own = [("ORDERS_AUTH", "gateway"), ("AWS_ENDPOINT_URL", endpoint)];
    let environment = [&backend.variables()[..], &own].concat();
    Function::deploy(Emulator::shared(), program, role, &environment).await
}

fn sqs_event(messages: &[consumer::ports::Message], queue_arn: &str) -> Value {
    let record = |message: &consumer::ports::Message| {
        json!({
            "messageId": message.id, "receiptHandle": "handle", "eventSource": "aws:sqs", "eventSourceARN": queue_arn,
            "body": String::from_utf8_lossy(&message.body),
            "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1795431600000",
                            "MessageGroupId": message.group },
        })
    };
    json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_order_costs_what_the_bill_counts() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let api = deploy(&backend, "api", &proxy.endpoint).await;
    let consumer = deploy(&backend, "consumer", &proxy.endpoint).await;
    // The first invocation of each function has calls of its own.
    let warm = ordinary_order();
    assert_eq!(api.invoke(&request(&warm)).await["statusCode"], 202);
    let messages = backend.queue.receive(10, PATIENCE).await.unwrap();
    consumer.invoke(&sqs_event(&messages, &backend.queues.arn)).await;
    let (before_api, before_consumer) = (own_bytes(&api).await.0, own_bytes(&consumer).await.0);
    proxy.take();

    let event = request(&ordinary_order());
    let answer = api.invoke(&event).await;
    assert_eq!(answer["statusCode"], 202, "{answer}");
    let counts = proxy.take();
    assert_eq!((counts.calls_of("Query"), counts.calls.values().sum::<usize>()), (1, 2), "{counts:?}");
    assert_eq!(counts.read_units, measured("key_read_units"), "{counts:?}");
    let body = event["body"].as_str().unwrap().len();
    assert_near(
        "POST /v1/orders HTTP/1.1\r\n\r\n".len() + header_bytes(&event["headers"]) + body,
        "request_bytes",
    );
    let body = answer["body"].as_str().unwrap();
    let headers = header_bytes(&answer["headers"]);
    assert_near("HTTP/1.1 202 Accepted\r\n\r\n".len() + headers + body.len(), "answer_bytes");

    let messages = backend.queue.receive(10, PATIENCE).await.unwrap();
    assert_eq!(messages.len(), 1);
    let handled = consumer.invoke(&sqs_event(&messages, &backend.queues.arn)).await;
    assert_eq!(handled, json!({ "batchItemFailures": [] }));
    let counts = proxy.take();
    let writes = measured("creation_write_units") + measured("batch_write_units");
    assert_eq!((counts.write_units, counts.read_units), (writes, 0.0), "{counts:?}");

    let receipt: Value = serde_json::from_str(body).unwrap();
    let pk = format!("ORDER#{}", receipt["order_id"].as_str().unwrap());
    let query = json!({ "TableName": backend.table_name, "KeyConditionExpression": "pk = :pk",
                        "ExpressionAttributeValues": { ":pk": { "S": pk } } });
    let items = Emulator::shared().dynamodb("Query", &query).await["Items"].take();
    let entry = &items[0];
    assert_eq!(items.as_array().unwrap().len(), 1, "an order with one event is one item: {items}");
    let bytes = item_bytes(entry);
    assert_near(bytes, "entry_bytes");
    assert!(bytes <= 1024, "an ordinary order takes one write unit: {bytes} bytes in {entry}");
    for attribute in ["i", "c", "h", "m"] {
        assert!(entry[attribute]["B"].is_string(), "{attribute} is bytes: {entry}");
    }
    let keys = ["pk", "sk", "customer_id", "listed_at"].map(|name| (name.to_owned(), entry[name].clone()));
    assert_near(item_bytes(&Value::Object(keys.into_iter().collect())), "index_entry_bytes");

    let (bytes, lines) = own_bytes(&api).await;
    assert_eq!((bytes - before_api) as f64, measured("api_log_bytes"), "{lines:#?}");
    let (bytes, lines) = own_bytes(&consumer).await;
    assert_near(bytes - before_consumer, "consumer_log_bytes");
    assert_eq!(lines.len(), 2, "an invocation logs one line: {lines:#?}");
    let logged = measured("access_log_bytes") + measured("api_log_bytes");
    assert!(logged <= 300.0, "the API logs at most 300 bytes for an order: {logged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_ten_orders_logs_one_line_and_a_failure_logs_its_detail() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let consumer = deploy(&backend, "consumer", &Emulator::shared().endpoint).await;
    let message = |event: domain::Envelope| consumer::ports::Message {
        id: Uuid::now_v7().to_string(),
        group: Some(event.order_id.to_string()),
        body: event.encode(),
        ..consumer::ports::Message::default()
    };
    let creations = (0..10).map(|_| {
        let order = crate::support::events::new_order_id();
        message(crate::support::events::created(&order))
    });
    let event = sqs_event(&creations.collect::<Vec<_>>(), &backend.queues.arn);
    assert_eq!(consumer.invoke(&event).await, json!({ "batchItemFailures": [] }));
    let (bytes, lines) = own_bytes(&consumer).await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(bytes <= 300 * 10, "{bytes}");
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&line["MessagesProcessed"], &line["Status"]), (&json!(10.0), &json!("Recorded")));

    // An event of an order that does not exist is rejected. The line has its ids and the reason.
    let unknown = crate::support::events::confirmed(&crate::support::events::new_order_id());
    consumer.invoke(&sqs_event(&[message(unknown.clone())], &backend.queues.arn)).await;
    let (_, lines) = own_bytes(&consumer).await;
    let rejected =
        lines.iter().find(|line| line.contains("rejected")).unwrap_or_else(|| panic!("{lines:#?}"));
    let rejected: Value = serde_json::from_str(rejected).unwrap();
    assert_eq!(rejected["order_id"], unknown.order_id.as_str());
    assert_eq!(rejected["event_id"], unknown.event_id.to_string());
    assert!(rejected["detail"].is_string(), "{rejected}");
}
