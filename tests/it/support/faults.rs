//! A proxy that carries out calls to AWS, but loses, delays or refuses some of them. The proxy also shortens
//! waits: a retried message is received again after one second, and a receive call waits for at most one
//! second. A receive call whose consumer was killed would otherwise still take messages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::forward::{self, ForwardedCall};

/// The shares of calls that get a fault.
#[derive(Debug, Clone, Copy)]
pub struct FaultShares {
    /// Calls that are carried out, and whose connection breaks before the end of the answer.
    pub lost: f64,
    /// Calls that are carried out and answered with status 500.
    pub failed: f64,
    /// Calls that are carried out and answered after the time limit of an attempt.
    pub late: f64,
    /// Batches of deletions that are not carried out, in which each deletion is reported as failed.
    pub undeleted: f64,
}

/// Longer than the service waits for an answer: see `infra/src/sdk.rs`.
const LATE: Duration = Duration::from_millis(5500);

pub struct FaultProxy {
    pub endpoint: String,
    state: Arc<FaultState>,
}

struct FaultState {
    shares: FaultShares,
    random: Mutex<fastrand::Rng>,
    calls: AtomicUsize,
    faults: AtomicUsize,
}

impl FaultProxy {
    /// Starts a proxy. If the calls come in the same order, the same `seed` makes the same calls fail.
    pub async fn start(upstream: &str, seed: u64, shares: FaultShares) -> Self {
        let random = fastrand::Rng::with_seed(seed).into();
        let state = FaultState { shares, random, calls: 0.into(), faults: 0.into() };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        let endpoint = forward::serve(upstream, move |call| pass(Arc::clone(&shared), call)).await;
        Self { endpoint, state }
    }

    /// The number of calls so far.
    pub fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }

    /// The number of faults so far.
    pub fn faults(&self) -> usize {
        self.state.faults.load(Ordering::SeqCst)
    }
}

impl FaultState {
    fn happens(&self, share: f64) -> bool {
        let happens = self.random.lock().unwrap().f64() < share;
        self.faults.fetch_add(usize::from(happens), Ordering::SeqCst);
        happens
    }
}

/// Shortens the times in a call to SQS.
fn hurry(call: &mut ForwardedCall) {
    let is_receive = call.operation() == "ReceiveMessage";
    if !is_receive && call.operation() != "ChangeMessageVisibilityBatch" {
        return;
    }
    let mut content: Value = serde_json::from_slice(&call.body).unwrap();
    if is_receive {
        content["WaitTimeSeconds"] = json!(1);
    } else {
        let entries = content["Entries"].as_array_mut().unwrap();
        entries.iter_mut().for_each(|entry| entry["VisibilityTimeout"] = json!(1));
    }
    call.body = content.to_string().into();
}

async fn pass(state: Arc<FaultState>, mut call: ForwardedCall) -> Response {
    state.calls.fetch_add(1, Ordering::SeqCst);
    let FaultShares { lost, failed, late, undeleted } = state.shares;
    if call.operation() == "DeleteMessageBatch" && state.happens(undeleted) {
        let batch: Value = serde_json::from_slice(&call.body).unwrap();
        let entries = batch["Entries"].as_array().unwrap().iter();
        let refused =
            entries.map(|entry| json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false }));
        return Json(json!({ "Successful": [], "Failed": refused.collect::<Vec<_>>() })).into_response();
    }
    hurry(&mut call);
    let answer = call.send().await;
    if state.happens(lost) {
        let broken = futures_util::stream::once(async { Err::<String, _>(std::io::Error::other("gone")) });
        return Body::from_stream(broken).into_response();
    }
    if state.happens(failed) {
        let error = json!({ "__type": "InternalServerError", "message": "made up by a test" });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response();
    }
    if state.happens(late) {
        tokio::time::sleep(LATE).await;
    }
    answer.into_response()
}
