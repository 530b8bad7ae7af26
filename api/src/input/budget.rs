//! What the bodies of all requests may take together, in memory and in time: `json` asks here before it keeps a body, and
//! before it looks into a large one.
//!
//! Nearly all bodies are small, arrive with their headers, and are read where they are. A large one could be at the cost of
//! everybody else:
//!
//! - What is kept of all bodies is counted beyond the first [`SMALL`] bytes of each, and is [`BODIES`] bytes at most. Whoever
//!   comes when that is used up waits for others to finish, and is refused after [`PATIENCE`].
//! - More than [`SMALL`] bytes are parsed on a thread of their own, [`WORKERS`] bodies at a time, so that whoever shares the
//!   connection's thread does not wait for it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// The largest body that is not counted, and is parsed on the thread of its connection, in bytes. An order of a hundred lines
/// fits. What it may cost is not told by its size: a line is three bytes if three members are missing in it.
const SMALL: usize = 16 << 10;
/// The bytes of all bodies beyond that.
const BODIES: usize = 64 << 20;
/// What is counted as one.
const UNIT: usize = 4 << 10;
/// How long a body may wait for others to finish.
const PATIENCE: Duration = Duration::from_secs(5);
/// Larger bodies that are parsed at the same time.
const WORKERS: usize = 2;

/// Never happens, for the semaphores are ours.
const NEVER_CLOSED: &str = "nobody closes the semaphores of the budget";

/// What the bodies of all requests may take together: 64 MiB of memory, and two threads for large ones.
#[derive(Debug, Clone)]
pub struct BodyBudget {
    memory: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self { memory: Arc::new(Semaphore::new(BODIES / UNIT)), workers: Arc::new(Semaphore::new(WORKERS)) }
    }
}

/// Memory that a body was granted. It is given back when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    permit: Option<OwnedSemaphorePermit>,
    /// How many bytes the body has.
    pub(crate) bytes: usize,
}

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It has more bytes than it may.
    TooLarge,
    /// Too many others are being handled.
    Exhausted,
    /// It broke off.
    Broken(axum::Error),
}

impl BodyBudget {
    /// Reads a body of at most `most` bytes.
    pub(crate) async fn read(&self, mut body: Body, most: usize) -> Result<(Bytes, Grant), Unread> {
        if body.size_hint().lower() > most as u64 {
            return Err(Unread::TooLarge);
        }
        let Some(mut bytes) = data(&mut body).await? else { return Ok((Bytes::new(), Grant::default())) };
        let mut grant = Grant::default();
        self.grow(&mut grant, bytes.len()).await?;
        grant.bytes = bytes.len();
        if body.is_end_stream() && bytes.len() <= most {
            return Ok((bytes, grant));
        }
        // Into one buffer, and not a list of pieces: each piece would hold on to the buffer that it was received in.
        let mut whole = Vec::new();
        loop {
            let length = whole.len() + bytes.len();
            if length > most {
                return Err(Unread::TooLarge);
            }
            if length > whole.capacity() {
                // Not as much as is announced, before it is there.
                let capacity = (2 * whole.capacity()).max(length).min(most);
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

    /// Sees to it that a body of so many bytes is granted its memory.
    async fn grow(&self, grant: &mut Grant, bytes: usize) -> Result<(), Unread> {
        let units = bytes.saturating_sub(SMALL).div_ceil(UNIT);
        let more = units.saturating_sub(grant.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| Unread::TooLarge)?;
        let granted = timeout(PATIENCE, Arc::clone(&self.memory).acquire_many_owned(more)).await;
        let granted = granted.map_err(|_| Unread::Exhausted)?.expect(NEVER_CLOSED);
        match &mut grant.permit {
            Some(held) => held.merge(granted),
            none => *none = Some(granted),
        }
        Ok(())
    }

    /// Does the work that a body makes: here if it is small, else on a thread for that.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        grant: &Grant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if grant.bytes <= SMALL {
            return work();
        }
        let worker = Arc::clone(&self.workers).acquire_owned().await.expect(NEVER_CLOSED);
        // The worker is held by the work: it goes on if the request is given up.
        let done = spawn_blocking(move || {
            let _worker = worker;
            work()
        });
        done.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }
}

/// The next bytes of a body; `None` at its end.
async fn data(body: &mut Body) -> Result<Option<Bytes>, Unread> {
    loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => return Err(Unread::Broken(error)),
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
    async fn small_bodies_cost_nothing_and_large_ones_what_they_take() {
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
    async fn a_body_that_is_too_large_is_not_kept() {
        let budget = BodyBudget::default();
        for body in [Body::from(vec![b' '; 101]), chunked(1, 101), chunked(101, 1)] {
            assert!(matches!(budget.read(body, 100).await, Err(Unread::TooLarge)));
        }
        assert_eq!(budget.read(chunked(1, 100), 100).await.unwrap().0.len(), 100);
        assert_eq!(budget.read(Body::empty(), 100).await.unwrap().0.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_together_keep_to_the_budget_and_small_ones_pass() {
        let budget = BodyBudget::default();
        let mut held = vec![];
        for _ in 0..BODIES / (4 << 20) {
            held.push(budget.read(chunked(64 << 10, 64), 4 << 20).await.unwrap());
        }
        assert!(matches!(budget.read(chunked(64 << 10, 64), 4 << 20).await, Err(Unread::Exhausted)));
        assert!(budget.read(chunked(1 << 10, 16), SMALL).await.is_ok());
        held.pop();
        assert!(budget.read(chunked(64 << 10, 64), 4 << 20).await.is_ok());
    }

    #[tokio::test]
    async fn the_work_of_large_bodies_is_done_elsewhere() {
        let budget = BodyBudget::default();
        let here = thread::current().id();
        let thread_of = async |bytes| {
            let grant = Grant { permit: None, bytes };
            budget.work(&grant, || thread::current().id()).await
        };
        assert_eq!(thread_of(SMALL).await, here);
        assert_ne!(thread_of(SMALL + 1).await, here);
        assert_eq!(budget.workers.available_permits(), WORKERS);
    }
}
