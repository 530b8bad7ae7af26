//! Measures how long publishing and recording take, at the cost of one addition for each event. The history takes the
//! percentiles with each sample. The command that serves installs the recorder.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// The metric of the time to publish events.
const PUBLISH: &str = "orders_publish_duration_seconds";
/// The metric of the time from accepting an event until it is recorded.
const RECORD: &str = "orders_end_to_end_seconds";

/// The durations since they were last taken.
#[derive(Debug, Default)]
pub struct Latencies {
    /// The time to publish events durably.
    pub publish: Durations,
    /// The time from accepting an event until it is recorded.
    pub record: Durations,
}

/// Counts of durations, in buckets whose width is an eighth of a power of two of microseconds. So a percentile differs from
/// the exact one by at most 7 %.
#[derive(Debug)]
pub struct Durations {
    counts: [AtomicU64; BUCKETS],
}

/// Two percentiles of some durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// Half of the durations are at most this long.
    pub p50: Duration,
    /// 99 % of the durations are at most this long.
    pub p99: Duration,
}

/// The longest duration that has a bucket of its own, in microseconds: more than an hour.
const MAX_MICROS: u64 = (1 << 32) - 1;
const BUCKETS: usize = 240;

/// The bucket of a duration. The first eight buckets are one microsecond wide.
fn bucket(micros: u64) -> usize {
    let micros = micros.min(MAX_MICROS);
    match micros.checked_ilog2() {
        Some(exponent) if exponent >= 3 => {
            let step = (micros >> (exponent - 3)) & 7;
            ((exponent as usize - 2) << 3) | step as usize
        }
        _ => micros as usize,
    }
}

/// The middle of a bucket, in microseconds.
fn middle(bucket: usize) -> f64 {
    match bucket {
        0..8 => bucket as f64 + 0.5,
        _ => {
            let width = f64::from(1_u32 << ((bucket >> 3) - 1));
            (8.5 + (bucket & 7) as f64) * width
        }
    }
}

impl Default for Durations {
    fn default() -> Self {
        Self { counts: array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Durations {
    /// Counts a duration.
    pub fn add(&self, seconds: f64) {
        // A negative number or NaN becomes 0.
        self.counts[bucket((seconds * 1e6) as u64)].fetch_add(1, Relaxed);
    }

    /// The percentiles of all durations since the previous call, or `None` if there are none.
    pub fn take(&self) -> Option<Percentiles> {
        let counts: Vec<_> = self.counts.iter().map(|count| count.swap(0, Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let percentile = |percent: u64| {
            let rank = (total * percent).div_ceil(100);
            let mut below = 0;
            let found = counts.iter().position(|count| {
                below += count;
                below >= rank
            });
            Duration::from_secs_f64(middle(found.unwrap_or(0)) / 1e6)
        };
        (total > 0).then(|| Percentiles { p50: percentile(50), p99: percentile(99) })
    }
}

/// A recorder of metrics that keeps the latencies, and passes everything on to another recorder.
pub struct LatencyRecorder<R> {
    latencies: Arc<Latencies>,
    publish: Histogram,
    record: Histogram,
    inner: R,
}

/// A histogram of one of the two metrics.
struct Kept {
    durations: fn(&Latencies) -> &Durations,
    latencies: Arc<Latencies>,
    inner: Histogram,
}

impl HistogramFn for Kept {
    fn record(&self, value: f64) {
        (self.durations)(&self.latencies).add(value);
        self.inner.record(value);
    }
}

impl<R: Recorder> LatencyRecorder<R> {
    /// Keeps the latencies here, and passes everything on to `inner`.
    pub fn new(latencies: Arc<Latencies>, inner: R) -> Self {
        let kept = |name: &'static str, durations: fn(&Latencies) -> &Durations| {
            let metadata = Metadata::new(module_path!(), metrics::Level::INFO, Some(module_path!()));
            let inner = inner.register_histogram(&Key::from_static_name(name), &metadata);
            Histogram::from_arc(Arc::new(Kept { durations, latencies: latencies.clone(), inner }))
        };
        let publish = kept(PUBLISH, |latencies| &latencies.publish);
        let record = kept(RECORD, |latencies| &latencies.record);
        Self { latencies, publish, record, inner }
    }

    /// The latencies that are kept.
    pub fn latencies(&self) -> &Arc<Latencies> {
        &self.latencies
    }
}

impl<R: Recorder> Recorder for LatencyRecorder<R> {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.inner.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.inner.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.inner.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        match key.name() {
            PUBLISH => self.publish.clone(),
            RECORD => self.record.clone(),
            _ => self.inner.register_histogram(key, metadata),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_near_the_middle_of_its_bucket() {
        let mut previous = 0;
        for micros in (0..100_000).chain((17..32).map(|bit| 1 << bit)).chain([MAX_MICROS, u64::MAX]) {
            let bucket = bucket(micros);
            assert!(bucket >= previous && bucket < BUCKETS, "{micros}");
            previous = bucket;
            let micros = micros.min(MAX_MICROS) as f64;
            assert!((middle(bucket) - micros).abs() <= (micros * 0.07).max(0.5), "{micros}");
        }
    }

    #[test]
    fn percentiles_are_of_the_time_since_they_were_taken() {
        let durations = Durations::default();
        assert_eq!(durations.take(), None);
        (1..=1000).for_each(|millis| durations.add(f64::from(millis) / 1e3));
        let taken = durations.take().unwrap();
        let near = |found: Duration, millis: f64| (found.as_secs_f64() * 1e3 / millis - 1.0).abs() < 0.07;
        assert!(near(taken.p50, 500.0) && near(taken.p99, 990.0), "{taken:?}");
        assert_eq!(durations.take(), None);
        durations.add(-1.0);
        durations.add(f64::NAN);
        assert!(durations.take().unwrap().p99 < Duration::from_micros(1));
    }

    #[test]
    fn metrics_pass_through_and_latencies_are_kept() {
        let latencies = Arc::new(Latencies::default());
        let inner = metrics::NoopRecorder;
        let recorder = LatencyRecorder::new(latencies.clone(), inner);
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!(PUBLISH).record(0.004);
            metrics::histogram!(RECORD).record(0.002);
            metrics::histogram!("orders_batch_size").record(3.0);
        });
        assert!(recorder.latencies().publish.take().is_some());
        assert!(latencies.record.take().is_some() && latencies.record.take().is_none());
    }
}
