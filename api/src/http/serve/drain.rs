//! Reads and drops the rest of a body whose request was answered early, for example because the body is too large or
//! the token is missing. `connection` polls [`BodyDrain`] and calls [`linger`].
//!
//! A client that is still sending when its connection is closed gets a reset and never sees the answer. So while the
//! answer is sent, the rest of the body is read and dropped, and the connection stays open. If the rest is too large to
//! read, the answer has `Connection: close`, and the server closes the connection in two steps (RFC 9112, section 9.6).
//! It first closes its writing side. It closes the reading side when the client has closed the connection, or after a
//! timeout.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::leftover::MAX_BYTES;
use super::pace::ClientPace;

/// The minimum time for draining a body, even if the body's own time limit has passed. The client needs this time to
/// see the answer.
const MIN_DRAIN_TIME: Duration = Duration::from_secs(1);
/// How long the server waits for the client to close the connection after the server has closed its writing side.
const LINGER: Duration = Duration::from_secs(2);

/// Reads and drops the unread rest of each body of a connection. This future never completes. Poll it after the
/// connection's future, because that future stores the unread rest of a body.
pub(super) struct BodyDrain {
    pace: Arc<ClientPace>,
    rest: Option<(Incoming, Pin<Box<Sleep>>)>,
    /// How many more bytes of the current body may be drained.
    bytes: u64,
}

impl BodyDrain {
    pub(super) fn new(pace: Arc<ClientPace>) -> Self {
        Self { pace, rest: None, bytes: 0 }
    }

    /// Reads and drops the rest of the current body until the body has ended. Gives up if the rest is too large or does
    /// not arrive in time.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((body, timer)) = &mut self.rest else { return Poll::Ready(()) };
        loop {
            match Pin::new(&mut *body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                    if length > self.bytes {
                        break;
                    }
                    self.bytes -= length;
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if timer.as_mut().poll(context).is_pending() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        self.pace.leftover.give_up();
        Poll::Ready(())
    }
}

impl Future for BodyDrain {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Infallible> {
        loop {
            if self.rest.is_none() {
                let Some(rest) = self.pace.leftover.take() else { return Poll::Pending };
                let until = rest.due.max(Instant::now() + MIN_DRAIN_TIME);
                self.rest = Some((rest.body, Box::pin(sleep_until(until))));
                self.bytes = MAX_BYTES;
                self.pace.begin_drain();
            }
            if self.poll_rest(context).is_pending() {
                return Poll::Pending;
            }
            self.rest = None;
            self.pace.end_drain();
        }
    }
}

/// Closes a connection whose client may still be sending, so that the client still receives the answer.
pub(super) async fn linger(mut stream: TcpStream) {
    // An error here means that the connection is already closed.
    let _ = stream.shutdown().await;
    let until_closed = async {
        let mut buffer = vec![0; 16 << 10];
        let mut left = MAX_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(read as u64);
            if left == 0 {
                break;
            }
        }
    };
    // If the client has not closed the connection before this timeout, it may get a reset and not see the answer.
    let _ = timeout(LINGER, until_closed).await;
}
