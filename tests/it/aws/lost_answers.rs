//! Tests calls whose answer from SQS is lost. The API reports *not accepted* only if the event cannot be on the queue,
//! and otherwise *outcome unknown*.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use api::ports::{Acceptance, EventPublisher, PublishError};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::support::emulator::Emulator;
use crate::support::events::{created, new_order_id};
use crate::support::eventually::{check, eventually};
use crate::support::forward::{self, ForwardedCall};
use crate::support::http;
use crate::support::service::order;

/// The answer of a fake SQS to one attempt.
#[derive(Debug, Clone, Copy)]
enum Reply {
    /// Accepts every entry.
    Accepts,
    RefusesEntries,
    /// Refuses the call.
    Refuses,
    Throttles,
    Fails,
    /// Closes the connection before the end of the answer.
    BreaksOff,
}

impl Reply {
    fn response(self, entries: &[Value]) -> Response {
        let error = |status: StatusCode, code: &str| {
            let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "no" });
            (status, Json(body)).into_response()
        };
        let each = |entry: fn(&Value) -> Value| entries.iter().map(entry).collect::<Vec<_>>();
        match self {
            Self::Accepts => Json(json!({
                "Successful": each(|entry| json!({ "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "" })),
                "Failed": [],
            }))
            .into_response(),
            Self::RefusesEntries => Json(json!({
                "Successful": [],
                "Failed": each(|entry| json!({ "Id": entry["Id"], "Code": "No", "SenderFault": true })),
            }))
            .into_response(),
            Self::Refuses => error(StatusCode::BAD_REQUEST, "QueueDoesNotExist"),
            Self::Throttles => error(StatusCode::BAD_REQUEST, "ThrottlingException"),
            Self::Fails => error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Self::BreaksOff => {
                let broken = futures_util::stream::once(async { Err::<String, _>(io::Error::other("gone")) });
                Body::from_stream(broken).into_response()
            }
        }
    }
}

/// Publishes an event through a fake SQS, which gives the answers in `replies` to the attempts, in order.
/// Further attempts get the last answer.
async fn published(replies: &'static [Reply]) -> Result<Acceptance, PublishError> {
    let attempts = Arc::new(AtomicUsize::new(0));
    let answer = move |body: String| async move {
        let call: Value = serde_json::from_str(&body).unwrap();
        let attempt = attempts.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1);
        replies[attempt].response(call["Entries"].as_array().unwrap())
    };
    publish_at(&http::serve(Router::new().fallback(answer)).await).await
}

