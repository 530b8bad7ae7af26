//! A proxy before an endpoint that injects AWS faults.

use std::ops::Deref;

use serde_json::{Value, json};

use super::Aws;
use super::process::Process;

/// A running proxy through which the calls of [`Aws`] go. It is stopped when this value is dropped.
pub struct Proxy {
    aws: Aws,
    _process: Process,
}

/// A rule that throttles this share of a service's calls.
pub fn throttled(service: &str, probability: f64) -> Value {
    let code =
        if service == "dynamodb" { "ProvisionedThroughputExceededException" } else { "ThrottlingException" };
    json!({ "service": service, "probability": probability, "error": { "code": code } })
}

impl Proxy {
    /// Starts a proxy before `upstream`. The first matching rule decides about each call. The same `seed` makes the
    /// same calls fail, if the calls come in the same order. Signatures are not changed.
    pub fn start(upstream: &str, seed: u64, rules: &[Value]) -> Self {
        let rules = Value::from(rules).to_string();
        let started = Process::start("microburst", &[upstream, &seed.to_string(), &rules]);
        let process = started.unwrap_or_else(|error| panic!("{error}"));
        process.wait_until_healthy("/_microburst/health").unwrap_or_else(|error| panic!("{error}"));
        // If the address had dots, the proxy would look for a service name in it, and load the model of every service.
        Self { aws: process.aws("localhost"), _process: process }
    }

    /// Replaces all rules. Without rules, every call passes.
    pub async fn set_rules(&self, rules: &[Value]) {
        let request =
            crate::support::http::client().post(self.control("rules")).body(Value::from(rules).to_string());
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    }

    /// The faults that were injected so far, oldest first. Each has a `service`, an `operation` and an `action`.
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
