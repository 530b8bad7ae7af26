//! How long it takes from accepted to recorded, as a client sees it.
//!
//! Of the events accepted, one after each tick of a clock is a sample: somebody asks for its receipt with
//! `Prefer: wait` at once, and is told when it is recorded. Whatever else is slow, the clock ticks on, so slow times are
//! not seen less often than fast ones. Times are taken by one clock, that of this program.

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

/// The most that somebody waits for at the same time. What comes beyond waits to be asked for.
const AT_ONCE: usize = 512;
/// After a failure, and where nobody waits although it was asked for.
const PAUSE: Duration = Duration::from_millis(250);

/// Chooses samples and follows them.
#[derive(Debug)]
pub(super) struct OutcomeSamples {
    /// In nanoseconds since the start; 0 switches samples off.
    gap: u64,
    next: AtomicU64,
    /// By how many events were accepted before each sample that has no outcome yet.
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
            room: Semaphore::new(AT_ONCE),
            following: AsyncMutex::default(),
        }
    }

    /// Whether an event accepted at this time after the start is a sample.
    pub(super) fn is_sample(&self, after: Duration) -> bool {
        let now = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        if self.gap == 0 || now < self.next.load(Ordering::Relaxed) {
            return false;
        }
        let next = (now / self.gap + 1) * self.gap;
        self.next.fetch_max(next, Ordering::Relaxed) < next
    }

    /// Follows an event to its outcome. `before` it, so many were accepted.
    pub(super) async fn follow(&self, run: Arc<LoadRun>, path: String, accepted: Instant, before: u64) {
        self.unsettled().insert(before);
        let mut following = self.following.lock().await;
        while following.try_join_next().is_some() {}
        following.spawn(async move {
            let samples = &run.samples;
            // Never closed.
            let _room = samples.room.acquire().await;
            if follow_one(&run, &path, accepted).await {
                samples.unsettled().remove(&before);
            }
        });
    }

    /// Waits until every sample has been followed to its end.
    pub(super) async fn finish(&self) {
        let mut following = self.following.lock().await;
        while following.join_next().await.is_some() {}
    }

    /// How many events have no outcome yet, about: queues being queues, what was accepted before the oldest sample that
    /// waits has been handled.
    pub(super) fn depth(&self, accepted: u64) -> u64 {
        self.unsettled().first().map_or(0, |oldest| accepted.saturating_sub(*oldest))
    }

    fn unsettled(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks until there is an outcome. Gives up when there are none at all any more, which the audit will see as well.
async fn follow_one(run: &LoadRun, path: &str, accepted: Instant) -> bool {
    let client = run.client();
    while !run.is_stuck() && !run.is_dead() {
        let asked = Instant::now();
        let answer = client.send(&LoadRequest::wait(path)).await;
        let receipt = answer.ok().and_then(|answer| ServiceReceipt::read(&answer.body).ok());
        match receipt.map(|receipt| receipt.state) {
            // It has waited.
            Some(ReceiptState::Accepted) if asked.elapsed() > PAUSE => {}
            None | Some(ReceiptState::Accepted) => tokio::time::sleep(PAUSE).await,
            Some(state) => {
                run.progress.made();
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
    fn what_waits_is_counted_from_the_oldest_sample_on() {
        let samples = OutcomeSamples::new(10);
        assert_eq!(samples.depth(500), 0);
        samples.unsettled().extend([100, 250]);
        assert_eq!(samples.depth(500), 400);
        samples.unsettled().remove(&100);
        assert_eq!(samples.depth(500), 250);
    }
}