async fn publish_at(endpoint: &str) -> Result<Acceptance, PublishError> {
    let sdk = infra::aws::config_at(endpoint).await;
    let queue = infra::aws::queue(&sdk, &format!("{endpoint}/1/orders.fifo"));
    queue.publish(&[created(&new_order_id())]).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_refused_only_where_no_attempt_can_have_arrived() {
    use Reply::{Accepts, BreaksOff, Fails, Refuses, RefusesEntries, Throttles};
    for replies in [&[Accepts][..], &[Fails, Accepts], &[BreaksOff, Accepts], &[Throttles, Accepts]] {
        let result = published(replies).await;
        assert!(matches!(result, Ok(Acceptance::New)), "{replies:?}: {result:?}");
    }
    for replies in [&[Refuses][..], &[Throttles], &[RefusesEntries], &[Throttles, RefusesEntries]] {
        let result = published(replies).await;
        assert!(matches!(result, Err(PublishError::NotAccepted(_))), "{replies:?}: {result:?}");
    }
    // The answer to the last attempt does not show whether an earlier attempt was accepted.
    for replies in
        [&[Fails][..], &[BreaksOff], &[Fails, Refuses], &[BreaksOff, Throttles], &[Fails, RefusesEntries]]
    {
        let result = published(replies).await;
        assert!(matches!(result, Err(PublishError::Unknown(_))), "{replies:?}: {result:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let result = publish_at(&nobody).await;
    assert!(matches!(result, Err(PublishError::NotAccepted(_))), "no connection: {result:?}");
}

/// A proxy that drops the answers to batches that SQS has accepted, while `loses` is set. Returns `loses` and its endpoint.
async fn lossy() -> (Arc<AtomicBool>, String) {
    let loses = Arc::new(AtomicBool::new(true));
    let shared = Arc::clone(&loses);
    let work = move |call: ForwardedCall| {
        let loses = Arc::clone(&shared);
        async move {
            let answer = call.send().await;
            let is_lost = call.operation() == "SendMessageBatch" && loses.load(Ordering::SeqCst);
            if is_lost { Reply::Fails.response(&[]) } else { answer.into_response() }
        }
    };
    (loses, forward::serve(&Emulator::shared().endpoint, work).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_an_unknown_outcome_with_a_link_to_the_receipt() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let (loses, endpoint) = lossy().await;
    let api = backend.start_api(&endpoint);

    let bare = api.ask(Method::POST, "/v1/orders", &[], Some(&order("lost"))).await;
    bare.is_problem(503, "outcome-unknown");
    assert_eq!(bare.header("retry-after"), "", "a retry without a key would create a second order");
    let bare_receipt = bare.body["links"]["receipt"].as_str().unwrap();
    api.ask(Method::GET, bare_receipt, &[], None).await.is_problem(404, "event-not-found");

    let key = Uuid::now_v7().to_string();
    let headers = [("idempotency-key", key.as_str())];
    let keyed = api.ask(Method::POST, "/v1/orders", &headers, Some(&order("lost"))).await;
    keyed.is_problem(503, "outcome-unknown");
    assert_eq!(keyed.header("retry-after"), "1");
    let batch = json!({ "orders": [order("lost"), order("lost")] });
    let batch = api.ask(Method::POST, "/v1/orders/batch", &[], Some(&batch)).await;
    let items = batch.body["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["problem"]["type"] == "/problems/outcome-unknown"), "{batch:?}");

    loses.store(false, Ordering::SeqCst);
    let again = api.ask(Method::POST, "/v1/orders", &headers, Some(&order("lost"))).await;
    assert_eq!((again.status, &again.body["event_id"]), (202, &keyed.body["event_id"]), "{again:?}");

    let _consumer = backend.start_consumer(&Emulator::shared().endpoint);
    for problem in [&bare.body, &keyed.body, &items[0]["problem"], &items[1]["problem"]] {
        let receipt = problem["links"]["receipt"].as_str().unwrap();
        eventually("the receipt is found", async || check(api.get(receipt).await.0 == 200, problem)).await;
        let history = backend.history(&problem["order_id"].as_str().unwrap().parse().unwrap()).await;
        assert_eq!(history.len(), 1, "the event is recorded once, although it was sent more than once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_different_requests_with_one_key_leave_one_refused_receipt() {
    let backend = AwsBackend::open(true, QueueOptions::default()).await;
    let endpoint = &Emulator::shared().endpoint;
    let api = backend.start_api(endpoint);
    let key = Uuid::now_v7().to_string();
    let headers = [("idempotency-key", key.as_str())];
    let post = async |body: &Value| api.ask(Method::POST, "/v1/orders", &headers, Some(body)).await;
    // Both requests are accepted, because nothing is recorded yet and the API cannot read the queue.
    let (first, second) = (post(&order("first")).await, post(&order("second")).await);
    assert_eq!((first.status, second.status), (202, 202));
    assert_eq!(first.body["event_id"], second.body["event_id"]);
    assert_ne!(first.header("location"), second.header("location"));

    let _consumer = backend.start_consumer(endpoint);
    assert_eq!(api.outcome(&first.body).await["state"], "recorded");
    let refused = api.ask(Method::GET, second.header("location"), &[("prefer", "wait=20")], None).await;
    refused.is_problem(422, "idempotency-key-reused");
    post(&order("second")).await.is_problem(422, "idempotency-key-reused");
}
