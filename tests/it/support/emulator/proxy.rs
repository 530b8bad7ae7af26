//! A proxy that injects AWS faults in front of an endpoint.

use std::ops::Deref;

use serde_json::{Value, json};

use super::Aws;
use super::process::Process;

/// A running proxy; the calls of [`Aws`] go through it. Stopped when dropped.
pub struct Proxy {
    aws: Aws,
    _process: Process,
}

/// A rule by which this share of a service's calls is throttled.
pub fn throttled(service: &str, probability: f64) -> Value {
    let code =
        if service == "dynamodb" { "ProvisionedThroughputExceededException" } else { "ThrottlingException" };
    json!({ "service": service, "probability": probability, "error": { "code": code } })
}

impl Proxy {
    /// Starts a proxy in front of `upstream`. The first matching rule decides each call. With the same `seed` and the same
    /// order of calls, the same calls fail. Signatures pass unchanged.
    pub fn start(upstream: &str, seed: u64, rules: &[Value]) -> Self {
        let rules = Value::from(rules).to_string();
        let started = Process::start("microburst", &[upstream, &seed.to_string(), &rules]);
        let process = started.unwrap_or_else(|error| panic!("{error}"));
        process.wait_until_healthy("/_microburst/health").unwrap_or_else(|error| panic!("{error}"));
        // In an address with dots the proxy would look for a service name, and load the model of every service.
        Self { aws: process.aws("localhost"), _process: process }
    }

    /// Replaces all rules. Without rules every call passes.
    pub async fn set_rules(&self, rules: &[Value]) {
        let request =
            crate::support::http::client().post(self.control("rules")).body(Value::from(rules).to_string());
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    }

    /// The faults injected so far, oldest first, each with its `service`, `operation` and `action`.
    pub async fn faults(&self) -> Vec<Value> {
        let response =
            crate::support::http::client().get(self.control("fired?limit=2000")).send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    fn control(&self, path: &str) -> String {
        format!("{}/_microburst/{path}", self.endpoint)
    }
}

impl Deref for Proxy {
    type Target = Aws;

    fn deref(&self) -> &Aws {
        &self.aws
    }
}
