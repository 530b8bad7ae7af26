//! Measures latencies, and rates over time, while the load runs. Workers and samples report to it; the report reads it.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::client::{LoadResponse, RequestFailure};
use super::counts::{CallCounts, FailedAttempts};
use super::mix::RequestKind;

/// The approximate number of points in a plot over time.
const POINTS: u32 = 120;
/// The minimum time that a point covers.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(250);

/// The maximum latency that we record, in microseconds: a day. Longer latencies count as a day.
const LONGEST_LATENCY: u64 = 86_400_000_000;

/// Latencies in microseconds, with three significant digits.
pub(super) type LatencyHistogram = Histogram<u64>;

pub(super) fn latencies() -> LatencyHistogram {
    Histogram::new(3).expect("a histogram supports a precision of 0 to 5 digits")
}

pub(super) fn note(histogram: &mut LatencyHistogram, latency: Duration) {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).min(LONGEST_LATENCY);
    histogram.record(micros).expect("the histogram resizes itself");
}

/// A finished interval of the run. Rates are per second, latencies in microseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct TimelinePoint {
    /// The end of the interval, in seconds since the load began.
    pub(super) at: f64,
    pub(super) requests: f64,
    pub(super) accepted: f64,
    pub(super) errors: f64,
    pub(super) accept_p50: Option<u64>,
    pub(super) accept_p99: Option<u64>,
    pub(super) recorded_p50: Option<u64>,
    pub(super) recorded_p99: Option<u64>,
    /// Events in flight: accepted, without an outcome yet.
    pub(super) depth: Option<u64>,
}

/// The interval that is still in progress.
#[derive(Debug)]
struct CurrentInterval {
    requests: u64,
    accepted: u64,
    errors: u64,
    accept: LatencyHistogram,
    recorded: LatencyHistogram,
}

#[derive(Debug)]
pub(super) struct Measurements {
    pub(super) start: Instant,
    /// When the warm-up ends and the measurement begins.
    pub(super) measured_from: Instant,
    pub(super) interval: Duration,
    /// Latencies of correctly answered requests by kind, in the order of [`RequestKind::ALL`].
    pub(super) kinds: [LatencyHistogram; RequestKind::COUNT],
    /// Latencies from the send time to the `202`.
    pub(super) accept: LatencyHistogram,
    /// Latencies from the `202` to the answer that the event is recorded.
    pub(super) recorded: LatencyHistogram,
    pub(super) errors: FailedAttempts,
    pub(super) calls: CallCounts,
    /// Accepted events since the warm-up.
    pub(super) measured_accepted: u64,
    /// Correctly answered requests since the warm-up.
    pub(super) measured_requests: u64,
    /// Retries that the service answered as replays.
    pub(super) replayed: u64,
    /// Writes whose answer was lost, and whose retry was answered as a replay.
    pub(super) recovered: u64,
    pub(super) points: Vec<TimelinePoint>,
    pub(super) depth: Option<u64>,
    /// When the load ended.
    pub(super) ended: Instant,
    current: CurrentInterval,
}

impl Measurements {
    pub(super) fn new(start: Instant, warm_up: Duration, duration: Duration) -> Self {
        let current = CurrentInterval {
            requests: 0,
            accepted: 0,
            errors: 0,
            accept: latencies(),
            recorded: latencies(),
        };
        Self {
            start,
            measured_from: start + warm_up,
            interval: ((warm_up + duration) / POINTS).max(SHORTEST_INTERVAL),
            kinds: std::array::from_fn(|_| latencies()),
            accept: latencies(),
            recorded: latencies(),
            errors: FailedAttempts::default(),
            calls: CallCounts::default(),
            measured_accepted: 0,
            measured_requests: 0,
            replayed: 0,
            recovered: 0,
            points: Vec::new(),
            depth: None,
            ended: start + warm_up + duration,
            current,
        }
    }

    /// Records a correct answer, which arrived at `now`, to a request that was due at `from`.
    pub(super) fn answered(&mut self, kind: RequestKind, from: Instant, now: Instant, accepted: Acceptance) {
        self.advance(now);
        let latency = now.saturating_duration_since(from);
        self.current.requests += 1;
        let is_accepted = accepted != Acceptance::No;
        if is_accepted {
            note(&mut self.current.accept, latency);
            self.current.accepted += u64::from(accepted == Acceptance::New);
        }
        if from >= self.measured_from {
            self.measured_requests += 1;
            note(&mut self.kinds[kind as usize], latency);
            if is_accepted {
                note(&mut self.accept, latency);
                self.measured_accepted += u64::from(accepted == Acceptance::New);
            }
        }
    }

