//! The unread rest of a body whose request was answered early. `body` stores it here, and `drain` reads and drops it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use hyper::body::{Body, Incoming};
use tokio::time::Instant;

/// The maximum number of bytes of a body that are read and dropped.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// The unread rest of a body.
#[derive(Debug)]
pub(super) struct UnreadBody {
    pub(super) body: Incoming,
    /// The time by which the whole body must have arrived.
    pub(super) due: Instant,
    /// Whether a handler has polled the body. A client that expects `100 Continue` does not send the body before that.
    pub(super) was_polled: bool,
}

/// Holds the unread rest of a connection's latest body.
#[derive(Debug, Default)]
pub(super) struct UnreadBodyCell {
    rest: Mutex<Option<UnreadBody>>,
    /// Whether `rest` is set. Can be read without taking the lock.
    has_rest: AtomicBool,
    /// Whether the connection must close although a body is unread.
    is_given_up: AtomicBool,
}

impl UnreadBodyCell {
    pub(super) fn leave(&self, rest: UnreadBody) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        self.has_rest.store(true, Relaxed);
    }

    pub(super) fn take(&self) -> Option<UnreadBody> {
        // `body` and `drain` both run in the task of the connection, so relaxed ordering is enough.
        if !self.has_rest.load(Relaxed) {
            return None;
        }
        self.has_rest.store(false, Relaxed);
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives up a rest that is too large to read, or that the client may never send. Returns whether the rest was given
    /// up.
    pub(super) fn give_up_if_hopeless(&self, expects_continue: bool) -> bool {
        if !self.has_rest.load(Relaxed) {
            return false;
        }
        let mut left = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_hopeless = |rest: &UnreadBody| {
            rest.body.size_hint().lower() > MAX_BYTES || (expects_continue && !rest.was_polled)
        };
        if !left.as_ref().is_some_and(is_hopeless) {
            return false;
        }
        *left = None;
        self.has_rest.store(false, Relaxed);
        self.give_up();
        true
    }

    /// Whether the connection must close although a body is unread.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Relaxed)
    }

    /// Makes the connection close although a body is unread.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Relaxed);
    }
}
