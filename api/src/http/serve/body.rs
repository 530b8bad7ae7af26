//! Request bodies with a time limit. `connection` wraps every body in a [`TimedBody`].

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::leftover::UnreadBody;
use super::pace::ClientPace;

/// The error for a body that did not arrive within [`ServeOptions::body_timeout`](super::ServeOptions::body_timeout).
#[derive(Debug)]
pub(crate) struct BodyTimeout;

impl BodyTimeout {
    /// Whether `error` or one of its sources is a [`BodyTimeout`].
    pub(crate) fn caused(error: &(dyn Error + 'static)) -> bool {
        std::iter::successors(Some(error), |&error| error.source()).any(|error| error.is::<Self>())
    }
}

impl fmt::Display for BodyTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body did not arrive in time")
    }
}

impl Error for BodyTimeout {}

/// A request body with a time limit. If the body is incomplete when its time is up, reading it fails with
/// [`BodyTimeout`]. If this value is dropped before the body has ended, the connection's [`drain`](super::drain) gets
/// the unread rest.
pub(super) struct TimedBody {
    incoming: Option<Incoming>,
    due: Instant,
    /// The timer is created only when the server must wait for the body, because most bodies arrive together with their
    /// headers.
    timer: Option<Pin<Box<Sleep>>>,
    pace: Arc<ClientPace>,
    was_polled: bool,
}

impl TimedBody {
    pub(super) fn new(incoming: Incoming, due: Instant, pace: Arc<ClientPace>) -> Self {
        Self { incoming: Some(incoming), due, timer: None, pace, was_polled: false }
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        self.pace.awaits_body(false);
        if let Some(body) = self.incoming.take().filter(|body| !body.is_end_stream()) {
            let rest = UnreadBody { body, due: self.due, was_polled: self.was_polled };
            self.pace.leftover.leave(rest);
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.was_polled = true;
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(context) {
            self.pace.awaits_body(false);
            if !matches!(frame, Some(Ok(_))) {
                self.incoming = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        self.pace.awaits_body(true);
        let due = self.due;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        timer.as_mut().poll(context).map(|()| Some(Err(BodyTimeout.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
