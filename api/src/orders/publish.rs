//! Publishes events and measures how long publishing takes. `accept`, `batch` and `expiry` call this module.

use std::time::Instant;

use domain::Envelope;
use metrics::{counter, histogram};

use crate::http::publish_span;
use crate::ports::{Acceptance, EventPublisher, PublishError};

/// Publishes events and records the duration and the results as metrics.
pub(crate) async fn publish_events(
    publisher: &dyn EventPublisher,
    events: &[Envelope],
) -> Vec<Result<Acceptance, PublishError>> {
    let started = Instant::now();
    let results = publish_span(events, publisher.publish(events)).await;
    histogram!("orders_publish_duration_seconds").record(started.elapsed());
    if results.iter().all(Result::is_ok) {
        // Usually, all events are accepted, and the label is a constant. With a variable label, each call would
        // allocate and hash the key of the metric.
        counter!("orders_events_published_total", "result" => "accepted").increment(results.len() as u64);
        return results;
    }
    for (label, is_it) in RESULTS {
        let count = results.iter().filter(|result| is_it(result)).count();
        if count > 0 {
            counter!("orders_events_published_total", "result" => label).increment(count as u64);
        }
    }
    results
}

type ResultMatcher = fn(&Result<Acceptance, PublishError>) -> bool;

/// The values of the label `result`.
const RESULTS: [(&str, ResultMatcher); 5] = [
    ("accepted", Result::is_ok),
    ("full", |result| matches!(result, Err(PublishError::Full(_)))),
    ("too_large", |result| matches!(result, Err(PublishError::TooLarge { .. }))),
    ("unavailable", |result| matches!(result, Err(PublishError::NotAccepted(_)))),
    ("unknown", |result| matches!(result, Err(PublishError::Unknown(_)))),
];
