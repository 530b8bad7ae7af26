//! Tests `POST` requests: what they publish and how they are answered.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::fakes::{FakePorts, QueueBehaviour, get, post, send};

const ORDER: &str = r#"{"customer_id":"c-1","currency":"EUR","total":300,"metadata":{"k":"v"},
    "items":[{"sku":"A","quantity":2,"unit_price":150}]}"#;

#[tokio::test]
async fn an_order_is_published_and_answered_with_a_receipt() {
    let fake = Arc::new(FakePorts::default());
    let request = Request::post("/v1/orders")
        .header("content-type", "application/json")
        .header("x-correlation-id", "req-1")
        .body(Body::from(ORDER))
        .unwrap();
    let answer = send(&fake, request).await;
    assert_eq!(answer.status, 202);

    let published = fake.published();
    let [envelope] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(envelope.order_id.as_str().parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    assert_eq!(envelope.event_id.as_uuid().get_version_num(), 7);
    let (order_id, event_id) = (&envelope.order_id, envelope.event_id);
    let json: Value = serde_json::from_slice(&envelope.encode()).unwrap();
    let expected = json!({
        "event_id": event_id, "type": "order_created", "schema_version": 2, "correlation_id": "req-1",
        "timestamp": "2026-11-23T10:00:00Z",
        "data": {
            "order_id": order_id, "customer_id": "c-1", "currency": "EUR", "total": 300, "metadata": { "k": "v" },
            "items": [{ "sku": "A", "quantity": 2, "unit_price": 150 }],
        },
    });
    assert_eq!(json, expected);

    let receipt = format!("/v1/orders/{order_id}/events/{event_id}");
    assert_eq!(answer.header("location"), receipt);
    let expected = json!({
        "object": "receipt", "order_id": order_id, "event_id": event_id, "type": "order_created", "state": "accepted",
        "links": { "self": receipt, "order": format!("/v1/orders/{order_id}") },
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn an_event_is_published_for_the_order_in_the_path() {
    let fake = Arc::new(FakePorts::default());
    let body = r#"{"type":"order_paid","data":{"payment_id":"p-1","amount":300}}"#;
    let answer = post(&fake, "/v1/orders/article_7/events", body).await;
    assert_eq!(answer.status, 202);

    let json: Value = serde_json::from_slice(&fake.published()[0].encode()).unwrap();
    assert_eq!(json["type"], "order_paid");
    assert_eq!(json["data"], json!({ "order_id": "article_7", "payment_id": "p-1", "amount": 300 }));
    assert_eq!(json["correlation_id"], answer.header("x-correlation-id"));
    assert_eq!(answer.json()["order_id"], "article_7");
}

#[tokio::test]
async fn each_failure_of_the_queue_has_its_problem() {
    for (queue, status, problem, retry_after) in [
        (QueueBehaviour::Full, 503, "/problems/queue-full", "5"),
        (QueueBehaviour::Unavailable, 503, "/problems/unavailable", "1"),
        (QueueBehaviour::TooSmall, 413, "/problems/content-too-large", ""),
        (QueueBehaviour::LosesAnswer, 503, "/problems/outcome-unknown", ""),
        (QueueBehaviour::Panics, 503, "/problems/outcome-unknown", ""),
    ] {
        let fake = Arc::new(FakePorts { queue, ..FakePorts::default() });
        let answer = post(&fake, "/v1/orders", ORDER).await;
        answer.is_problem(status, problem);
        assert_eq!(answer.header("retry-after"), retry_after);
    }
}

#[tokio::test]
async fn the_error_for_an_event_that_is_too_large_states_both_sizes() {
    let fake = Arc::new(FakePorts { queue: QueueBehaviour::TooSmall, ..FakePorts::default() });
    let expected = "The event has 1048577 bytes; the queue accepts at most 1048576. Nothing was accepted.";
    assert_eq!(post(&fake, "/v1/orders", ORDER).await.json()["detail"], expected);
}

#[tokio::test]
async fn a_receipts_link_contains_the_type_if_the_queue_cannot_be_searched() {
    let fake = Arc::new(FakePorts { sees_queued: false, ..FakePorts::default() });
    let body = r#"{"type":"order_paid","data":{"payment_id":"p-1","amount":300}}"#;
    let answer = post(&fake, "/v1/orders/o-1/events", body).await;

    let path = format!("/v1/orders/o-1/events/{}", fake.published()[0].event_id);
    assert_eq!(answer.header("location"), format!("{path}?type=order_paid"));
    assert_eq!(answer.json()["links"]["self"], answer.header("location"));
    assert_eq!(answer.json()["links"]["order"], "/v1/orders/o-1");
    // The link in the 202 leads to the same body as the 202 itself.
    let followed = get(&fake, answer.header("location")).await;
    assert_eq!((followed.status.as_u16(), followed.json()), (200, answer.json()));
    get(&fake, &path).await.is_problem(404, "/problems/event-not-found");
}
