//! Requests that wait for the outcome of an event. The reader registers the requests, and the code that commits
//! outcomes wakes them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use domain::EventId;
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct OutcomeWaiters {
    /// One signal for each event that at least one request waits for.
    signals: Mutex<HashMap<EventId, Arc<Notify>>>,
    /// The number of waiting requests. While it is 0, the lock is not taken.
    count: AtomicUsize,
}

/// A registered request. Dropping the `OutcomeWaiter` unregisters the request.
pub(crate) struct OutcomeWaiter<'a> {
    waiters: &'a OutcomeWaiters,
    event_id: EventId,
    signal: Arc<Notify>,
}

impl OutcomeWaiters {
    /// Registers a request that waits for the event. When the event may have an outcome, [`OutcomeWaiter::signal`] is
    /// notified.
    pub(crate) fn join(&self, event_id: EventId) -> OutcomeWaiter<'_> {
        self.count.fetch_add(1, Ordering::SeqCst);
        let signal = Arc::clone(self.lock().entry(event_id).or_default());
        OutcomeWaiter { waiters: self, event_id, signal }
    }

    /// Wakes the requests that wait for the given events. The caller must make the outcomes readable first.
    pub(crate) fn wake(&self, events: impl IntoIterator<Item = EventId>) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let signals = self.lock();
        let signals_of_events = events.into_iter().filter_map(|event_id| signals.get(&event_id));
        signals_of_events.for_each(|signal| signal.notify_waiters());
    }

    /// Wakes all waiting requests, whichever events they wait for. Used when messages are parked. Messages are rarely
    /// parked, and a parked message does not always contain an event.
    pub(crate) fn wake_all(&self) {
        if self.count.load(Ordering::SeqCst) > 0 {
            self.lock().values().for_each(|signal| signal.notify_waiters());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, Arc<Notify>>> {
        // No code panics while it holds the lock.
        self.signals.lock().expect("the signals are intact")
    }
}

impl OutcomeWaiter<'_> {
    pub(crate) fn signal(&self) -> &Notify {
        &self.signal
    }
}

impl Drop for OutcomeWaiter<'_> {
    fn drop(&mut self) {
        let mut signals = self.waiters.lock();
        // If only the map and the dropped waiter refer to the signal, no other request waits for the event.
        if Arc::strong_count(&self.signal) == 2 {
            signals.remove(&self.event_id);
        }
        self.waiters.count.fetch_sub(1, Ordering::SeqCst);
    }
}
