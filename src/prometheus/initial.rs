//! The series that exist from the start, with the value 0. Without them, the first increment of a counter would go
//! unnoticed: Prometheus computes an increase from two samples. The parent module registers them.
//!
//! Series with an open set of label values, such as webhook subscriptions, exist from the start of what they are about.

use consumer::alert::{ALERTS, Alert, RESULTS};
use domain::ParkReason;
use metrics::{counter, gauge, histogram};

use super::{DROPPED_LINES, DUE_LAG};

/// A part of the program that has its own series. A role consists of some of these parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeriesOf {
    /// Requests, and the feed.
    Api,
    /// Publishing events to the queue.
    Publishing,
    /// Handling messages.
    Consumer,
    /// Alerts to operators.
    Alerts,
    /// Proposals to cancel orders that are not paid.
    Expiry,
    /// The relay, on AWS.
    #[cfg(feature = "aws")]
    Relay,
}

/// The requests whose durations are measured from the start. The others appear with their first request, because each
/// duration consists of some 20 series.
const TIMED: [(&str, &str); 3] =
    [("POST", "/v1/orders"), ("POST", "/v1/orders/{order_id}/events"), ("GET", "/v1/orders/{order_id}")];

/// Registers the series of these parts.
pub(super) fn register(parts: &[SeriesOf]) {
    counter!(DROPPED_LINES).absolute(0);
    for part in parts {
        match part {
            SeriesOf::Api => register_api(),
            SeriesOf::Publishing => {
                each(
                    "orders_events_published_total",
                    "result",
                    &["accepted", "full", "too_large", "unavailable", "unknown"],
                );
                drop(histogram!("orders_publish_duration_seconds"));
            }
            SeriesOf::Consumer => register_consumer(),
            SeriesOf::Alerts => {
                for (kind, result) in
                    Alert::KINDS.iter().flat_map(|kind| RESULTS.map(|result| (*kind, result)))
                {
                    counter!(ALERTS, "type" => kind, "result" => result).absolute(0);
                }
            }
            SeriesOf::Expiry => {
                counter!("orders_due_proposed_total").absolute(0);
                drop(histogram!("orders_due_late_seconds"));
                gauge!(DUE_LAG).set(0.0);
            }
            #[cfg(feature = "aws")]
            SeriesOf::Relay => {
                counter!("orders_relay_events_total").absolute(0);
                drop(histogram!("orders_relay_lag_seconds"));
            }
        }
    }
}

fn register_api() {
    for (method, route) in operations() {
        // Alerts wait for this status. Others appear with their first request.
        let labels = [("route", route), ("method", method), ("status", "500".to_owned())];
        counter!("orders_http_requests_total", &labels).absolute(0);
    }
    for (method, route) in TIMED {
        drop(histogram!("orders_http_request_duration_seconds", "route" => route, "method" => method));
    }
    each("orders_connections_closed_total", "reason", &["room", "share"]);
    each("orders_feed_events_sent_total", "to", &["page", "stream"]);
    counter!("orders_backup_stream_bytes_total").absolute(0);
}

/// The method and the route of each operation in the OpenAPI document.
fn operations() -> Vec<(String, String)> {
    let document = serde_json::to_value(api::openapi()).unwrap_or_default();
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(route, item)| {
        let methods = item.as_object().into_iter().flat_map(|item| item.keys());
        methods.map(move |method| (method.to_ascii_uppercase(), route.clone()))
    });
    operations
        .filter(|(method, _)| ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()))
        .collect()
}

fn register_consumer() {
    let dispositions = ["recorded", "rejected", "duplicate", "parked", "retried"];
    each("orders_messages_processed_total", "status", &dispositions);
    each("orders_dead_letters_parked_total", "reason", &ParkReason::ALL.map(ParkReason::as_str));
    counter!("orders_messages_redelivered_total").absolute(0);
    drop(histogram!("orders_batch_size"));
    drop(histogram!("orders_processing_duration_seconds"));
    drop(histogram!("orders_queue_age_seconds"));
    drop(histogram!("orders_end_to_end_seconds"));
}

/// Registers a counter for each value of its label.
fn each(name: &'static str, label: &'static str, values: &[&'static str]) {
    values.iter().for_each(|value| counter!(name, label => *value).absolute(0));
}