    /// Counts a failed attempt.
    pub(super) fn failed(&mut self, result: &Result<LoadResponse, RequestFailure>, now: Instant) {
        self.advance(now);
        self.errors.count(result);
        self.current.errors += 1;
    }

    /// Counts an answer that is wrong for its request.
    pub(super) fn unexpected(&mut self, now: Instant) {
        self.advance(now);
        self.errors.unexpected += 1;
        self.current.errors += 1;
    }

    /// Records the latency of an event that was accepted at the time `accepted` and is recorded at `now`.
    pub(super) fn recorded(&mut self, accepted: Instant, now: Instant) {
        self.advance(now);
        let latency = now.saturating_duration_since(accepted);
        note(&mut self.current.recorded, latency);
        if accepted >= self.measured_from {
            note(&mut self.recorded, latency);
        }
    }

    /// Finishes the intervals that ended before `now`.
    pub(super) fn advance(&mut self, now: Instant) {
        loop {
            let count = u32::try_from(self.points.len() + 1).unwrap_or(u32::MAX);
            let end = self.start + self.interval * count;
            if now < end {
                return;
            }
            let seconds = self.interval.as_secs_f64();
            let current = &mut self.current;
            let quantile = |of: &LatencyHistogram, q| (!of.is_empty()).then(|| of.value_at_quantile(q));
            self.points.push(TimelinePoint {
                at: (end - self.start).as_secs_f64(),
                requests: current.requests as f64 / seconds,
                accepted: current.accepted as f64 / seconds,
                errors: current.errors as f64 / seconds,
                accept_p50: quantile(&current.accept, 0.5),
                accept_p99: quantile(&current.accept, 0.99),
                recorded_p50: quantile(&current.recorded, 0.5),
                recorded_p99: quantile(&current.recorded, 0.99),
                depth: self.depth,
            });
            (current.requests, current.accepted, current.errors) = (0, 0, 0);
            current.accept.reset();
            current.recorded.reset();
        }
    }
}

/// Whether an answer states that an event was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acceptance {
    No,
    New,
    /// The answer belongs to a retry of an event that was accepted earlier.
    Again,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn intervals_have_their_own_rates_and_quantiles() {
        let start = Instant::now();
        let mut measured = Measurements::new(start, ms(1000), ms(29_000));
        assert_eq!(measured.interval, ms(250));
        for i in 0..100 {
            measured.answered(RequestKind::Create, start, start + ms(i + 1), Acceptance::New);
        }
        measured.answered(RequestKind::Read, start + ms(1100), start + ms(1200), Acceptance::No);
        measured.advance(start + ms(1250));
        let points = &measured.points;
        assert_eq!((points.len(), points[0].accepted, points[0].requests), (5, 400.0, 400.0));
        assert!(points[0].accept_p50.unwrap().abs_diff(50_000) < 100, "{points:?}");
        assert!(points[0].accept_p99.unwrap().abs_diff(99_000) < 100, "{points:?}");
        assert_eq!((points[1].requests, points[1].accept_p50, points[4].requests), (0.0, None, 4.0));
    }

    #[test]
    fn the_warm_up_is_in_the_plots_but_not_in_the_figures() {
        let start = Instant::now();
        let mut measured = Measurements::new(start, ms(1000), ms(9000));
        measured.answered(RequestKind::Create, start + ms(999), start + ms(1500), Acceptance::New);
        measured.answered(RequestKind::Create, start + ms(1000), start + ms(1003), Acceptance::New);
        measured.answered(RequestKind::Retry, start + ms(1000), start + ms(1005), Acceptance::Again);
        measured.recorded(start + ms(10), start + ms(1100));
        measured.recorded(start + ms(1003), start + ms(1013));
        assert_eq!((measured.measured_accepted, measured.measured_requests), (1, 2));
        assert_eq!((measured.accept.len(), measured.recorded.len()), (2, 1));
        assert!(measured.recorded.max().abs_diff(10_000) < 20);
    }
}
