//! What is counted of requests, through the [`metrics`] facade: nothing, unless whoever runs this has installed a
//! recorder.

use std::time::Instant;

use axum::extract::MatchedPath;
use axum::http::{Extensions, Method, StatusCode};
use domain::Envelope;
use metrics::{SharedString, counter, histogram};

use crate::ports::{EventPublisher, PublishError, Published};
use crate::spans;

/// A request that is being answered.
pub(crate) struct Answering {
    route: Option<MatchedPath>,
    method: &'static str,
    started: Instant,
}

impl Answering {
    pub(crate) fn of(method: &Method, extensions: &Extensions) -> Self {
        Self { route: extensions.get().cloned(), method: label(method), started: Instant::now() }
    }

    pub(crate) fn answered(self, status: StatusCode) {
        // Not the path: whoever asks could make as many series as they like.
        let route = match &self.route {
            Some(route) => SharedString::from_owned(route.as_str().to_owned()),
            None => SharedString::const_str("none"),
        };
        let status = SharedString::from_owned(status.as_str().to_owned());
        let (method, took) = (self.method, self.started.elapsed());
        histogram!("orders_http_request_duration_seconds", "route" => route.clone(), "method" => method)
            .record(took);
        counter!("orders_http_requests_total", "route" => route, "method" => method, "status" => status)
            .increment(1);
    }
}

/// The method, or `other`: it is the client's to choose.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Publishes, and counts how that went and how long it took.
pub(crate) async fn publish(
    publisher: &dyn EventPublisher,
    events: &[Envelope],
) -> Vec<Result<Published, PublishError>> {
    let started = Instant::now();
    let results = spans::publishing(events, publisher.publish(events)).await;
    histogram!("orders_publish_duration_seconds").record(started.elapsed());
    for (label, is_it) in RESULTS {
        let count = results.iter().filter(|result| is_it(result)).count();
        if count > 0 {
            counter!("orders_events_published_total", "result" => label).increment(count as u64);
        }
    }
    results
}

type Is = fn(&Result<Published, PublishError>) -> bool;

/// How publishing an event ends, as the label says it.
const RESULTS: [(&str, Is); 5] = [
    ("accepted", Result::is_ok),
    ("full", |result| matches!(result, Err(PublishError::Full(_)))),
    ("too_large", |result| matches!(result, Err(PublishError::TooLarge { .. }))),
    ("unavailable", |result| matches!(result, Err(PublishError::NotAccepted(_)))),
    ("unknown", |result| matches!(result, Err(PublishError::Unknown(_)))),
];
