//! How the writer paces itself. A commit, its sync and the threads that it wakes cost the same for one job as for many, so
//! once jobs come by the dozen, it lets a while pass from one commit to the next. A few are committed at once: as long as
//! there is time to spare, nobody is to wait.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The most jobs of a commit that the next one does not wait after.
const FEW: usize = 12;
/// The time from one commit to the next, unless enough jobs wait before.
const PACE: Duration = Duration::from_millis(1);
const ENOUGH: usize = 20;

/// What the writer and those who hand it jobs know of each other.
#[derive(Default)]
pub(crate) struct Pace {
    resting: AtomicBool,
}

impl Pace {
    /// To be called by the writer, when one job waits already: if the `latest` commit had more than a few `jobs`, rests until
    /// so long after it, or until enough jobs wait.
    pub(crate) fn rest(&self, jobs: usize, latest: Instant, waiting: impl Fn() -> usize) {
        if jobs <= FEW {
            return;
        }
        let until = latest + PACE;
        loop {
            self.resting.store(true, Relaxed);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || waiting() >= ENOUGH {
                break;
            }
            thread::park_timeout(left);
        }
        self.resting.store(false, Relaxed);
    }

    /// To be called when a job was handed in, with how many wait now: ends the rest if that is enough. Should the two miss
    /// each other, the rest is as long as it is at the longest.
    pub(crate) fn handed_in(&self, waiting: usize, writer: &Thread) {
        if waiting >= ENOUGH && self.resting.swap(false, Relaxed) {
            writer.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn enough_jobs_end_the_rest() {
        let (pace, waiting) = (Pace::default(), AtomicUsize::new(1));
        // A rest that nothing but jobs can end in the time of this test.
        let latest = Instant::now() + Duration::from_secs(3600);
        thread::scope(|scope| {
            let writer = scope.spawn(|| pace.rest(FEW + 1, latest, || waiting.load(Relaxed)));
            while !writer.is_finished() {
                pace.handed_in(waiting.fetch_add(1, Relaxed), writer.thread());
                thread::yield_now();
            }
            assert!(waiting.load(Relaxed) >= ENOUGH);
        });
    }

    #[test]
    fn nothing_is_waited_for_that_is_over() {
        Pace::default().rest(FEW + 1, Instant::now() - PACE, || 1);
    }

    #[test]
    fn nobody_waits_after_a_few() {
        // It would take an hour.
        Pace::default().rest(FEW, Instant::now() + Duration::from_secs(3600), || 1);
    }
}
