//! What is measured while the load runs: latencies, and rates over time.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::client::{LoadResponse, RequestFailure};
use super::counts::{CallCounts, FailedAttempts};
use super::mix::RequestKind;

/// How many points a plot over time is to have, about.
const POINTS: u32 = 120;
/// The shortest time that a point stands for.
const SHORTEST: Duration = Duration::from_millis(250);

/// The longest latency that is told from longer ones: a day.
const LONGEST: u64 = 86_400_000_000;

/// Latencies in microseconds, to three digits.
pub(super) type LatencyHistogram = Histogram<u64>;

fn latencies() -> LatencyHistogram {
    Histogram::new(3).expect("three digits are between 0 and 5")
}

fn note(histogram: &mut LatencyHistogram, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(LONGEST);
    histogram.record(micros).expect("it grows as it needs to");
}

/// An interval of the run. Rates are per second, latencies in microseconds.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct TimelinePoint {
    /// Its end, in seconds since the load began.
    pub(super) at: f64,
    pub(super) requests: f64,
    pub(super) accepted: f64,
    pub(super) errors: f64,
    pub(super) accept_p50: Option<u64>,
    pub(super) accept_p99: Option<u64>,
    pub(super) recorded_p50: Option<u64>,
    pub(super) recorded_p99: Option<u64>,
    /// Events that were accepted and had no outcome yet.
    pub(super) depth: Option<u64>,
}

/// An interval that is not over.
#[derive(Debug)]
struct CurrentInterval {
    requests: u64,
    accepted: u64,
    errors: u64,
    accept: LatencyHistogram,
    recorded: LatencyHistogram,
}

/// Everything that is measured.
#[derive(Debug)]
pub(super) struct Measurements {
    pub(super) start: Instant,
    /// The end of the warm-up.
    pub(super) measured_from: Instant,
    pub(super) interval: Duration,
    /// By kind, in the order of [`RequestKind::ALL`], of answers as they should be.
    pub(super) kinds: [LatencyHistogram; RequestKind::COUNT],
    /// Of requests that were accepted.
    pub(super) accept: LatencyHistogram,
    /// From the `202` to the moment at which somebody who waits is told that it is recorded.
    pub(super) recorded: LatencyHistogram,
    pub(super) errors: FailedAttempts,
    pub(super) calls: CallCounts,
    /// Events and requests since the warm-up.
    pub(super) measured_accepted: u64,
    pub(super) measured_requests: u64,
    /// Retries that the service knew again.
    pub(super) replayed: u64,
    /// Writes whose answer was lost, and that turned out to have been accepted when they were sent again.
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
            interval: ((warm_up + duration) / POINTS).max(SHORTEST),
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

    /// Notes a request that was answered as it should be, `from` being when it was to be sent.
    pub(super) fn answered(&mut self, kind: RequestKind, from: Instant, now: Instant, accepted: Acceptance) {
        self.advance(now);
        let took = now.saturating_duration_since(from);
        self.current.requests += 1;
        let is_accepted = accepted != Acceptance::No;
        if is_accepted {
            note(&mut self.current.accept, took);
            self.current.accepted += u64::from(accepted == Acceptance::New);
        }
        if from >= self.measured_from {
            self.measured_requests += 1;
            note(&mut self.kinds[kind as usize], took);
            if is_accepted {
                note(&mut self.accept, took);
                self.measured_accepted += u64::from(accepted == Acceptance::New);
            }
        }
    }

    /// Notes an attempt that came to nothing.
    pub(super) fn failed(&mut self, result: &Result<LoadResponse, RequestFailure>, now: Instant) {
        self.advance(now);
        self.errors.count(result);
        self.current.errors += 1;
    }

    /// Notes an answer that a request must not have.
    pub(super) fn unexpected(&mut self, now: Instant) {
        self.advance(now);
        self.errors.unexpected += 1;
        self.current.errors += 1;
    }

    /// Notes that an event accepted at `accepted` is known to be recorded.
    pub(super) fn recorded(&mut self, accepted: Instant, now: Instant) {
        self.advance(now);
        let took = now.saturating_duration_since(accepted);
        note(&mut self.current.recorded, took);
        if accepted >= self.measured_from {
            note(&mut self.recorded, took);
        }
    }

    /// Ends the intervals that are over.
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

/// Whether an answer says that an event was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acceptance {
    No,
    New,
    /// It was accepted earlier, and is answered once more.
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
    fn the_warm_up_is_in_the_plots_and_not_in_the_figures() {
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
