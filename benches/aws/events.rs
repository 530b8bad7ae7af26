//! Events in the form in which Lambda passes them to a function. Our consumer and the v0 consumer both
//! understand every message. `order_created` events have the form that our API writes, but also contain the
//! time in `data`, where the v0 consumer expects it. Later events have the form of a v0 producer.

use serde_json::{Value, json};
use uuid::Uuid;

const TIME: &str = "2026-11-23T10:00:00Z";
const STATUSES: [&str; 4] = ["confirmed", "paid", "shipped", "delivered"];

/// Makes batches of ten messages for the queue with the given ARN. The orders in them are new.
pub(crate) type Load = fn(queue_arn: &str) -> Vec<Value>;

/// One batch that creates ten orders.
pub(crate) fn creations(queue_arn: &str) -> Vec<Value> {
    let orders: Vec<_> = (0..10).map(|_| Uuid::now_v7().to_string()).collect();
    vec![batch(queue_arn, orders.iter().map(|id| (id, created(id))))]
}

/// Batches that take ten orders from created to delivered. Each batch contains one event of each order.
pub(crate) fn lives_step_by_step(queue_arn: &str) -> Vec<Value> {
    let orders: Vec<_> = (0..10).map(|_| Uuid::now_v7().to_string()).collect();
    let mut batches = vec![batch(queue_arn, orders.iter().map(|id| (id, created(id))))];
    for status in STATUSES {
        batches.push(batch(queue_arn, orders.iter().map(|id| (id, updated(id, status)))));
    }
    batches
}

/// One batch that takes two orders from created to delivered.
pub(crate) fn lives_in_one_batch(queue_arn: &str) -> Vec<Value> {
    let orders = [(); 2].map(|()| Uuid::now_v7().to_string());
    vec![batch(queue_arn, orders.iter().flat_map(life))]
}

fn life(id: &String) -> impl Iterator<Item = (&String, Value)> {
    let changes = STATUSES.iter().map(move |status| (id, updated(id, status)));
    std::iter::once((id, created(id))).chain(changes)
}

/// A batch that creates one order.
pub(crate) fn one_creation(queue_arn: &str) -> Value {
    let id = Uuid::now_v7().to_string();
    batch(queue_arn, std::iter::once((&id, created(&id))))
}

/// A request to create an order, in the form in which an HTTP API passes it to a function (payload format 2.0).
pub(crate) fn post_order() -> Value {
    let body = json!({ "customer_id": "c-1", "currency": "EUR",
                       "items": [{ "sku": "tea", "quantity": 2, "unit_price": 450 },
                                 { "sku": "cup", "quantity": 1, "unit_price": 900 }] });
    let http = json!({ "method": "POST", "path": "/v1/orders", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1",
                       "userAgent": "measuring" });
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/v1/orders", "rawQueryString": "",
        "headers": { "content-type": "application/json", "host": "api.example.com" },
        "requestContext": { "accountId": "000000000000", "apiId": "measured", "domainName": "api.example.com",
                            "domainPrefix": "api", "http": http, "requestId": "measured", "routeKey": "$default",
                            "stage": "$default", "time": "23/Nov/2026:10:00:00 +0000", "timeEpoch": 1_795_428_000_000u64 },
        "body": body.to_string(), "isBase64Encoded": false,
    })
}

fn created(order_id: &str) -> Value {
    let items = json!([{ "sku": "tea", "quantity": 2, "unit_price": 450 },
                       { "sku": "cup", "quantity": 1, "unit_price": 900 }]);
    json!({
        "event_id": Uuid::now_v7(), "type": "order_created", "schema_version": 1, "timestamp": TIME,
        "correlation_id": Uuid::now_v7(),
        "data": { "order_id": order_id, "customer_id": "c-1", "currency": "EUR", "items": items, "total": 1800,
                  "timestamp": TIME },
    })
}

fn updated(order_id: &str, status: &str) -> Value {
    json!({
        "type": "order_updated", "timestamp": TIME, "correlation_id": Uuid::now_v7(),
        "data": { "order_id": order_id, "status": status, "timestamp": TIME },
    })
}

fn batch<'a>(queue_arn: &str, messages: impl Iterator<Item = (&'a String, Value)>) -> Value {
    let records: Vec<_> = messages.map(|(group, body)| record(queue_arn, group, &body)).collect();
    json!({ "Records": records })
}

fn record(queue_arn: &str, group: &str, body: &Value) -> Value {
    let correlation = json!({ "dataType": "String", "stringValue": body["correlation_id"],
                              "stringListValues": [], "binaryListValues": [] });
    json!({
        "messageId": Uuid::now_v7(), "receiptHandle": format!("AQEB{}", Uuid::now_v7().simple()).repeat(4),
        "body": body.to_string(), "md5OfBody": Uuid::now_v7().simple().to_string(),
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1795428000000", "SequenceNumber": "18893795840239342080",
            "MessageGroupId": group, "SenderId": "AIDAEXAMPLE", "MessageDeduplicationId": Uuid::now_v7(),
            "ApproximateFirstReceiveTimestamp": "1795428000001",
        },
        "messageAttributes": { "correlation_id": correlation },
        "eventSource": "aws:sqs", "eventSourceARN": queue_arn, "awsRegion": "us-east-1",
    })
}
