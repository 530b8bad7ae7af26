//! Metrics of deliveries, through the [`metrics`] facade. The worker and the role on AWS record the metrics.
//! Subscriptions are identified by their id. A worker keeps an [`AttemptMeter`], because it costs much more
//! to find a metric by its labels than to record a value.

use std::time::Duration;

use domain::{SubscriptionId, SubscriptionState};
use metrics::{Counter, Histogram, counter, gauge, histogram};

use super::attempt::Finished;

/// The values of the label `result` of attempts.
const RESULTS: [&str; 4] = ["delivered", "failed", "timed_out", "refused"];

/// Registers the counters of a subscription with 0, so that Prometheus notices their first increment.
fn register(id: SubscriptionId) {
    for result in RESULTS {
        let labels = [("subscription", id.to_string()), ("result", result.to_owned())];
        counter!("orders_webhook_attempts_total", &labels).absolute(0);
    }
    counter!("orders_webhook_given_up_total", "subscription" => id.to_string()).absolute(0);
    for state in [SubscriptionState::Paused, SubscriptionState::Disabled] {
        let labels = [("subscription", id.to_string()), ("state", state.as_str().to_owned())];
        counter!("orders_webhook_stopped_total", &labels).absolute(0);
    }
}

/// Counts an attempt.
pub(crate) fn count_attempt(id: SubscriptionId, finished: &Finished) {
    AttemptMeter::new(id).count(finished);
}

/// The metrics of a subscription's attempts.
pub(crate) struct AttemptMeter {
    subscription: String,
    duration: Histogram,
    /// The counters of the results so far.
    results: Vec<(&'static str, Counter)>,
}

impl AttemptMeter {
    /// The metrics of a subscription, whose counters exist from now on.
    pub(crate) fn registered(id: SubscriptionId) -> Self {
        register(id);
        Self::new(id)
    }

    fn new(id: SubscriptionId) -> Self {
        let subscription = id.to_string();
        let duration =
            histogram!("orders_webhook_attempt_duration_seconds", "subscription" => subscription.clone());
        Self { subscription, duration, results: Vec::new() }
    }

    /// Counts an attempt.
    pub(crate) fn count(&mut self, finished: &Finished) {
        self.duration.record(Duration::from_millis(finished.attempt.latency_ms));
        let label = finished.label;
        if let Some((_, counter)) = self.results.iter().find(|(known, _)| *known == label) {
            return counter.increment(1);
        }
        let labels = [("subscription", self.subscription.clone()), ("result", label.to_owned())];
        let counter = counter!("orders_webhook_attempts_total", &labels);
        counter.increment(1);
        self.results.push((label, counter));
    }
}

/// Counts a delivery whose last attempt has failed.
pub(crate) fn count_given_up(id: SubscriptionId) {
    counter!("orders_webhook_given_up_total", "subscription" => id.to_string()).increment(1);
}

/// Counts a subscription that the service has stopped, because its receiver is gone or always fails.
pub(crate) fn count_stopped(id: SubscriptionId, state: SubscriptionState) {
    let labels = [("subscription", id.to_string()), ("state", state.as_str().to_owned())];
    counter!("orders_webhook_stopped_total", &labels).increment(1);
}

/// Records the lag of a subscription's deliveries.
pub(crate) fn show_lag(id: SubscriptionId, events: u64, age: Duration, held_orders: usize) {
    let subscription = id.to_string();
    gauge!("orders_webhook_lag_events", "subscription" => subscription.clone()).set(events as f64);
    gauge!("orders_webhook_lag_seconds", "subscription" => subscription.clone()).set(age.as_secs_f64());
    gauge!("orders_webhook_held_orders", "subscription" => subscription).set(held_orders as f64);
}
