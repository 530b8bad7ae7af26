//! What a request leaves of its body when it is answered before it has read all of it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use hyper::body::{Body, Incoming};
use tokio::time::Instant;

/// The most that is read and dropped of a body.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// What is left of a body.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) body: Incoming,
    /// When all of it has to have arrived.
    pub(super) due: Instant,
    /// Whether anyone has asked for it: only then does a client send it that expects `100 Continue`.
    pub(super) was_asked_for: bool,
}

/// Where a body leaves what was not read of it.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    rest: Mutex<Option<Rest>>,
    /// Whether there is one, without the lock.
    is_there: AtomicBool,
    /// Whether the connection has to close with a body unread.
    is_given_up: AtomicBool,
}

impl Leftover {
    pub(super) fn leave(&self, rest: Rest) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        self.is_there.store(true, Relaxed);
    }

    pub(super) fn take(&self) -> Option<Rest> {
        // Whoever leaves it runs in the task of the connection, and so does whoever takes it.
        if !self.is_there.load(Relaxed) {
            return None;
        }
        self.is_there.store(false, Relaxed);
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Gives the rest up if it is too much to read, or if the client may never send it; whether it did.
    pub(super) fn give_up_if_hopeless(&self, expects_continue: bool) -> bool {
        if !self.is_there.load(Relaxed) {
            return false;
        }
        let mut left = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_hopeless = |rest: &Rest| {
            rest.body.size_hint().lower() > MAX_BYTES || (expects_continue && !rest.was_asked_for)
        };
        if !left.as_ref().is_some_and(is_hopeless) {
            return false;
        }
        *left = None;
        self.is_there.store(false, Relaxed);
        self.give_up();
        true
    }

    /// Whether the connection has to close with a body unread.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Relaxed)
    }

    /// Notes that the connection has to close with a body unread.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Relaxed);
    }
}
