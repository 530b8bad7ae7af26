//! Who waits for the outcome of which event.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use domain::EventId;
use tokio::sync::Notify;

/// The bells of the events that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    bells: Mutex<HashMap<EventId, Arc<Notify>>>,
    /// How many wait, so that nobody takes the lock where nobody does.
    count: AtomicUsize,
}

/// Somebody who waits. Dropped when they do not any more.
pub(crate) struct Waiter<'a> {
    waiters: &'a Waiters,
    event_id: EventId,
    bell: Arc<Notify>,
}

impl Waiters {
    /// From here on, [`Waiter::bell`] rings for the event.
    pub(crate) fn join(&self, event_id: EventId) -> Waiter<'_> {
        self.count.fetch_add(1, Ordering::SeqCst);
        let bell = Arc::clone(self.lock().entry(event_id).or_default());
        Waiter { waiters: self, event_id, bell }
    }

    /// Tells those who wait that these events have outcomes, which can be read by now.
    pub(crate) fn wake(&self, events: impl IntoIterator<Item = EventId>) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let bells = self.lock();
        events.into_iter().filter_map(|event_id| bells.get(&event_id)).for_each(|bell| bell.notify_waiters());
    }

    /// Tells everybody who waits to look again: messages were parked, which is rare, and not all of them are events.
    pub(crate) fn wake_all(&self) {
        if self.count.load(Ordering::SeqCst) > 0 {
            self.lock().values().for_each(|bell| bell.notify_waiters());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, Arc<Notify>>> {
        // Nothing that is done under the lock panics.
        self.bells.lock().expect("the bells are intact")
    }
}

impl Waiter<'_> {
    pub(crate) fn bell(&self) -> &Notify {
        &self.bell
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut bells = self.waiters.lock();
        // The map's own and ours: nobody else waits for it.
        if Arc::strong_count(&self.bell) == 2 {
            bells.remove(&self.event_id);
        }
        self.waiters.count.fetch_sub(1, Ordering::SeqCst);
    }
}
