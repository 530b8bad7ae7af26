//! Decides when the writer makes the next commit. The cost of a commit, with its sync and the threads that it wakes,
//! hardly depends on the number of jobs. So under load, the writer pauses between commits to gather jobs. With few
//! jobs, the writer commits without a pause.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The maximum number of jobs in a commit that is followed by the next commit without a pause.
const MAX_JOBS_WITHOUT_PAUSE: usize = 12;
/// The time from one commit to the next, unless enough jobs are queued earlier.
const COMMIT_INTERVAL: Duration = Duration::from_millis(1);
/// The number of queued jobs that ends the pause.
const ENOUGH_JOBS: usize = 20;

/// The pause of the writer. The writer and the callers that queue jobs share it.
#[derive(Default)]
pub(crate) struct CommitPace {
    is_pausing: AtomicBool,
}

impl CommitPace {
    /// Pauses the writer if its latest commit, made at `latest`, had many `jobs`. The pause ends when the interval has
    /// passed or enough jobs are `queued`.
    pub(crate) fn pause(&self, jobs: usize, latest: Instant, queued: impl Fn() -> usize) {
        if jobs <= MAX_JOBS_WITHOUT_PAUSE {
            return;
        }
        let until = latest + COMMIT_INTERVAL;
        loop {
            self.is_pausing.store(true, Relaxed);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || queued() >= ENOUGH_JOBS {
                break;
            }
            thread::park_timeout(left);
        }
        self.is_pausing.store(false, Relaxed);
    }

    /// Ends the pause of the `writer` if enough jobs are `queued`. Callers call this after queueing a job. A call just
    /// before a pause begins has no effect. That pause lasts for the whole interval.
    pub(crate) fn job_queued(&self, queued: usize, writer: &Thread) {
        if queued >= ENOUGH_JOBS && self.is_pausing.swap(false, Relaxed) {
            writer.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn enough_jobs_end_the_pause() {
        let (pace, queued) = (CommitPace::default(), AtomicUsize::new(1));
        // The pause would last for an hour, so only queued jobs can end the pause during the test.
        let latest = Instant::now() + HOUR;
        thread::scope(|scope| {
            let pause = || pace.pause(MAX_JOBS_WITHOUT_PAUSE + 1, latest, || queued.load(Relaxed));
            let writer = scope.spawn(pause);
            let deadline = Instant::now() + Duration::from_secs(60);
            while !writer.is_finished() {
                pace.job_queued(queued.fetch_add(1, Relaxed), writer.thread());
                assert!(
                    Instant::now() < deadline,
                    "{} queued jobs do not end the pause",
                    queued.load(Relaxed)
                );
                thread::sleep(Duration::from_millis(1));
            }
            assert!(queued.load(Relaxed) >= ENOUGH_JOBS);
        });
    }

    #[test]
    fn a_pause_whose_time_has_passed_does_not_begin() {
        CommitPace::default().pause(MAX_JOBS_WITHOUT_PAUSE + 1, Instant::now() - COMMIT_INTERVAL, || 1);
    }

    #[test]
    fn a_commit_of_few_jobs_is_followed_by_no_pause() {
        // With a pause, the call would take an hour.
        CommitPace::default().pause(MAX_JOBS_WITHOUT_PAUSE, Instant::now() + HOUR, || 1);
    }
}
