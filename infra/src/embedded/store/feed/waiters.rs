//! Readers that wait at the end of the feed. The feed registers the readers. The syncing thread compares new rows with
//! the filters of the readers, and wakes them.
//!
//! A reader is woken only by an event that may pass its filter. So a reader of one customer's events costs nothing
//! while other customers are busy. Readers are grouped by their filters, and each event is compared with the groups.
//! While no reader waits, the syncing thread only reads one counter after each sync.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use fjall::UserValue;
use foldhash::fast::RandomState;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::decode::{FeedEntry, FeedItem, FeedRow};
use super::{FeedMask, feed_key};

#[derive(Debug, Default)]
pub(crate) struct FeedWaiters {
    /// The number of waiting readers. A reader increases it before it reads the end of the feed.
    count: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The position up to which new rows were compared with the filters of waiting readers.
    compared: u64,
    next_id: u64,
    /// The waiting readers, grouped by their filter.
    groups: HashMap<Group, HashMap<u64, Waiter, RandomState>, RandomState>,
    /// The sets of event types that filters select, each with the number of waiting readers whose filter selects that
    /// set.
    types: HashMap<u32, usize, RandomState>,
}

/// The filter of a group of readers: the hash of the customer, and the bits of the event types.
type Group = (Option<u32>, u32);

#[derive(Debug)]
struct Waiter {
    /// The position up to which the reader has seen all events.
    after: u64,
    /// The channel that sends the reader the position of the first event that may pass its filter.
    sender: oneshot::Sender<u64>,
    runtime: Handle,
}

/// A wake-up to send to a reader. The reader is already unregistered.
struct Wake {
    sender: oneshot::Sender<u64>,
    position: u64,
}

/// A registered reader that waits at the end of the feed. Dropping the `FeedWaiter` unregisters the reader.
pub(crate) struct FeedWaiter<'a> {
    waiters: &'a FeedWaiters,
    group: Group,
    id: u64,
    after: u64,
    woken: oneshot::Receiver<u64>,
}

impl FeedWaiters {
    /// Registers a reader that has seen the events up to `after`. `end` returns the latest position that readers can
    /// see. Returns `None` if there are later events already, so that the reader need not wait.
    pub(crate) fn join(
        &self,
        mask: FeedMask,
        after: u64,
        end: impl FnOnce() -> u64,
    ) -> Option<FeedWaiter<'_>> {
        let (sender, woken) = oneshot::channel();
        // From here on, the syncing thread compares new rows with the filters: it reads the counter after it has shown
        // rows to readers.
        self.count.fetch_add(1, Ordering::SeqCst);
        let mut waiting = self.lock();
        let group = mask.group();
        let id = waiting.next_id;
        waiting.next_id += 1;
        let waiter = Waiter { after, sender, runtime: Handle::current() };
        waiting.groups.entry(group).or_default().insert(id, waiter);
        *waiting.types.entry(group.1).or_default() += 1;
        drop(waiting);
        let waiter = FeedWaiter { waiters: self, group, id, after, woken };
        (end() <= after).then_some(waiter)
    }

    /// Wakes each reader whose filter may select an event in the new rows. The rows must already be visible to readers.
    pub(crate) fn wake(&self, rows: &[(u64, UserValue)]) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut woken: Vec<(Handle, Vec<Wake>)> = Vec::new();
        let mut waiting = self.lock();
        if waiting.groups.is_empty() {
            // The counter still includes readers that were woken but have not run since.
            return;
        }
        for (first, row) in rows {
            // A row is undecodable only because of a bug in the encoder. Readers get the error when they read the row.
            let Ok(row) = FeedRow::decode(&feed_key(*first), row) else { continue };
            for item in row.items().flatten() {
                waiting.compared = waiting.compared.max(item.last_position());
                let FeedItem::Event(entry) = item else { continue };
                for waiter in waiting.take_matching(&entry) {
                    let wake = Wake { sender: waiter.sender, position: entry.position };
                    match woken.iter_mut().find(|(runtime, _)| runtime.id() == waiter.runtime.id()) {
                        Some((_, wakes)) => wakes.push(wake),
                        None => woken.push((waiter.runtime, vec![wake])),
                    }
                }
            }
        }
        drop(waiting);
        for (runtime, wakes) in woken {
            // Waking a task from outside its runtime takes a system call, so each runtime wakes its own tasks.
            runtime.spawn(async move {
                for Wake { sender, position } in wakes {
                    // Sending fails if the reader has stopped waiting.
                    let _ = sender.send(position);
                }
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code panics while it holds the lock.
        self.waiting.lock().expect("the waiting readers are intact")
    }
}

impl Waiting {
    /// Unregisters the readers whose filters may select the event, and returns them.
    fn take_matching(&mut self, entry: &FeedEntry<'_>) -> Vec<Waiter> {
        let bit = FeedMask::bit_of(entry.event_type);
        let mut matching = Vec::new();
        let types: Vec<u32> = self.types.keys().copied().filter(|types| types & bit != 0).collect();
        for types in types {
            for customer in [None, Some(entry.customer_hash)] {
                self.take_group(&(customer, types), entry.position, &mut matching);
            }
        }
        if entry.event_type.is_none() {
            // Both the type and the customer of the event are unknown, so the event may pass every filter.
            let groups: Vec<Group> = self.groups.keys().copied().collect();
            groups.iter().for_each(|group| self.take_group(group, entry.position, &mut matching));
        }
        matching
    }

    fn take_group(&mut self, group: &Group, position: u64, taken: &mut Vec<Waiter>) {
        let Some(members) = self.groups.get_mut(group) else { return };
        let before = taken.len();
        taken.extend(members.extract_if(|_, waiter| waiter.after < position).map(|(_, waiter)| waiter));
        let is_empty = members.is_empty();
        if is_empty {
            self.groups.remove(group);
        }
        self.forget_types(group.1, taken.len() - before);
    }

    fn forget_types(&mut self, types: u32, readers: usize) {
        if let Some(count) = self.types.get_mut(&types) {
            *count -= readers;
            if *count == 0 {
                self.types.remove(&types);
            }
        }
    }
}

impl FeedWaiter<'_> {
    /// Waits for an event that may pass the filter. Returns the position right before that event, after which the
    /// reader continues.
    pub(crate) async fn woken(&mut self) -> u64 {
        match (&mut self.woken).await {
            Ok(position) => position - 1,
            // The sender is dropped without sending a value only when the runtime ends.
            Err(_) => self.after,
        }
    }

    /// The position after which the reader continues. The reader's filter selects no unread event up to that position.
    pub(crate) fn place(&mut self) -> u64 {
        let waiting = self.waiters.lock();
        match self.woken.try_recv() {
            Ok(position) => position - 1,
            Err(oneshot::error::TryRecvError::Empty)
                if waiting.groups.get(&self.group).is_some_and(|group| group.contains_key(&self.id)) =>
            {
                waiting.compared.max(self.after)
            }
            // An event was found, but its position has not arrived yet.
            Err(_) => self.after,
        }
    }
}

impl Drop for FeedWaiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        if let Some(members) = waiting.groups.get_mut(&self.group) {
            let was_member = members.remove(&self.id).is_some();
            if members.is_empty() {
                waiting.groups.remove(&self.group);
            }
            waiting.forget_types(self.group.1, usize::from(was_member));
        }
        drop(waiting);
        self.waiters.count.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
impl FeedWaiters {
    /// The number of readers that wait.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// The position up to which new rows were compared with the filters of waiting readers.
    pub(crate) fn compared(&self) -> u64 {
        self.lock().compared
    }
}
