//! Tests the header `Prefer: wait`: the answers before and after an event has an outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::Deadline;
use axum::body::Body;
use axum::http::Request;
use domain::{EventType, Guard, Outcome, ParkReason, Receipt, RecordedEvent, RejectReason, Violation};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fakes::{Answer, FakePorts, created, send};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

fn confirmation(prefer: &str) -> Request<Body> {
    let request = Request::post("/v1/orders/o-1/events").header("content-type", "application/json");
    let request = request.header("prefer", prefer).header("idempotency-key", KEY);
    request.body(Body::from(r#"{"type":"order_confirmed"}"#)).unwrap()
}

/// Confirms an order, stores the given outcome for the event, and sends the same request again. Returns the
/// second answer.
async fn answer_to(outcome: Outcome) -> Answer {
    answer_over(vec![created("o-1", "c-1")], outcome).await
}

/// Like `answer_to`, but the order has the given log.
async fn answer_over(log: Vec<RecordedEvent>, outcome: Outcome) -> Answer {
    let first = Arc::new(FakePorts::default());
    send(&first, confirmation("")).await;
    let proposed = first.published().remove(0);
    let receipt = Receipt::of(&proposed, Some(outcome));
    let fake = FakePorts { receipt: Some(receipt), log, ..FakePorts::default() };
    send(&Arc::new(fake), confirmation("wait=5")).await
}

#[tokio::test(start_paused = true)]
async fn an_event_without_an_outcome_in_time_is_answered_as_accepted() {
    let fake = Arc::new(FakePorts::default());
    let start = Instant::now();
    let answer = send(&fake, confirmation("wait=3")).await;
    assert_eq!((answer.status.as_u16(), answer.header("preference-applied")), (202, "wait=3"));
    assert_eq!(answer.json()["state"], "accepted");
    assert_eq!(start.elapsed().as_secs(), 3);

    let answer = send(&fake, confirmation("wait=600")).await;
    assert_eq!((answer.status.as_u16(), answer.header("preference-applied")), (202, "wait=25"));
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_before_the_deadline_of_the_request() {
    let fake = Arc::new(FakePorts::default());
    let mut request = confirmation("wait=20");
    request.extensions_mut().insert(Deadline(Instant::now() + Duration::from_secs(4)));
    let answer = send(&fake, request).await;
    assert_eq!(answer.status, 202);
}

#[tokio::test(start_paused = true)]
async fn respond_async_does_not_wait() {
    let fake = Arc::new(FakePorts::default());
    let start = Instant::now();
    let answer = send(&fake, confirmation("respond-async, wait=10")).await;
    assert_eq!((answer.status.as_u16(), answer.header("preference-applied")), (202, "respond-async"));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn each_outcome_has_its_answer() {
    let recorded = answer_to(Outcome::Recorded { version: 2 }).await;
    assert_eq!((recorded.status.as_u16(), recorded.header("idempotent-replayed")), (200, "true"));
    assert_eq!((recorded.header("etag"), recorded.header("content-location")), ("\"1-2\"", "/v1/orders/o-1"));
    assert_eq!(recorded.json()["order_id"], "o-1");

    let rejected = |reason| Outcome::Rejected {
        reason,
        detail: "No, because.".to_owned(),
        at_version: Some(1),
        violation: None,
    };
    let illegal = answer_to(rejected(RejectReason::IllegalTransition)).await;
    illegal.is_problem(409, "/problems/illegal-transition");
    let body = illegal.json();
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.starts_with("No, because. ") && detail.ends_with("use a new key."), "{detail}");
    assert_eq!((&body["order_version"], &body["order_status"]), (&1.into(), &"pending".into()));
    assert_eq!(illegal.header("idempotent-replayed"), "true");
    assert_eq!(
        body["allowed_events"],
        serde_json::json!([
            "order_amended",
            "order_annotated",
            "order_confirmed",
            "order_held",
            "order_payment_authorized",
            "order_paid",
            "order_cancelled"
        ])
    );
    answer_to(rejected(RejectReason::VersionMismatch)).await.is_problem(412, "/problems/precondition-failed");

    let parked = Outcome::Parked { reason: ParkReason::BehindParked, detail: "later".to_owned() };
    let parked = answer_to(parked).await;
    assert_eq!((parked.status.as_u16(), &parked.json()["state"]), (202, &"parked".into()));
}

#[tokio::test]
async fn a_replayed_refusal_shows_the_order_as_it_was_then() {
    let mut log = vec![created("o-1", "c-1")];
    let confirmed = json!({
        "version": 2, "recorded_at": "2026-11-23T11:59:00Z", "event_id": "0199d3a0-0000-7000-8000-000000000002",
        "type": "order_confirmed", "schema_version": 1, "timestamp": "2026-11-23T11:00:00Z", "correlation_id": "r",
        "data": { "order_id": "o-1" },
    });
    log.push(RecordedEvent::decode(confirmed.to_string().as_bytes(), "EUR".parse().unwrap()).unwrap());
    let allowed = |is_pending: bool| {
        let all = EventType::ALL.into_iter();
        all.filter(|kind| match kind {
            EventType::Confirmed => is_pending,
            EventType::Amended | EventType::Annotated | EventType::Held | EventType::PaymentAuthorized => {
                true
            }
            EventType::Paid | EventType::Cancelled => true,
            _ => false,
        })
        .map(EventType::as_str)
        .collect::<Value>()
    };
    for (at_version, status, allowed) in [
        (Some(1), json!("pending"), allowed(true)),
        (Some(2), json!("confirmed"), allowed(false)),
        // `order_status` and `allowed_events` are absent if the outcome has no version, as in older receipts, or if the
        // order cannot be read at that version.
        (None, Value::Null, Value::Null),
        (Some(3), Value::Null, Value::Null),
    ] {
        let detail = "no".to_owned();
        let outcome = Outcome::Rejected {
            reason: RejectReason::IllegalTransition,
            detail,
            at_version,
            violation: None,
        };
        let answer = answer_over(log.clone(), outcome).await;
        answer.is_problem(409, "/problems/illegal-transition");
        let body = answer.json();
        assert_eq!((&body["order_status"], &body["allowed_events"]), (&status, &allowed), "{body}");
        assert_eq!(body["order_version"].as_u64(), at_version.filter(|_| !status.is_null()));
    }
    // The order did not exist at version 0. So the answer is a 404, although the order exists now.
    let detail = "order_confirmed is not legal while the order is not yet created".to_owned();
    let outcome = Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail,
        at_version: Some(0),
        violation: None,
    };
    answer_over(log, outcome).await.is_problem(404, "/problems/order-not-found");
}

#[tokio::test]
async fn a_refusal_of_a_taken_reference_names_its_order() {
    // The order was not created, because another order has its reference. The answer names that other order.
    let violation = Violation {
        guard: Guard::ReferenceFree,
        line_id: None,
        order_id: Some("o-9".parse().unwrap()),
        numbers: BTreeMap::new(),
    };
    let outcome = Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail: "no".to_owned(),
        at_version: Some(0),
        violation: Some(Box::new(violation)),
    };
    let answer = answer_over(vec![created("o-1", "c-1")], outcome).await;
    answer.is_problem(409, "/problems/illegal-transition");
    let body = answer.json();
    assert_eq!(body["violation"], json!({ "guard": "reference_free", "order_id": "o-9" }));
    assert_eq!(body["links"], json!({ "order": "/v1/orders/o-9" }));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_can_be_waited_for() {
    let fake = Arc::new(FakePorts::default());
    let path = "/v1/orders/o-1/events/0199d3a0-0000-7000-8000-000000000001";
    let get = |path: &str| Request::get(path).header("prefer", "wait=9").body(Body::empty()).unwrap();
    let start = Instant::now();
    send(&fake, get(path)).await.is_problem(404, "/problems/event-not-found");
    assert_eq!(
        start.elapsed(),
        Duration::ZERO,
        "a request for an event that was never accepted does not wait"
    );

    let receipt = Receipt {
        order_id: "o-1".parse().unwrap(),
        event_id: "0199d3a0-0000-7000-8000-000000000001".parse().unwrap(),
        event_type: EventType::Confirmed,
        outcome: None,
        request_hash: None,
        message: None,
    };
    let fake = Arc::new(FakePorts { receipt: Some(receipt), ..FakePorts::default() });
    let answer = send(&fake, get(path)).await;
    assert_eq!((answer.status.as_u16(), answer.header("preference-applied")), (200, "wait=9"));
    assert_eq!((&answer.json()["state"], start.elapsed().as_secs()), (&"accepted".into(), 9));
}
