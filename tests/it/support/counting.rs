//! A proxy that counts the AWS calls that pass through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::forward::{self, ForwardedCall};

/// The calls that passed through the proxy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallCounts {
    /// The number of calls of each operation.
    pub calls: BTreeMap<String, usize>,
    /// The number of statements in `BatchExecuteStatement` calls.
    pub statements: usize,
    /// The write units of the table and its index, and the read units, as the answers report them.
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

impl CountingProxy {
    pub async fn start(upstream: &str) -> Self {
        let counts = Arc::<Mutex<CallCounts>>::default();
        let shared = Arc::clone(&counts);
        let endpoint = forward::serve(upstream, move |call| pass(Arc::clone(&shared), call)).await;
        Self { endpoint, counts }
    }

    /// Returns the counts so far.
    pub fn counts(&self) -> CallCounts {
        self.counts.lock().unwrap().clone()
    }

    /// Returns the counts and resets them.
    pub fn take(&self) -> CallCounts {
        std::mem::take(&mut self.counts.lock().unwrap())
    }
}

async fn pass(counts: Arc<Mutex<CallCounts>>, mut call: ForwardedCall) -> Response {
    let operation = Some(call.operation()).filter(|name| !name.is_empty()).unwrap_or("other").to_owned();
    let content = serde_json::from_slice(&call.body).unwrap_or_default();
    counts.lock().unwrap().latest.insert(operation.clone(), content);
    if call.target().starts_with("DynamoDB") {
        call.body = with_consumed_capacity(&call.body).into();
    }
    let answer = call.send().await;
    counts.lock().unwrap().add(&operation, &answer.body);
    answer.into_response()
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
            "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems" => self.write_units += units,
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
