//! Tests the answers to requests whose outcome is unknown: the event may have been accepted.

use std::sync::Arc;
use std::time::Duration;

use api::Deadline;
use axum::body::Body;
use axum::http::Request;
use domain::Receipt;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fakes::{Answer, FakePorts, QueueBehaviour, get, send};

const ORDER: &str =
    r#"{"customer_id":"c-1","currency":"EUR","items":[{"sku":"A","quantity":1,"unit_price":1}]}"#;
const PAID: &str = r#"{"type":"order_paid","data":{"payment_id":"p-1","amount":300}}"#;

fn post(path: &str, key: &str, body: &str) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    let request = if key.is_empty() { request } else { request.header("idempotency-key", key) };
    request.body(Body::from(body.to_owned())).unwrap()
}

fn fake(queue: QueueBehaviour) -> Arc<FakePorts> {
    Arc::new(FakePorts { queue, ..FakePorts::default() })
}

/// Asserts that the answer reports an unknown outcome, and names the event and the next step.
#[track_caller]
fn is_outcome_unknown(answer: &Answer, keyed: bool) {
    answer.is_problem(503, "/problems/outcome-unknown");
    let body = answer.json();
    assert_eq!(answer.header("retry-after"), if keyed { "1" } else { "" }, "{body}");
    names_the_event(&body, keyed);
}

