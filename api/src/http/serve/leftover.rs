//! The unread rest of a body whose request was answered early. `body` stores it here, and `drain` reads and drops it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use hyper::body::{Body, Incoming};
use tokio::time::Instant;

/// The maximum number of bytes of a body that are read and dropped.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// The unread rest of a body whose request was answered early.
#[derive(Debug)]
pub(super) struct UnreadBody {
    pub(super) body: Incoming,
    /// The time by which the whole body must have arrived.
    pub(super) due: Instant,
    /// Whether a handler has polled the body. A client that expects `100 Continue` sends the body only after a handler
    /// has polled it.
    pub(super) was_polled: bool,
}

/// Holds the unread rest of the connection's latest body until `drain` takes it.
#[derive(Debug, Default)]
pub(super) struct UnreadBodyCell {
    rest: Mutex<Option<UnreadBody>>,
    /// Whether `rest` is set. This flag can be read without the lock.
    has_rest: AtomicBool,
    /// Whether the rest of a body was given up. The connection must then close without reading the rest.
    is_given_up: AtomicBool,
}

impl UnreadBodyCell {
    pub(super) fn leave(&self, rest: UnreadBody) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        self.has_rest.store(true, Relaxed);
    }

    pub(super) fn take(&self) -> Option<UnreadBody> {
        // Relaxed ordering is enough, because `body` and `drain` both run in the task of the connection.
        if !self.has_rest.load(Relaxed) {
            return None;
        }
        self.has_rest.store(false, Relaxed);
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives up the rest of a body if it is too large to read, or if the client may never send it. Returns whether the
    /// rest was given up.
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

    /// Whether the rest of a body was given up, so that the connection must close.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Relaxed)
    }

    /// Gives up the rest of a body, so that the connection must close.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Relaxed);
    }
}
