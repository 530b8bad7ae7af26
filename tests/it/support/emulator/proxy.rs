//! A proxy in front of an endpoint, which injects faults into AWS calls.

use std::ops::Deref;

use serde_json::{Value, json};

use super::Aws;
use super::process::Process;

/// A running proxy that passes on the calls of [`Aws`]. It is stopped when this value is dropped.
pub struct Proxy {
    aws: Aws,
    _process: Process,
}

/// A rule that throttles a share of the calls to a service. `probability` is that share.
pub fn throttled(service: &str, probability: f64) -> Value {
    let code =
        if service == "dynamodb" { "ProvisionedThroughputExceededException" } else { "ThrottlingException" };
    json!({ "service": service, "probability": probability, "error": { "code": code } })
}

impl Proxy {
    /// Starts a proxy in front of `upstream`. The first rule that matches a call applies to the call. If the calls come
    /// in the same order, the same `seed` makes the same calls fail. The proxy does not change signatures.
    pub fn start(upstream: &str, seed: u64, rules: &[Value]) -> Self {
        let rules = Value::from(rules).to_string();
        let started = Process::start("microburst", &[upstream, &seed.to_string(), &rules]);
        let process = started.unwrap_or_else(|error| panic!("{error}"));
        process.wait_until_healthy("/_microburst/health").unwrap_or_else(|error| panic!("{error}"));
        // The host name is `localhost`, without dots. In a host name with dots, the proxy would search for the name of
        // a service, and would load the model of every service.
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
