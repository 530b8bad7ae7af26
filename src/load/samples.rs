//! Measures the time from accepted to recorded, as a client sees it. Workers call
//! [`OutcomeSamples::is_sample`] for every accepted event.
//!
//! The first event accepted after each tick of a clock is a sample: we request its receipt immediately, with `Prefer:
//! wait`, and measure when the service answers that it is recorded. The clock does not depend on the service, so slow
//! periods get as many samples as fast ones. All times come from the clock of this program.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ReceiptState;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::task::JoinSet;

use super::LoadRun;
use super::client::LoadRequest;
use super::receipt::ServiceReceipt;

/// How many samples we follow at the same time. Further samples wait until a followed sample ends.
const MAX_FOLLOWED: usize = 512;
/// The pause after a failure, and after an early answer from a service that ignores `Prefer: wait`.
const PAUSE: Duration = Duration::from_millis(250);

/// Chooses samples and follows them.
#[derive(Debug)]
pub(super) struct OutcomeSamples {
    /// The time between two ticks in nanoseconds; 0 switches samples off.
    gap: u64,
    /// The next tick, in nanoseconds since the start.
    next: AtomicU64,
    /// For each sample without an outcome, the number of events that were accepted before the sample.
    unsettled: Mutex<BTreeSet<u64>>,
    room: Semaphore,
    following: AsyncMutex<JoinSet<()>>,
}

impl OutcomeSamples {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            gap: 1_000_000_000_u64.checked_div(u64::from(per_second)).unwrap_or(0),
            next: AtomicU64::new(0),
            unsettled: Mutex::default(),
            room: Semaphore::new(MAX_FOLLOWED),
            following: AsyncMutex::default(),
        }
    }

    /// Whether an event is a sample. `after` is the time from the start until the event was accepted.
    pub(super) fn is_sample(&self, after: Duration) -> bool {
        let now = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        if self.gap == 0 || now < self.next.load(Ordering::Relaxed) {
            return false;
        }
        let next = (now / self.gap + 1) * self.gap;
        self.next.fetch_max(next, Ordering::Relaxed) < next
    }

    /// Follows an event to its outcome, in a separate task. `before` is the number of events accepted before it.
    pub(super) async fn follow(&self, run: Arc<LoadRun>, path: String, accepted: Instant, before: u64) {
        self.unsettled().insert(before);
        let mut following = self.following.lock().await;
        while following.try_join_next().is_some() {}
        following.spawn(async move {
            let samples = &run.samples;
            // The semaphore is never closed.
            let _room = samples.room.acquire().await;
            if follow_one(&run, &path, accepted).await {
                samples.unsettled().remove(&before);
            }
        });
    }

    /// Waits until every sample has its outcome or is given up.
    pub(super) async fn finish(&self) {
        let mut following = self.following.lock().await;
        while following.join_next().await.is_some() {}
    }

    /// Estimates how many events have no outcome yet. The queue handles events roughly in order, so the estimate is the
    /// number of events accepted since the oldest sample without an outcome.
    pub(super) fn depth(&self, accepted: u64) -> u64 {
        self.unsettled().first().map_or(0, |oldest| accepted.saturating_sub(*oldest))
    }

    fn unsettled(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the outcome of one event, and returns whether the event got an outcome. Gives up when no event of this run
/// reaches an outcome any more. In that case, the audit reports the events without an outcome.
async fn follow_one(run: &LoadRun, path: &str, accepted: Instant) -> bool {
    let client = run.client();
    while !run.is_stuck() && !run.is_dead() {
        let sent = Instant::now();
        let answer = client.send(&LoadRequest::wait(path)).await;
        let receipt = answer.ok().and_then(|answer| ServiceReceipt::decode(&answer.body).ok());
        match receipt.map(|receipt| receipt.state) {
            // The request took longer than a pause, because the service waited for the outcome as `Prefer: wait`
            // requested. So no further pause is needed.
            Some(ReceiptState::Accepted) if sent.elapsed() > PAUSE => {}
            None | Some(ReceiptState::Accepted) => tokio::time::sleep(PAUSE).await,
            Some(state) => {
                run.last_outcome.mark();
                if state == ReceiptState::Recorded {
                    run.measure().recorded(accepted, Instant::now());
                }
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_after_each_tick_is_a_sample() {
        let samples = OutcomeSamples::new(10);
        let at = [0, 1, 99, 100, 101, 350, 399, 400, 1000].map(Duration::from_millis);
        let chosen: Vec<_> =
            at.iter().filter(|at| samples.is_sample(**at)).map(|at| at.as_millis()).collect();
        assert_eq!(chosen, [0, 100, 350, 400, 1000]);
        assert!(!OutcomeSamples::new(0).is_sample(Duration::from_secs(1)));
    }

    #[test]
    fn the_depth_counts_from_the_oldest_sample_without_an_outcome() {
        let samples = OutcomeSamples::new(10);
        assert_eq!(samples.depth(500), 0);
        samples.unsettled().extend([100, 250]);
        assert_eq!(samples.depth(500), 400);
        samples.unsettled().remove(&100);
        assert_eq!(samples.depth(500), 250);
    }
}
