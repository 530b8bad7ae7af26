//! Collects what a page does wrong while a test uses it. [`super::page`] passes the events of the browser to it.

use std::sync::{Arc, Mutex};

use serde_json::Value;

/// The faults of a page so far, one line each. Clones share the list.
#[derive(Clone, Default)]
pub(super) struct Faults {
    list: Arc<Mutex<Vec<String>>>,
    /// The origins that the test has opened. Requests to others are faults.
    origins: Arc<Mutex<Vec<String>>>,
}

impl Faults {
    pub(super) fn list(&self) -> Vec<String> {
        self.list.lock().unwrap().clone()
    }

    /// Notes the origin of an address that a test opens.
    pub(super) fn allow(&self, address: &str) {
        self.origins.lock().unwrap().push(origin(address));
    }

    /// Adds the fault that an event of the browser reports, if it reports one.
    pub(super) fn note(&self, event: &Value) {
        let params = &event["params"];
        let fault = match event["method"].as_str() {
            Some("Runtime.consoleAPICalled") => console_error(params),
            Some("Runtime.exceptionThrown") => {
                let details = &params["exceptionDetails"];
                Some(format!("exception: {} {}", details["text"], details["exception"]["description"]))
            }
            Some("Log.entryAdded") => log_entry(&params["entry"]),
            Some("Audits.issueAdded") => policy_violation(&params["issue"]),
            Some("Network.requestWillBeSent") => self.foreign_request(&params["request"]["url"]),
            Some("Network.responseReceived") => failed_asset(params),
            _ => None,
        };
        self.list.lock().unwrap().extend(fault);
    }

    fn foreign_request(&self, url: &Value) -> Option<String> {
        let url = url.as_str().unwrap_or_default();
        let stays_here = ["data:", "blob:", "about:", "file:"].iter().any(|scheme| url.starts_with(scheme));
        let is_allowed = stays_here || self.origins.lock().unwrap().contains(&origin(url));
        (!is_allowed).then(|| format!("request to another origin: {url}"))
    }
}

/// The scheme, host and port of an address.
fn origin(address: &str) -> String {
    address.split('/').take(3).collect::<Vec<_>>().join("/")
}

fn console_error(params: &Value) -> Option<String> {
    let is_fault = matches!(params["type"].as_str(), Some("error" | "warning" | "assert"));
    is_fault.then(|| format!("console.{}: {}", params["type"].as_str().unwrap_or("?"), params["args"]))
}

/// Errors of the browser itself. It also lists each answer with an error status; those are [`failed_asset`]s, or answers
/// of the API, which a page must handle and show.
fn log_entry(entry: &Value) -> Option<String> {
    let is_fault = entry["level"] == "error" && entry["source"] != "network";
    is_fault.then(|| format!("{}: {} {}", entry["source"], entry["text"], entry["url"]))
}

fn policy_violation(issue: &Value) -> Option<String> {
    let details = &issue["details"]["contentSecurityPolicyIssueDetails"];
    (issue["code"] == "ContentSecurityPolicyIssue").then(|| format!("violates its policy: {details}"))
}

/// A part of the page that the server does not have.
fn failed_asset(params: &Value) -> Option<String> {
    let (status, url) = (params["response"]["status"].as_u64()?, &params["response"]["url"]);
    let is_asset = !matches!(params["type"].as_str(), Some("Fetch" | "XHR" | "EventSource"));
    (is_asset && status >= 400).then(|| format!("{url} answers {status}"))
}