#[track_caller]
fn names_the_event(body: &Value, keyed: bool) {
    let [order_id, event_id] = ["order_id", "event_id"].map(|id| body[id].as_str().unwrap());
    let receipt = body["links"]["receipt"].as_str().unwrap();
    let (path, query) = receipt.split_once('?').unwrap_or((receipt, ""));
    assert_eq!(path, format!("/v1/orders/{order_id}/events/{event_id}"));
    assert_eq!((query.len(), query.starts_with("request=")), if keyed { (24, true) } else { (0, false) });
    assert_eq!(body["links"]["order"], format!("/v1/orders/{order_id}"));
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains("may have been accepted"), "{detail}");
    let advice = if keyed { "same Idempotency-Key" } else { "links.receipt" };
    assert!(detail.contains(advice) && !detail.contains("Nothing was accepted"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_may_have_been_accepted_is_never_reported_as_refused() {
    for queue in [QueueBehaviour::LosesAnswer, QueueBehaviour::Hangs, QueueBehaviour::Panics] {
        for (path, body) in [("/v1/orders", ORDER), ("/v1/orders/o-1/events", PAID)] {
            for key in ["", "k"] {
                let mut request = post(path, key, body);
                request.extensions_mut().insert(Deadline(Instant::now() + Duration::from_secs(30)));
                let answer = send(&fake(queue), request).await;
                is_outcome_unknown(&answer, !key.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn if_the_queue_cannot_be_searched_a_404_proves_nothing() {
    let fake = Arc::new(FakePorts {
        queue: QueueBehaviour::LosesAnswer,
        sees_queued: false,
        ..FakePorts::default()
    });
    let answer = send(&fake, post("/v1/orders/o-1/events", "", PAID)).await;
    is_outcome_unknown(&answer, false);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("the event may still be on the queue") && !detail.contains("was not accepted"),
        "{detail}"
    );
    // The receipt is not found, but its event may still have been accepted.
    let receipt = get(&fake, answer.json()["links"]["receipt"].as_str().unwrap()).await;
    receipt.is_problem(404, "/problems/event-not-found");
    let detail = receipt.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("If it was accepted, it is still on the queue"), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn each_order_of_a_batch_reports_its_unknown_outcome() {
    for queue in [QueueBehaviour::LosesAnswer, QueueBehaviour::Hangs] {
        for key in ["", "k"] {
            let mut request =
                post("/v1/orders/batch", key, &format!(r#"{{"orders":[{ORDER},{{}},{ORDER}]}}"#));
            request.extensions_mut().insert(Deadline(Instant::now() + Duration::from_secs(30)));
            let answer = send(&fake(queue), request).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let items = answer.json()["items"].clone();
            assert_eq!(items[1]["status"], 422);
            for item in [&items[0], &items[2]] {
                assert_eq!((&item["status"], &item["receipt"]), (&json!(503), &Value::Null));
                assert_eq!(item["problem"]["type"], "/problems/outcome-unknown");
                names_the_event(&item["problem"], !key.is_empty());
            }
            assert_ne!(items[0]["problem"]["event_id"], items[2]["problem"]["event_id"]);
        }
    }
    let request = post("/v1/orders/batch", "k", &format!(r#"{{"orders":[{ORDER}]}}"#));
    let answer = send(&fake(QueueBehaviour::Panics), request).await;
    answer.is_problem(503, "/problems/outcome-unknown");
    assert!(answer.json()["detail"].as_str().unwrap().contains("same batch again"));
}

/// Publishes the event of the given request, and returns its receipt. The event has no outcome.
async fn proposed(request: Request<Body>) -> Receipt {
    let fake = Arc::new(FakePorts::default());
    send(&fake, request).await;
    Receipt::of(&fake.published()[0], None)
}

#[tokio::test]
async fn all_but_the_first_of_concurrent_requests_under_one_key_are_replays_or_refused() {
    for (path, body, other) in [
        ("/v1/orders", ORDER.to_owned(), ORDER.replace("c-1", "c-2")),
        ("/v1/orders/o-1/events", PAID.to_owned(), PAID.replace("300", "301")),
        (
            "/v1/orders/batch",
            format!(r#"{{"orders":[{ORDER}]}}"#),
            format!(r#"{{"orders":[{ORDER}]}}"#).replace("c-1", "c-2"),
        ),
    ] {
        // The event of the first request becomes visible only after the second request has looked for a receipt.
        let receipt = Some(proposed(post(path, "k", &body)).await);
        let fake = FakePorts {
            queue: QueueBehaviour::Repeats,
            receipt,
            finds_receipts_from: 2,
            ..FakePorts::default()
        };
        let fake = Arc::new(fake);
        let same = send(&fake, post(path, "k", &body)).await;
        assert!(same.status.is_success(), "{same:?}");
        assert_eq!(same.header("idempotent-replayed"), "true", "{path}");
        fake.lookups.store(0, std::sync::atomic::Ordering::SeqCst);
        let other = send(&fake, post(path, "k", &other)).await;
        other.is_problem(422, "/problems/idempotency-key-reused");
    }
}

#[tokio::test]
async fn a_receipts_link_belongs_to_one_request_under_a_key() {
    let first = proposed(post("/v1/orders/o-1/events", "k", PAID)).await;
    for sees_queued in [true, false] {
        // The second request with the same idempotency key was accepted too, because the first was not visible yet.
        let blind = Arc::new(FakePorts { sees_queued: false, ..FakePorts::default() });
        let second = send(&blind, post("/v1/orders/o-1/events", "k", &PAID.replace("300", "301"))).await;
        let link = second.header("location").to_owned();
        assert!(link.contains("?type=order_paid&request="), "{link}");
        let waiting = get(&blind, &link).await;
        assert_eq!((waiting.status.as_u16(), waiting.json()["links"]["self"].as_str()), (200, Some(&*link)));

        let receipt = Some(first.clone());
        let fake = Arc::new(FakePorts { receipt, sees_queued, ..FakePorts::default() });
        get(&fake, &link).await.is_problem(422, "/problems/idempotency-key-reused");
        // The link from the answer to the first request still returns the receipt of the first event.
        let own = format!("/v1/orders/o-1/events/{}", first.event_id);
        let tag = &first.request_hash.as_ref().unwrap()[..16];
        for query in [String::new(), format!("?request={tag}"), format!("?type=order_paid&request={tag}")] {
            assert_eq!(get(&fake, &format!("{own}{query}")).await.status, 200, "{query}");
        }
        let odd = get(&fake, &format!("{own}?request={}", &tag[..15])).await;
        odd.is_problem(400, "/problems/invalid-parameter");
    }
}
