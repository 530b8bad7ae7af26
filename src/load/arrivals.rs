//! When requests are to be sent.
//!
//! In an open loop the times are fixed before anything is answered, and each is measured from its time on: a service
//! that stalls is not spared the requests that would have come meanwhile. A thread of its own keeps the time, because
//! timers of the runtime are only good to a millisecond.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::Semaphore;

use super::options::{ArrivalPattern, LoopMode};

/// How long a wait at most is slept through at one go, so that an early end is noticed.
const NAP: Duration = Duration::from_millis(50);
/// What came due so shortly before the end is still sent: that it waits does not mean that anybody is too slow.
const GRACE: Duration = Duration::from_millis(100);

/// The times of an open loop, counted from its beginning. It never ends.
#[derive(Debug)]
pub(super) struct ArrivalSchedule {
    rate: f64,
    arrivals: ArrivalPattern,
    rng: Rng,
    /// Seconds.
    at: f64,
    count: f64,
}

impl ArrivalSchedule {
    pub(super) fn new(rate: f64, arrivals: ArrivalPattern, seed: u64) -> Self {
        Self { rate, arrivals, rng: Rng::with_seed(seed), at: 0.0, count: 0.0 }
    }
}

impl Iterator for ArrivalSchedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        match self.arrivals {
            // Not by adding up, so that no error does.
            ArrivalPattern::Constant => self.at = self.count / self.rate,
            // The gaps of a Poisson process are exponential. `f64` is below 1, so there is no logarithm of 0.
            ArrivalPattern::Poisson => self.at += -(1.0 - self.rng.f64()).ln() / self.rate,
        }
        self.count += 1.0;
        Some(Duration::from_secs_f64(self.at))
    }
}

/// Hands out the times at which requests are to be sent, when they have come.
#[derive(Debug)]
pub(super) struct ArrivalQueue {
    pace: LoopMode,
    end: Instant,
    stopped: AtomicBool,
    /// `None` tells one worker that there is no more.
    due: Mutex<VecDeque<Option<Instant>>>,
    waiting: Semaphore,
}

impl ArrivalQueue {
    pub(super) fn new(pace: LoopMode, end: Instant) -> Self {
        let (due, waiting) = (Mutex::default(), Semaphore::new(0));
        Self { pace, end, stopped: AtomicBool::new(false), due, waiting }
    }

    /// The time of the next request, which has come; `None` at the end.
    pub(super) async fn next(&self) -> Option<Instant> {
        if self.pace == LoopMode::Closed {
            let now = Instant::now();
            return (now < self.end && !self.is_stopped()).then_some(now);
        }
        // The semaphore is never closed, and has a permit for everything that is due.
        self.waiting.acquire().await.ok()?.forget();
        self.lock().pop_front().flatten()
    }

    /// Ends the load now.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether there are no more turns.
    pub(super) fn are_over(&self) -> bool {
        self.is_stopped() || Instant::now() >= self.end
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Keeps the time of an open loop for this many workers, until the end. Gives how many requests have come due and
    /// were not sent by then.
    pub(super) fn keep_time(&self, start: Instant, schedule: ArrivalSchedule, workers: usize) -> usize {
        for at in schedule.map(|after| start + after).take_while(|at| *at < self.end) {
            if !self.sleep_until(at) {
                break;
            }
            self.lock().push_back(Some(at));
            self.waiting.add_permits(1);
        }
        self.sleep_until(self.end);
        let ended = self.end.min(Instant::now());
        let mut due = self.lock();
        let count = due.len();
        due.retain(|at| at.is_some_and(|at| ended.saturating_duration_since(at) < GRACE));
        let late = count - due.len();
        due.extend(std::iter::repeat_n(None, workers));
        // Permits of what was taken away are left, and find nothing: that is an end as well.
        self.waiting.add_permits(workers);
        late
    }

    /// Tells whether it slept to the end.
    fn sleep_until(&self, at: Instant) -> bool {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if self.is_stopped() || left.is_zero() {
                return !self.is_stopped();
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Option<Instant>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(arrivals: ArrivalPattern, seed: u64, count: usize) -> Vec<f64> {
        ArrivalSchedule::new(1000.0, arrivals, seed).take(count).map(|at| at.as_secs_f64()).collect()
    }

    #[test]
    fn constant_arrivals_are_at_the_same_distance() {
        assert_eq!(first(ArrivalPattern::Constant, 1, 4), [0.0, 0.001, 0.002, 0.003]);
        let millionth = ArrivalSchedule::new(3.0, ArrivalPattern::Constant, 1).nth(3_000_000).unwrap();
        assert_eq!(millionth, Duration::from_secs(1_000_000));
    }

    #[test]
    fn poisson_arrivals_come_at_the_rate_and_their_gaps_are_exponential() {
        let times = first(ArrivalPattern::Poisson, 42, 100_000);
        let rate = times.len() as f64 / times.last().unwrap();
        assert!((980.0..1020.0).contains(&rate), "{rate}");
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap >= 0.0));
        // Of an exponential distribution, the share e^-1 is longer than the mean.
        let long = gaps.iter().filter(|gap| **gap > 0.001).count() as f64 / gaps.len() as f64;
        assert!((0.36..0.375).contains(&long), "{long}");
    }

    #[test]
    fn a_seed_fixes_the_times() {
        let draw = |seed| first(ArrivalPattern::Poisson, seed, 100);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[tokio::test]
    async fn turns_are_handed_out_with_their_own_times_and_then_end() {
        let start = Instant::now();
        let pace = LoopMode::Open { rate: 1000.0, arrivals: ArrivalPattern::Constant };
        let turns = ArrivalQueue::new(pace, start + Duration::from_millis(300));
        let schedule = ArrivalSchedule::new(1000.0, ArrivalPattern::Constant, 1);
        let late =
            std::thread::scope(|scope| scope.spawn(|| turns.keep_time(start, schedule, 2)).join().unwrap());
        // Nobody took any. The latest are still to be sent, and then both workers hear that it is over.
        let mut sent = 0;
        while let Some(turn) = turns.next().await {
            let place = u64::try_from(late + sent).unwrap();
            assert_eq!(turn, start + Duration::from_millis(place));
            sent += 1;
        }
        assert_eq!((late + sent, turns.next().await), (300, None));
        assert!(sent < 100, "{sent}");
    }
}
