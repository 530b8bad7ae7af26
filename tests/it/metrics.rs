//! Tests the Prometheus metrics of a server, read with Prometheus's own client library.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pipeline::{created_and_shipped_too_early, from_created_to_delivered, from_pending_to_delivered};
use crate::support::emulator::python;
use crate::support::service::{Api, Service, orders};

/// The documentation of the metrics.
const DOCUMENTED: &str = include_str!("../../docs/observability.md");

struct Measured {
    service: Service,
    api: Api,
    address: String,
    _folder: TempDir,
}

impl Measured {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
        command.env("ORDERS_MIN_FREE_DISK", "1").arg("--data").arg(folder.path().join("data"));
        let (service, line) = Service::spawn_until(command, "metrics at");
        let address = format!("http://{}/metrics", line["listen"].as_str().unwrap());
        let serving = service.wait_for_log("\"serving\"");
        let api = Api::at(&format!("http://{}", serving["listen"].as_str().unwrap()));
        Self { service, api, address, _folder: folder }
    }

    fn scrape(&self) -> Vec<Value> {
        let mut command = python::command("scrape.py").unwrap_or_else(|error| panic!("{error}"));
        let output = command.arg(&self.address).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let scraped: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(scraped["content_type"], "text/plain; version=0.0.4; charset=utf-8");
        scraped["families"].as_array().unwrap().clone()
    }
}

/// The value of the only sample with the given name and the given labels.
fn value(families: &[Value], name: &str, labels: &Value) -> f64 {
    let samples = families.iter().flat_map(|family| family["samples"].as_array().unwrap());
    let is_it = |sample: &&Value| sample["name"] == name && sample["labels"] == *labels;
    let found: Vec<_> = samples.filter(is_it).collect();
    assert_eq!(found.len(), 1, "{name} {labels} in {families:#?}");
    found[0]["value"].as_f64().unwrap_or_else(|| panic!("{name} has no number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_the_metrics_of_an_order() {
    let measured = Measured::start();
    let order_id = created_and_shipped_too_early(&measured.api, "c-metrics").await;
    // An event gets its outcome before its message is deleted. Until the message is deleted, the next event of the
    // order is queued too.
    measured.api.settled().await;
    from_pending_to_delivered(&measured.api, "c-metrics", &order_id).await;
    let malformed = measured.api.send(Method::POST, "/v1/orders", Some(&json!([]))).await.unwrap();
    assert_eq!(malformed.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let unknown = measured.api.send(Method::GET, "/no/such/path", None).await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);

    let metrics = measured.scrape();
    let value = |name: &str, labels: Value| value(&metrics, name, &labels);
    // The requests send five legal events and a rejected one.
    assert_eq!(value("orders_messages_processed_total", json!({ "status": "recorded" })), 5.0);
    assert_eq!(value("orders_messages_processed_total", json!({ "status": "rejected" })), 1.0);
    assert_eq!(value("orders_events_published_total", json!({ "result": "accepted" })), 6.0);
    assert_eq!(value("orders_publish_duration_seconds_count", json!({})), 6.0);
    // Only the rejected event is queued. The other events are recorded by inline commits.
    assert_eq!(value("orders_queue_age_seconds_count", json!({})), 1.0);
    assert_eq!(value("orders_end_to_end_seconds_count", json!({})), 5.0);
    let took = value("orders_end_to_end_seconds_sum", json!({}));
    assert!(took > 0.0 && took < 60.0, "{took} s");
    assert_eq!(value("orders_batch_size_sum", json!({})), 1.0);

    let created = json!({ "route": "/v1/orders", "method": "POST", "status": "202" });
    assert_eq!(value("orders_http_requests_total", created), 1.0);
    let refused = json!({ "route": "/v1/orders", "method": "POST", "status": "422" });
    assert_eq!(value("orders_http_requests_total", refused), 1.0);
    let events = json!({ "route": "/v1/orders/{order_id}/events", "method": "POST", "status": "202" });
    assert_eq!(value("orders_http_requests_total", events), 5.0);
    let nowhere = json!({ "route": "none", "method": "GET", "status": "404" });
    assert_eq!(value("orders_http_requests_total", nowhere), 1.0);

    assert_eq!(value("orders_ledger_events", json!({ "end": "accepted" })), 6.0);
    assert_eq!(value("orders_ledger_events", json!({ "end": "recorded" })), 5.0);
    assert_eq!(value("orders_queue_messages", json!({ "state": "visible" })), 0.0);
    assert_eq!(value("orders_queue_oldest_seconds", json!({})), 0.0);
    // An id in a label would create a time series for each order.
    assert!(!format!("{metrics:?}").contains(&order_id));
    assert!(measured.service.wait_for_log("recorded")["correlation_id"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_a_type_and_a_help_text_and_are_documented() {
    let measured = Measured::start();
    from_created_to_delivered(&measured.api, "c-metrics").await;
    let families = measured.scrape();
    for family in &families {
        assert_ne!(family["help"], "", "{family:#}");
        assert_ne!(family["type"], "unknown", "{family:#}");
    }
    // The client library removes `_total` from the names of counters.
    let named = |family: &Value| {
        let counter = if family["type"] == "counter" { "_total" } else { "" };
        format!("{}{counter}", family["name"].as_str().unwrap())
    };
    let there: BTreeSet<_> = families.iter().map(named).collect();
    let documented: BTreeSet<_> = documented().map(|(name, _)| name.to_owned()).collect();
    let undocumented: Vec<_> = there.difference(&documented).collect();
    assert!(undocumented.is_empty(), "not in docs/observability.md: {undocumented:?}");
    // The missing metrics count things that do not happen in this test.
    let missing: Vec<_> = documented.difference(&there).map(String::as_str).collect();
    let absent = [
        "orders_backup_bytes_total",
        "orders_backup_drill_failures_total",
        "orders_backup_failures_total",
        "orders_backup_lag_events",
        "orders_backup_lag_seconds",
        "orders_backup_last_success_timestamp_seconds",
        "orders_backup_stream_bytes_total",
        "orders_backup_verified_age_seconds",
        "orders_connections_closed_total",
        "orders_dead_letters_parked_total",
        "orders_due_late_seconds",
        "orders_due_proposed_total",
        "orders_feed_events_sent_total",
        "orders_jwks_keys",
        "orders_jwks_loads_total",
        "orders_messages_redelivered_total",
        "orders_output_events_total",
        "orders_relay_events_total",
        "orders_relay_lag_seconds",
        "orders_webhook_attempt_duration_seconds",
        "orders_webhook_attempts_total",
        "orders_webhook_given_up_total",
        "orders_webhook_held_orders",
        "orders_webhook_lag_events",
        "orders_webhook_lag_seconds",
        "orders_webhook_stopped_total",
    ];
    assert_eq!(missing, absent);
}

/// The metrics in the documentation's table, by their names in Prometheus and in CloudWatch.
pub fn documented() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    DOCUMENTED.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(|cell| cell.trim().split('`'));
        let name = cells.next()?.next().filter(|name| name.starts_with("orders_"))?;
        Some((name, cells.next()?.nth(1)))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_does_not_serve_metrics() {
    let measured = Measured::start();
    let answer = measured.api.send(Method::GET, "/metrics", None).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    assert_eq!(service.send(Method::GET, "/metrics", None).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[test]
fn an_invalid_address_is_reported() {
    let output = orders(&["serve", "--metrics-listen", "9090"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("ORDERS_METRICS_LISTEN \"9090\" is not"), "{error}");
}
