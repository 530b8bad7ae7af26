//! What a client does with its connection, and until when it has to go on.
//!
//! A [`Pace`] is only told and asked, and costs a request a few reads of the clock; the one timer of a connection is
//! in [`TooSlow`]. Everything about a connection happens in one task, so that order is given; the atomics are there
//! because a task may move to another thread.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::ServeOptions;
use super::leftover::Leftover;

/// Not due at all.
const NEVER: u64 = u64::MAX;

/// What a connection waits for its client to do. Moments are in milliseconds since it was accepted.
#[derive(Debug)]
pub(super) struct Pace {
    /// What is left of a body that was answered before it was read.
    pub(super) leftover: Leftover,
    accepted_at: Instant,
    head: Duration,
    idle: Duration,
    write: Duration,
    /// Between two requests, with no byte of the next one.
    is_idle: AtomicBool,
    /// When the next request has to have begun, or its headers have to have ended; never while one is answered.
    request_due: AtomicU64,
    /// Since when it waits for that, or for what is left of a body.
    request_since: AtomicU64,
    /// Since when a handler waits for the next part of a body.
    body_since: AtomicU64,
    /// When the client has to have taken something; never unless there is something that it does not take.
    taking_due: AtomicU64,
    is_answering: AtomicBool,
    /// Whether what is left of a body is being read.
    is_draining: AtomicBool,
}

impl Pace {
    /// Of a connection that was just accepted, which is not idle: whoever connects has something to ask.
    pub(super) fn new(options: &ServeOptions) -> Arc<Self> {
        let never = || AtomicU64::new(NEVER);
        let pace = Self {
            leftover: Leftover::default(),
            accepted_at: Instant::now(),
            head: options.head_timeout,
            idle: options.idle_timeout,
            write: options.write_timeout,
            is_idle: AtomicBool::new(false),
            request_due: never(),
            request_since: never(),
            body_since: never(),
            taking_due: never(),
            is_answering: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
        };
        pace.request_within(pace.head);
        Arc::new(pace)
    }

    fn millis(&self, after: Duration) -> u64 {
        duration_millis(self.accepted_at.elapsed().saturating_add(after))
    }

    /// It is the client's turn, for no longer than this.
    fn request_within(&self, limit: Duration) {
        let now = self.millis(Duration::ZERO);
        self.request_since.store(now, Relaxed);
        self.request_due.store(now.saturating_add(duration_millis(limit)), Relaxed);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_idle.load(Relaxed)
    }

    /// Since when the connection waits for its client; `None` while the service works on a request of it.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let taking = self.taking_due.load(Relaxed);
        let taking = if taking == NEVER { NEVER } else { taking.saturating_sub(duration_millis(self.write)) };
        let since = self.request_since.load(Relaxed).min(self.body_since.load(Relaxed)).min(taking);
        if since == NEVER { None } else { self.accepted_at.checked_add(Duration::from_millis(since)) }
    }

    /// Bytes came in.
    fn received(&self) {
        if self.is_idle() {
            self.is_idle.store(false, Relaxed);
            self.request_within(self.head);
        }
    }

    /// A handler waits for more of a body, or does not any more.
    pub(super) fn awaits_body(&self, waits: bool) {
        let waited = self.body_since.load(Relaxed) != NEVER;
        if waits != waited {
            let since = if waits { self.millis(Duration::ZERO) } else { NEVER };
            self.body_since.store(since, Relaxed);
        }
    }

    /// A request is being answered, until what this returns is dropped.
    pub(super) fn answering(self: &Arc<Self>) -> Answering {
        self.is_answering.store(true, Relaxed);
        self.works();
        Answering(Arc::clone(self))
    }

    /// It is not the client's turn, or its turn is limited elsewhere.
    fn works(&self) {
        self.is_idle.store(false, Relaxed);
        self.request_due.store(NEVER, Relaxed);
        self.request_since.store(NEVER, Relaxed);
    }

    /// It is the client's turn to send the next request.
    fn rests(&self) {
        self.is_idle.store(true, Relaxed);
        self.request_within(self.idle);
    }

    fn answered(&self) {
        self.is_answering.store(false, Relaxed);
        if !self.is_draining.load(Relaxed) {
            self.rests();
        }
    }

    /// What is left of a body is read and dropped from now on, within a limit of its own. The answer may still be on its
    /// way.
    pub(super) fn drains(&self) {
        self.is_draining.store(true, Relaxed);
        self.works();
        self.request_since.store(self.millis(Duration::ZERO), Relaxed);
    }

    /// Nothing is left of the body, or nobody reads it any more.
    pub(super) fn drained(&self) {
        self.is_draining.store(false, Relaxed);
        if self.is_answering.load(Relaxed) { self.works() } else { self.rests() }
    }

    /// The client took bytes, or did not.
    fn taking<T>(&self, written: &Poll<T>) {
        let waits = self.taking_due.load(Relaxed) != NEVER;
        if written.is_pending() != waits {
            let due = if waits { NEVER } else { self.millis(self.write) };
            self.taking_due.store(due, Relaxed);
        }
    }

    /// When the client has to have done something, if it is the client's turn.
    fn due(&self) -> Option<Instant> {
        let due = self.request_due.load(Relaxed).min(self.taking_due.load(Relaxed));
        // None as well for moments past what a clock can tell.
        if due == NEVER { None } else { self.accepted_at.checked_add(Duration::from_millis(due)) }
    }
}

fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER)
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answering(Arc<Pace>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// Completes when the client is too slow. To be polled after everything that tells the pace.
///
/// The timer is moved forward when a moment is due before it, and back only when it fires: a connection in steady use
/// never touches it.
pub(super) struct TooSlow {
    pace: Arc<Pace>,
    timer: Pin<Box<Sleep>>,
}

impl TooSlow {
    pub(super) fn new(pace: Arc<Pace>) -> Self {
        let first = pace.due().unwrap_or_else(Instant::now);
        Self { pace, timer: Box::pin(sleep_until(first)) }
    }
}

impl Future for TooSlow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(due) = self.pace.due() else { return Poll::Pending };
            if due < self.timer.deadline() {
                self.timer.as_mut().reset(due);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if due <= self.timer.deadline() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

/// A stream that tells the pace.
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) pace: Arc<Pace>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pace.received();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.pace.taking(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.pace.taking(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> Arc<Pace> {
        let limits = ServeOptions {
            head_timeout: 10 * SECOND,
            idle_timeout: 75 * SECOND,
            write_timeout: 30 * SECOND,
            ..ServeOptions::default()
        };
        Pace::new(&limits)
    }

    /// The seconds until it is too slow, of the next 1000.
    async fn left(pace: &Arc<Pace>, too_slow: &mut TooSlow) -> Option<u64> {
        let before = Instant::now();
        let is_up = timeout(1000 * SECOND, &mut *too_slow).await.is_ok();
        assert_eq!(is_up, pace.due().is_some());
        is_up.then(|| before.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_goes_from_limit_to_limit() {
        let pace = pace();
        let mut too_slow = TooSlow::new(Arc::clone(&pace));
        advance(4 * SECOND).await;
        pace.received();
        assert_eq!(left(&pace, &mut too_slow).await, Some(6), "since it was accepted");

        let answering = pace.answering();
        assert_eq!(left(&pace, &mut too_slow).await, None, "it is not the client's turn");
        drop(answering);
        assert!(pace.is_idle());
        assert_eq!(left(&pace, &mut too_slow).await, Some(75));

        drop(pace.answering());
        advance(70 * SECOND).await;
        pace.received();
        assert!(!pace.is_idle());
        advance(9 * SECOND).await;
        pace.received();
        assert_eq!(left(&pace, &mut too_slow).await, Some(1), "a trickle of bytes does not help");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_to_be_taken_bit_by_bit() {
        let pace = pace();
        let mut too_slow = TooSlow::new(Arc::clone(&pace));
        let _answering = pace.answering();
        for _ in 0..3 {
            pace.taking(&Poll::<()>::Pending);
            advance(29 * SECOND).await;
            pace.taking(&Poll::<()>::Pending);
            pace.taking(&Poll::Ready(()));
        }
        assert_eq!(left(&pace, &mut too_slow).await, None);
        pace.taking(&Poll::<()>::Pending);
        advance(10 * SECOND).await;
        assert_eq!(left(&pace, &mut too_slow).await, Some(20));
    }
}
