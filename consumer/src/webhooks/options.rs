//! The settings of deliveries. The program's options set these values.

use std::time::Duration;

use super::schedule::Schedule;

/// The settings of deliveries to webhook subscriptions.
#[derive(Debug, Clone)]
pub struct DeliveryOptions {
    /// The maximum number of concurrent attempts of a subscription. Retries use at most half of them.
    pub concurrency: usize,
    /// When failed deliveries are tried again.
    pub schedule: Schedule,
    /// A subscription is disabled after all its deliveries failed for this long.
    pub disable_after: Duration,
    /// The number of held orders at which a subscription reads no further events.
    pub max_held: usize,
    /// The maximum number of events that are read ahead from the feed and not finished.
    pub window: usize,
    /// The number of events that are read from the feed in one call.
    pub page: usize,
    /// How often the progress is stored.
    pub save_every: Duration,
    /// How long attempts in flight may go on when the service stops.
    pub stop_grace: Duration,
}

impl Default for DeliveryOptions {
    fn default() -> Self {
        Self {
            concurrency: 16,
            schedule: Schedule::default(),
            disable_after: Duration::from_secs(5 * 24 * 3600),
            max_held: 10_000,
            window: 1024,
            page: 256,
            save_every: Duration::from_secs(1),
            stop_grace: Duration::from_secs(5),
        }
    }
}
