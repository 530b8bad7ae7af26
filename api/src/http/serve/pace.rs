//! Tracks what a client does with its connection, and the time by which the client must act. `connection`, `body` and
//! `drain` report to the connection's [`ClientPace`]. `slots` and [`SlowClient`] query it.
//!
//! Tracking is cheap: it reads the clock a few times for each request, and the only timer of a connection is in
//! [`SlowClient`]. One task does all work of a connection, so relaxed ordering is enough. The fields are atomic because
//! a task may move to another thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::ServeOptions;
use super::leftover::UnreadBodyCell;

const NEVER: u64 = u64::MAX;

/// What the client of a connection must do, and the time by which it must do so. Times are in milliseconds since the
/// connection was accepted.
#[derive(Debug)]
pub(super) struct ClientPace {
    pub(super) leftover: UnreadBodyCell,
    accepted_at: Instant,
    head: Duration,
    idle: Duration,
    write: Duration,
    /// Whether the connection is between two requests, and no byte of the next request has arrived.
    is_idle: AtomicBool,
    /// The deadline for the next request to begin or, once it has begun, for its headers to end. `NEVER` while a
    /// request is being answered.
    request_due: AtomicU64,
    /// When the connection began to wait for the next request, for more of its headers, or for the rest of a body that
    /// is drained.
    request_since: AtomicU64,
    /// When a handler began to wait for the next part of a body.
    body_since: AtomicU64,
    /// The time by which the client must read some of its answer. `NEVER` unless a write is blocked because the client
    /// does not read.
    write_due: AtomicU64,
    is_answering: AtomicBool,
    /// Whether the rest of a body is being drained.
    is_draining: AtomicBool,
}

impl ClientPace {
    /// The pace of a connection that was just accepted. A new connection is not idle: its first request must arrive
    /// within the limit for headers.
    pub(super) fn new(options: &ServeOptions) -> Arc<Self> {
        let never = || AtomicU64::new(NEVER);
        let pace = Self {
            leftover: UnreadBodyCell::default(),
            accepted_at: Instant::now(),
            head: options.head_timeout,
            idle: options.idle_timeout,
            write: options.write_timeout,
            is_idle: AtomicBool::new(false),
            request_due: never(),
            request_since: never(),
            body_since: never(),
            write_due: never(),
            is_answering: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
        };
        pace.expect_request_within(pace.head);
        Arc::new(pace)
    }

    fn millis(&self, after: Duration) -> u64 {
        duration_millis(self.accepted_at.elapsed().saturating_add(after))
    }

    /// Sets the deadline for the client to send its next request, or the rest of its headers.
    fn expect_request_within(&self, limit: Duration) {
        let now = self.millis(Duration::ZERO);
        self.request_since.store(now, Relaxed);
        self.request_due.store(now.saturating_add(duration_millis(limit)), Relaxed);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_idle.load(Relaxed)
    }

    /// When the connection began to wait for its client. `None` while the service works on a request.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let write_due = self.write_due.load(Relaxed);
        let write_since =
            if write_due == NEVER { NEVER } else { write_due.saturating_sub(duration_millis(self.write)) };
        let since = self.request_since.load(Relaxed).min(self.body_since.load(Relaxed)).min(write_since);
        if since == NEVER { None } else { self.accepted_at.checked_add(Duration::from_millis(since)) }
    }

    /// Records that bytes from the client have arrived. On an idle connection, the next request begins, and its time
    /// limit for headers starts.
    pub(super) fn received(&self) {
        if self.is_idle() {
            self.is_idle.store(false, Relaxed);
            self.expect_request_within(self.head);
        }
    }

    /// Records that a handler starts or stops waiting for more of a body.
    pub(super) fn awaits_body(&self, waits: bool) {
        let waited = self.body_since.load(Relaxed) != NEVER;
        if waits != waited {
            let since = if waits { self.millis(Duration::ZERO) } else { NEVER };
            self.body_since.store(since, Relaxed);
        }
    }

    /// Marks a request as being answered until the returned guard is dropped.
    pub(super) fn answering(self: &Arc<Self>) -> AnswerGuard {
        self.is_answering.store(true, Relaxed);
        self.suspend_request_limit();
        AnswerGuard(Arc::clone(self))
    }

    /// Removes the time limit for the next request, because no request is expected or another limit applies.
    fn suspend_request_limit(&self) {
        self.is_idle.store(false, Relaxed);
        self.request_due.store(NEVER, Relaxed);
        self.request_since.store(NEVER, Relaxed);
    }

    /// Records that the connection is idle: the client may send its next request.
    fn become_idle(&self) {
        self.is_idle.store(true, Relaxed);
        self.expect_request_within(self.idle);
    }

    fn answered(&self) {
        self.is_answering.store(false, Relaxed);
        if !self.is_draining.load(Relaxed) {
            self.become_idle();
        }
    }

    /// Records that the rest of a body is being drained from now on. Draining has its own time limit. The answer may
    /// still be in progress.
    pub(super) fn begin_drain(&self) {
        self.is_draining.store(true, Relaxed);
        self.suspend_request_limit();
        self.request_since.store(self.millis(Duration::ZERO), Relaxed);
    }

    /// Records that draining has ended, whether or not the body has ended.
    pub(super) fn end_drain(&self) {
        self.is_draining.store(false, Relaxed);
        if self.is_answering.load(Relaxed) { self.suspend_request_limit() } else { self.become_idle() }
    }

    /// Records the result of a write: accepted by the socket, or blocked because the client does not read.
    pub(super) fn wrote<T>(&self, written: &Poll<T>) {
        let waits = self.write_due.load(Relaxed) != NEVER;
        if written.is_pending() != waits {
            let due = if waits { NEVER } else { self.millis(self.write) };
            self.write_due.store(due, Relaxed);
        }
    }

    /// The time by which the client must act. `None` if the service does not wait for the client.
    fn due(&self) -> Option<Instant> {
        let due = self.request_due.load(Relaxed).min(self.write_due.load(Relaxed));
        // A time that the clock cannot represent also becomes `None`.
        if due == NEVER { None } else { self.accepted_at.checked_add(Duration::from_millis(due)) }
    }
}

fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER)
}

/// While this guard exists, its request counts as being answered.
#[derive(Debug)]
pub(super) struct AnswerGuard(Arc<ClientPace>);

impl Drop for AnswerGuard {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// Completes when the client has missed its time limit. Poll this future after all futures that report to the pace, so
/// that it sees their reports.
///
/// If the time limit becomes earlier, the timer is reset immediately. If the limit becomes later, the timer is reset
/// only when it fires. So a connection in steady use never resets the timer.
pub(super) struct SlowClient {
    pace: Arc<ClientPace>,
    timer: Pin<Box<Sleep>>,
}

impl SlowClient {
    pub(super) fn new(pace: Arc<ClientPace>) -> Self {
        let first = pace.due().unwrap_or_else(Instant::now);
        Self { pace, timer: Box::pin(sleep_until(first)) }
    }
}

impl Future for SlowClient {
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

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> Arc<ClientPace> {
        let limits = ServeOptions {
            head_timeout: 10 * SECOND,
            idle_timeout: 75 * SECOND,
            write_timeout: 30 * SECOND,
            ..ServeOptions::default()
        };
        ClientPace::new(&limits)
    }

    /// The number of seconds until the client is too slow, or `None` if it is not too slow within 1000 seconds.
    async fn seconds_left(pace: &Arc<ClientPace>, too_slow: &mut SlowClient) -> Option<u64> {
        let before = Instant::now();
        let is_up = timeout(1000 * SECOND, &mut *too_slow).await.is_ok();
        assert_eq!(is_up, pace.due().is_some());
        is_up.then(|| before.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_of_a_request_has_its_own_limit() {
        let pace = pace();
        let mut too_slow = SlowClient::new(Arc::clone(&pace));
        advance(4 * SECOND).await;
        pace.received();
        assert_eq!(
            seconds_left(&pace, &mut too_slow).await,
            Some(6),
            "the limit begins when the connection is accepted"
        );

        let answering = pace.answering();
        assert_eq!(
            seconds_left(&pace, &mut too_slow).await,
            None,
            "no limit applies while a request is answered"
        );
        drop(answering);
        assert!(pace.is_idle());
        assert_eq!(seconds_left(&pace, &mut too_slow).await, Some(75));

        drop(pace.answering());
        advance(70 * SECOND).await;
        pace.received();
        assert!(!pace.is_idle());
        advance(9 * SECOND).await;
        pace.received();
        assert_eq!(seconds_left(&pace, &mut too_slow).await, Some(1), "single bytes do not extend the limit");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_must_keep_reading_its_answer() {
        let pace = pace();
        let mut too_slow = SlowClient::new(Arc::clone(&pace));
        let _answering = pace.answering();
        for _ in 0..3 {
            pace.wrote(&Poll::<()>::Pending);
            advance(29 * SECOND).await;
            pace.wrote(&Poll::<()>::Pending);
            pace.wrote(&Poll::Ready(()));
        }
        assert_eq!(seconds_left(&pace, &mut too_slow).await, None);
        pace.wrote(&Poll::<()>::Pending);
        advance(10 * SECOND).await;
        assert_eq!(seconds_left(&pace, &mut too_slow).await, Some(20));
    }
}
