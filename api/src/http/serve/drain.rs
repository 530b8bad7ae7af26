//! Requests that are answered before they are read, such as a body that is too large, or has no token.
//!
//! A client that is still sending when its connection is closed gets a reset, and never sees the answer. So what is left
//! of the body is read and dropped beside the answer ([`Drain`]), after which the connection goes on. What is too much
//! for that is answered with `Connection: close`, and the connection is closed in two steps ([`linger`]): first the
//! writing side, and the rest when the client has seen it, or after a moment (RFC 9112, section 9.6).

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
use super::pace::Pace;

/// The least time that the rest of a body is given: one that was too slow has none left.
const LEAST: Duration = Duration::from_secs(1);
/// How long a connection that is closed waits for its client to see it.
const LINGER: Duration = Duration::from_secs(2);

/// Reads and drops what bodies leave. Never completes; to be polled right after the connection, which it keeps going.
pub(super) struct Drain {
    pace: Arc<Pace>,
    rest: Option<(Incoming, Pin<Box<Sleep>>)>,
    /// How much of it may still come.
    bytes: u64,
}

impl Drain {
    pub(super) fn new(pace: Arc<Pace>) -> Self {
        Self { pace, rest: None, bytes: 0 }
    }

    /// Reads until the body ends, or has to be waited for.
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

impl Future for Drain {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Infallible> {
        loop {
            if self.rest.is_none() {
                let Some(rest) = self.pace.leftover.take() else { return Poll::Pending };
                let until = rest.due.max(Instant::now() + LEAST);
                self.rest = Some((rest.body, Box::pin(sleep_until(until))));
                self.bytes = MAX_BYTES;
                self.pace.drains();
            }
            if self.poll_rest(context).is_pending() {
                return Poll::Pending;
            }
            self.rest = None;
            self.pace.drained();
        }
    }
}

/// Closes a connection whose client may still be sending, so that it gets what was written to it.
pub(super) async fn linger(mut stream: TcpStream) {
    // It may be closed already, one way or the other.
    let _ = stream.shutdown().await;
    let until_seen = async {
        let mut buffer = vec![0; 16 << 10];
        let mut left = MAX_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(read as u64);
            if left == 0 {
                break;
            }
        }
    };
    // What comes later is lost, and so may be the answer.
    let _ = timeout(LINGER, until_seen).await;
}
