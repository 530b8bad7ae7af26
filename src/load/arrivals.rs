//! Decides when requests are sent. `drive` adds send times to the [`ArrivalQueue`], and the workers take them from it.
//!
//! In an open loop the send times are fixed in advance, and latency counts from these times. So a service that stalls
//! still receives the requests that real clients would send in the meantime. A separate thread watches the clock,
//! because the runtime's timers are only accurate to a millisecond.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::Semaphore;

use super::options::{ArrivalPattern, LoopMode};

/// The maximum length of a single sleep, so that an early stop is noticed.
const NAP: Duration = Duration::from_millis(50);
/// If a request becomes due less than this time before the end, it is still sent after the end and does not count as
/// unsent. Such a short delay does not show that the service is slow.
const GRACE: Duration = Duration::from_millis(100);

/// The send times of an open loop, counted from its start. The iterator never ends.
#[derive(Debug)]
pub(super) struct ArrivalSchedule {
    rate: f64,
    arrivals: ArrivalPattern,
    rng: Rng,
    /// The latest send time, in seconds since the start.
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
            // The time is computed from the count, because adding up many gaps would accumulate rounding errors.
            ArrivalPattern::Constant => self.at = self.count / self.rate,
            // The gaps of a Poisson process are exponential. `rng.f64()` is below 1, so there is no logarithm of 0.
            ArrivalPattern::Poisson => self.at += -(1.0 - self.rng.f64()).ln() / self.rate,
        }
        self.count += 1.0;
        Some(Duration::from_secs_f64(self.at))
    }
}

/// Hands each send time to a worker once that time has come.
#[derive(Debug)]
pub(super) struct ArrivalQueue {
    loop_mode: LoopMode,
    end: Instant,
    stopped: AtomicBool,
    /// The send times that have come and that no worker has taken yet. Each `None` ends one worker.
    due: Mutex<VecDeque<Option<Instant>>>,
    /// Workers wait for its permits. There is one permit for each entry of `due`.
    available: Semaphore,
}

impl ArrivalQueue {
    pub(super) fn new(loop_mode: LoopMode, end: Instant) -> Self {
        let (due, available) = (Mutex::default(), Semaphore::new(0));
        Self { loop_mode, end, stopped: AtomicBool::new(false), due, available }
    }

    /// Waits until the next request is due, and returns its send time; `None` at the end of the load.
    pub(super) async fn next(&self) -> Option<Instant> {
        if self.loop_mode == LoopMode::Closed {
            let now = Instant::now();
            return (now < self.end && !self.is_stopped()).then_some(now);
        }
        // The semaphore is never closed.
        self.available.acquire().await.ok()?.forget();
        self.lock().pop_front().flatten()
    }

    /// Ends the load early.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether no more requests will become due.
    pub(super) fn is_over(&self) -> bool {
        self.is_stopped() || Instant::now() >= self.end
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Waits for each send time of `schedule` and then adds the time to the queue. At the end of the load, ends all
    /// workers. Blocks the thread. Returns the number of requests that were due but not sent by the end.
    pub(super) fn run_clock(&self, start: Instant, schedule: ArrivalSchedule, workers: usize) -> usize {
        for at in schedule.map(|after| start + after).take_while(|at| *at < self.end) {
            if !self.sleep_until(at) {
                break;
            }
            self.lock().push_back(Some(at));
            self.available.add_permits(1);
        }
        self.sleep_until(self.end);
        let ended = self.end.min(Instant::now());
        let mut due = self.lock();
        let count = due.len();
        due.retain(|at| at.is_some_and(|at| ended.saturating_duration_since(at) < GRACE));
        let late = count - due.len();
        due.extend(std::iter::repeat_n(None, workers));
        // The semaphore keeps the permits of the removed entries. A worker that takes such a permit finds no entry and
        // ends.
        self.available.add_permits(workers);
        late
    }

    /// Sleeps until `at`. Returns `true` if that time was reached, and `false` if the load ended early.
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
    fn constant_arrivals_are_equally_spaced() {
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
        // In an exponential distribution, the share e^-1 of all values exceeds the mean.
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
    async fn workers_get_each_send_time_and_then_the_end() {
        let start = Instant::now();
        let loop_mode = LoopMode::Open { rate: 1000.0, arrivals: ArrivalPattern::Constant };
        let queue = ArrivalQueue::new(loop_mode, start + Duration::from_millis(300));
        let schedule = ArrivalSchedule::new(1000.0, ArrivalPattern::Constant, 1);
        let late =
            std::thread::scope(|scope| scope.spawn(|| queue.run_clock(start, schedule, 2)).join().unwrap());
        // No worker has taken a request before the end of the load. So the workers get only the latest requests, and
        // then each worker ends.
        let mut sent = 0;
        while let Some(due) = queue.next().await {
            let place = u64::try_from(late + sent).unwrap();
            assert_eq!(due, start + Duration::from_millis(place));
            sent += 1;
        }
        assert_eq!((late + sent, queue.next().await), (300, None));
        assert!(sent < 100, "{sent}");
    }
}
