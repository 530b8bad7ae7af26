//! The last hour of the pipeline, kept in memory, so that the console can draw it without a metrics system. `orders serve`
//! runs [`PipelineHistory::run`], and the endpoint `GET /v1/pipeline/history` reads it.
//!
//! A sample each ten seconds costs one read of the counters, which are in memory. A restart empties the history.

mod latencies;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Ledger, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub use self::latencies::{Latencies, LatencyRecorder, Percentiles};
use crate::operations::{Pipeline, PipelineCounters};
use crate::ports::webhooks::WebhookStore;

/// The time between two samples.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);
/// The number of samples that are kept: those of an hour.
const MAX_SAMPLES: usize = 360;

/// The latest samples, oldest first.
#[derive(Debug, Default)]
pub struct PipelineHistory {
    samples: Mutex<VecDeque<PipelineSample>>,
}

/// What [`PipelineHistory::run`] reads.
pub struct SampledPorts {
    /// The counters, the backup and the disk.
    pub pipeline: Arc<dyn Pipeline>,
    /// The webhook subscriptions, if the service has any.
    pub webhooks: Option<Arc<dyn WebhookStore>>,
    /// The durations since the previous sample.
    pub latencies: Arc<Latencies>,
    /// Returns the current time.
    pub clock: fn() -> Timestamp,
}

/// The state of the pipeline at a time, and what happened since the sample before. `None` is unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineSample {
    /// When the sample was taken.
    pub at: Timestamp,
    /// What the ledger counted since the sample before, for each second.
    pub rates: Option<Rates>,
    /// The durations of publishing since the sample before. `None` if nothing was published.
    pub publish: Option<Percentiles>,
    /// The durations from accepting an event until it was recorded. `None` if nothing was recorded.
    pub record: Option<Percentiles>,
    /// The number of messages on the queue.
    pub queue_depth: u64,
    /// The age of the oldest message on the queue. 0 if the queue is empty.
    pub queue_oldest: Option<Duration>,
    /// The number of dead letters.
    pub dead_letters: u64,
    /// The free space of the disk with the data, in bytes.
    pub disk_free: Option<u64>,
    /// The lag of the continuous backup.
    pub backup_lag: Option<Duration>,
    /// The lag of the webhook subscription that lags most. `None` if there is no subscription.
    pub webhook_lag: Option<Duration>,
}

/// Events per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Accepted messages.
    pub accepted: f64,
    /// Recorded events.
    pub recorded: f64,
    /// Rejected events.
    pub rejected: f64,
}

impl Rates {
    /// The rates between two readings of the ledger, or `None` if no time has passed.
    fn between(before: &Ledger, now: &Ledger, elapsed: Duration) -> Option<Self> {
        let seconds = elapsed.as_secs_f64();
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
        (seconds > 0.0).then(|| Self {
            accepted: rate(before.accepted, now.accepted),
            recorded: rate(before.recorded, now.recorded),
            rejected: rate(before.rejected, now.rejected),
        })
    }
}

impl PipelineHistory {
    /// The samples after this time, or all samples.
    pub fn samples(&self, after: Option<Timestamp>) -> Vec<PipelineSample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().filter(|sample| after.is_none_or(|after| sample.at > after)).cloned().collect()
    }

    /// Adds a sample, and forgets the oldest one if there are too many.
    pub fn add(&self, sample: PipelineSample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        while samples.len() >= MAX_SAMPLES {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// Takes a sample at each interval until `stopped` becomes true or loses its sender.
    pub async fn run(&self, ports: SampledPorts, mut stopped: watch::Receiver<bool>) {
        let mut ticks = interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before: Option<(Instant, Ledger)> = None;
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                _ = ticks.tick() => {}
            }
            let now = Instant::now();
            let counters = match ports.pipeline.counters().await {
                Ok(counters) => counters,
                Err(error) => {
                    // A failing store is reported by whoever needs its answer.
                    tracing::debug!("the pipeline has no sample: {error:#}");
                    continue;
                }
            };
            let rates = before.and_then(|(at, ledger)| Rates::between(&ledger, &counters.ledger, now - at));
            before = Some((now, counters.ledger));
            self.add(ports.sample(&counters, rates).await);
        }
    }
}

impl SampledPorts {
    async fn sample(&self, counters: &PipelineCounters, rates: Option<Rates>) -> PipelineSample {
        let empty = (counters.queued() == 0).then_some(Duration::ZERO);
        PipelineSample {
            at: (self.clock)(),
            rates,
            publish: self.latencies.publish.take(),
            record: self.latencies.record.take(),
            queue_depth: counters.queued(),
            queue_oldest: empty.or(counters.oldest),
            dead_letters: counters.dead_letters,
            disk_free: self.pipeline.disk().and_then(|disk| disk.free_bytes),
            backup_lag: self.pipeline.backup().and_then(|backup| backup.lag),
            webhook_lag: self.webhook_lag().await,
        }
    }

    async fn webhook_lag(&self) -> Option<Duration> {
        let subscriptions = self.webhooks.as_ref()?.subscriptions().await.ok()?;
        let lag = subscriptions.iter().filter_map(|status| status.progress.lag_ms).max();
        lag.map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: i64) -> PipelineSample {
        PipelineSample {
            at: Timestamp::from_millis(seconds * 1000).unwrap(),
            rates: None,
            publish: None,
            record: None,
            queue_depth: 0,
            queue_oldest: None,
            dead_letters: 0,
            disk_free: None,
            backup_lag: None,
            webhook_lag: None,
        }
    }

    #[test]
    fn an_hour_is_kept_and_can_be_continued() {
        let history = PipelineHistory::default();
        (0..400).for_each(|tick| history.add(sample(tick * 10)));
        let all = history.samples(None);
        assert_eq!(all.len(), MAX_SAMPLES);
        assert_eq!((all[0].at, all[359].at), (sample(400).at, sample(3990).at));
        assert_eq!(history.samples(Some(sample(3970).at)), [sample(3980), sample(3990)]);
        assert!(history.samples(Some(sample(3990).at)).is_empty());
    }

    #[test]
    fn a_rate_is_the_difference_of_two_readings() {
        let before = Ledger { accepted: 100, recorded: 90, rejected: 3, ..Ledger::default() };
        let now = Ledger { accepted: 300, recorded: 190, rejected: 4, ..Ledger::default() };
        let rates = Rates::between(&before, &now, Duration::from_secs(10));
        assert_eq!(rates, Some(Rates { accepted: 20.0, recorded: 10.0, rejected: 0.1 }));
        assert_eq!(Rates::between(&before, &now, Duration::ZERO), None);
    }
}
