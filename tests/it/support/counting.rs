//! A proxy that counts the AWS calls that pass through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::Value;

use super::http;

/// The calls that passed through the proxy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallCounts {
    /// The number of calls of each operation.
    pub calls: BTreeMap<String, usize>,
    /// The number of statements in `BatchExecuteStatement` calls.
    pub statements: usize,
    /// The capacity that the answers report: write units of the table and its index, and read units.
    pub write_units: f64,
    pub read_units: f64,
    /// The latest call of each operation.
    pub latest: BTreeMap<String, Value>,
}

/// A running proxy. It ends with the runtime in which it was started.
pub struct CountingProxy {
    pub endpoint: String,
    counts: Arc<Mutex<CallCounts>>,
}

#[derive(Clone)]
struct Passing {
    upstream: String,
    client: reqwest::Client,
    counts: Arc<Mutex<CallCounts>>,
}

impl CountingProxy {
    pub async fn start(upstream: &str) -> Self {
        let counts = Arc::default();
        let passing =
            Passing { upstream: upstream.to_owned(), client: http::client(), counts: Arc::clone(&counts) };
        let endpoint = http::serve(Router::new().fallback(pass).with_state(passing)).await;
        Self { endpoint, counts }
    }

    /// Returns the counts and resets them.
    pub fn take(&self) -> CallCounts {
        std::mem::take(&mut self.counts.lock().unwrap())
    }
}

async fn pass(State(passing): State<Passing>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
    let operation =
        target.as_deref().and_then(|target| target.rsplit('.').next()).unwrap_or("other").to_owned();
    passing
        .counts
        .lock()
        .unwrap()
        .latest
        .insert(operation.clone(), serde_json::from_slice(&body).unwrap_or_default());
    let body = if target.is_some_and(|target| target.starts_with("DynamoDB")) {
        with_consumed_capacity(&body)
    } else {
        body.to_vec()
    };

    let mut call =
        passing.client.request(parts.method, format!("{}{}", passing.upstream, parts.uri)).body(body);
    for (name, value) in &parts.headers {
        if name != "host" && name != "content-length" {
            call = call.header(name, value);
        }
    }
    let answer = call.send().await.unwrap();
    let status = answer.status();
    let headers = answer.headers().clone();
    let bytes = answer.bytes().await.unwrap();
    passing.counts.lock().unwrap().add(&operation, &bytes);
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().extend(
        headers.into_iter().filter_map(|(name, value)| Some((name?, value))).filter(|(name, _)| {
            // The proxy sends the whole body in one piece, so it does not copy the headers about the length.
            name.as_str() != "transfer-encoding" && name.as_str() != "content-length"
        }),
    );
    response
}

/// The call with an additional parameter, which makes DynamoDB return the consumed capacity.
fn with_consumed_capacity(body: &[u8]) -> Vec<u8> {
    let mut call: Value = serde_json::from_slice(body).unwrap();
    call["ReturnConsumedCapacity"] = Value::from("INDEXES");
    call.to_string().into_bytes()
}

impl CallCounts {
    fn add(&mut self, operation: &str, answer: &[u8]) {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let consumed = &answer["ConsumedCapacity"];
        let consumed = consumed.as_array().map_or(std::slice::from_ref(consumed), Vec::as_slice);
        let units: f64 = consumed.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
        match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" => self.write_units += units,
            "BatchExecuteStatement" => {
                self.statements += answer["Responses"].as_array().map_or(0, Vec::len);
                self.write_units += units;
            }
            _ => self.read_units += units,
        }
    }

    pub fn calls_of(&self, operation: &str) -> usize {
        self.calls.get(operation).copied().unwrap_or(0)
    }
}
