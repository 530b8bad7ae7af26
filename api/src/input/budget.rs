//! Limits the memory and the processor time that all request bodies use together. `json` reads and parses every body
//! through this module. `docs/decisions/body-budget-and-json.md` explains why we count bodies ourselves.
//!
//! Nearly all bodies are small, arrive with their headers, and are parsed in place. Large bodies must not slow down
//! other requests:
//!
//! - The bytes of each body beyond the first [`SMALL`] are counted. The total is at most [`BODIES`]. When the total is
//!   reached, the next body waits for others to finish and is refused after [`MAX_WAIT`].
//! - Bodies of more than [`SMALL`] bytes are parsed on a worker thread, at most [`WORKERS`] at a time, so that they do not
//!   block other connections of the same thread.
//! - After a burst of [`BURST`] bytes, large bodies are slowed down to [`BYTES_PER_SECOND`]. An accepted body takes several
//!   times its size on the disk. If data arrived faster than the store can merge it, the store would stop all writes, even
//!   those of small bodies.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};

/// The maximum size of a small body, in bytes. A small body is not counted, and it is parsed on the thread of its
/// connection. An order of a hundred order lines is small. The time for parsing also depends on the content. For
/// example, an empty order line (`{},`) has only three bytes but causes three errors.
const SMALL: usize = 16 << 10;
/// The maximum total of the counted bytes, which are the bytes beyond the first [`SMALL`] of each body.
const BODIES: usize = 64 << 20;
/// The number of bytes that one semaphore permit stands for.
const UNIT: usize = 4 << 10;
/// How long a body may wait for memory.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// How many large bodies are parsed at the same time.
const WORKERS: usize = 2;
/// How many bytes of large bodies are accepted per second.
const BYTES_PER_SECOND: u64 = 24 << 20;
/// The size of a burst: how many bytes of large bodies are accepted without delay after a pause.
const BURST: u64 = 16 << 20;

const NEVER_CLOSED: &str = "the semaphores of the budget are never closed";

/// The shared budget of all request bodies: 64 MiB of memory, and two threads for large bodies.
#[derive(Debug, Clone)]
pub struct BodyBudget {
    memory: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    /// The time until which the next large body must wait. If the time is in the past, the body need not wait.
    passed_at: Arc<Mutex<Option<Instant>>>,
}

impl Default for BodyBudget {
    fn default() -> Self {
        let (memory, workers) = (Semaphore::new(BODIES / UNIT), Semaphore::new(WORKERS));
        Self { memory: memory.into(), workers: workers.into(), passed_at: Arc::default() }
    }
}

/// The memory that a body uses. Dropping this value returns the memory to the budget.
#[derive(Debug, Default)]
pub(crate) struct MemoryGrant {
    permit: Option<OwnedSemaphorePermit>,
    /// The length of the body in bytes.
    pub(crate) bytes: usize,
}

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum BodyReadError {
    /// The body is larger than its limit.
    TooLarge,
    /// Other bodies use the whole budget.
    Exhausted,
    /// Reading the body failed before its end.
    Broken(axum::Error),
}

impl BodyBudget {
    /// Reads a body of at most `max` bytes.
    pub(crate) async fn read(
        &self,
        mut body: Body,
        max: usize,
    ) -> Result<(Bytes, MemoryGrant), BodyReadError> {
        if body.size_hint().lower() > max as u64 {
            return Err(BodyReadError::TooLarge);
        }
        let Some(mut bytes) = data(&mut body).await? else {
            return Ok((Bytes::new(), MemoryGrant::default()));
        };
        let mut grant = MemoryGrant::default();
        self.grow(&mut grant, bytes.len()).await?;
        grant.bytes = bytes.len();
        if body.is_end_stream() && bytes.len() <= max {
            return Ok((bytes, grant));
        }
        // The chunks are copied into one buffer, because each chunk keeps its whole receive buffer alive.
        let mut whole = Vec::new();
        loop {
            let length = whole.len() + bytes.len();
            if length > max {
                return Err(BodyReadError::TooLarge);
            }
            if length > whole.capacity() {
                // The buffer grows with the bytes that arrive. It does not trust Content-Length, which may announce
                // more than the client sends.
                let capacity = (2 * whole.capacity()).max(length).min(max);
                self.grow(&mut grant, capacity).await?;
                whole.reserve_exact(capacity - whole.len());
            }
            whole.extend_from_slice(&bytes);
            grant.bytes = whole.len();
            match data(&mut body).await? {
                Some(more) => bytes = more,
                None => return Ok((whole.into(), grant)),
            }
        }
    }

    /// Extends the memory grant of a body to a total of `bytes` bytes. Waits up to [`MAX_WAIT`] while other bodies use
    /// the memory.
    async fn grow(&self, grant: &mut MemoryGrant, bytes: usize) -> Result<(), BodyReadError> {
        let units = bytes.saturating_sub(SMALL).div_ceil(UNIT);
        let more = units.saturating_sub(grant.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| BodyReadError::TooLarge)?;
        let granted = timeout(MAX_WAIT, Arc::clone(&self.memory).acquire_many_owned(more)).await;
        let granted = granted.map_err(|_| BodyReadError::Exhausted)?.expect(NEVER_CLOSED);
        match &mut grant.permit {
            Some(held) => held.merge(granted),
            none => *none = Some(granted),
        }
        Ok(())
    }

    /// Runs work on a body: in place if the body is small, otherwise on a worker thread.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        grant: &MemoryGrant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if grant.bytes <= SMALL {
            return work();
        }
        self.pace(grant.bytes as u64).await;
        let worker = Arc::clone(&self.workers).acquire_owned().await.expect(NEVER_CLOSED);
        // The closure holds the permit until the work has ended, because the work continues even if the request is
        // dropped.
        let done = spawn_blocking(move || {
            let _worker = worker;
            work()
        });
        done.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }
}

impl BodyBudget {
    /// Waits until a large body of `bytes` bytes may be parsed, as the limit of bytes per second requires.
    async fn pace(&self, bytes: u64) {
        let turn = {
            let mut passed_at = self.passed_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // After a pause, bodies pass without delay until a burst is used up.
            let earliest = now.checked_sub(duration_of(BURST)).unwrap_or(now);
            let start = passed_at.map_or(earliest, |at| at.max(earliest));
            *passed_at = Some(start + duration_of(bytes));
            start
        };
        sleep_until(turn).await;
    }
}

/// How long `bytes` bytes take at [`BYTES_PER_SECOND`].
fn duration_of(bytes: u64) -> Duration {
    Duration::from_micros(bytes * 1_000_000 / BYTES_PER_SECOND)
}

/// The next bytes of a body, or `None` at its end.
async fn data(body: &mut Body) -> Result<Option<Bytes>, BodyReadError> {
    loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => return Err(BodyReadError::Broken(error)),
            None => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::thread;

    use futures_util::stream::{self, StreamExt};

    use super::*;

    fn chunked(chunk: usize, count: usize) -> Body {
        let chunk = Bytes::from(vec![b' '; chunk]);
        Body::from_stream(stream::iter(std::iter::repeat_n(chunk, count)).map(Ok::<_, Infallible>))
    }

    fn left(budget: &BodyBudget) -> usize {
        budget.memory.available_permits() * UNIT
    }

    #[tokio::test]
    async fn only_large_bodies_are_counted() {
        let budget = BodyBudget::default();
        let (small, _grant) = budget.read(Body::from(vec![b' '; SMALL]), SMALL).await.unwrap();
        assert_eq!((small.len(), left(&budget)), (SMALL, BODIES));
        for body in [Body::from(vec![b' '; 4 << 20]), chunked(1 << 10, 4 << 10)] {
            let (large, grant) = budget.read(body, 4 << 20).await.unwrap();
            assert_eq!((large.len(), left(&budget)), (4 << 20, BODIES - (4 << 20) + SMALL));
            drop(grant);
            assert_eq!(left(&budget), BODIES);
        }
    }

    #[tokio::test]
    async fn a_body_over_its_limit_is_refused() {
        let budget = BodyBudget::default();
        for body in [Body::from(vec![b' '; 101]), chunked(1, 101), chunked(101, 1)] {
            assert!(matches!(budget.read(body, 100).await, Err(BodyReadError::TooLarge)));
        }
        assert_eq!(budget.read(chunked(1, 100), 100).await.unwrap().0.len(), 100);
        assert_eq!(budget.read(Body::empty(), 100).await.unwrap().0.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_share_the_budget_and_small_ones_pass() {
        let budget = BodyBudget::default();
        let mut held = vec![];
        for _ in 0..BODIES / (4 << 20) {
            held.push(budget.read(chunked(64 << 10, 64), 4 << 20).await.unwrap());
        }
        assert!(matches!(budget.read(chunked(64 << 10, 64), 4 << 20).await, Err(BodyReadError::Exhausted)));
        assert!(budget.read(chunked(1 << 10, 16), SMALL).await.is_ok());
        held.pop();
        assert!(budget.read(chunked(64 << 10, 64), 4 << 20).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn large_bodies_pass_at_a_limited_rate_after_a_burst() {
        let budget = BodyBudget::default();
        let started = Instant::now();
        let pass = async |bodies: u64, bytes: usize| {
            for _ in 0..bodies {
                budget.work(&MemoryGrant { permit: None, bytes }, || ()).await;
            }
            started.elapsed()
        };
        assert_eq!(pass(BURST >> 22, 4 << 20).await, Duration::ZERO);
        assert_eq!(pass(1000, SMALL).await, Duration::ZERO);
        // The first of these bodies exceeds the burst and waits. Each further body waits for the one before it.
        let late = pass(1 + 6, 4 << 20).await;
        assert!((Duration::from_millis(1000)..Duration::from_millis(1002)).contains(&late), "{late:?}");
    }

    #[tokio::test]
    async fn large_bodies_are_parsed_on_another_thread() {
        let budget = BodyBudget::default();
        let here = thread::current().id();
        let thread_of = async |bytes| {
            let grant = MemoryGrant { permit: None, bytes };
            budget.work(&grant, || thread::current().id()).await
        };
        assert_eq!(thread_of(SMALL).await, here);
        assert_ne!(thread_of(SMALL + 1).await, here);
        assert_eq!(budget.workers.available_permits(), WORKERS);
    }
}
