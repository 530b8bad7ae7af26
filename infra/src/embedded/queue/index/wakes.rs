//! Schedules the groups of the queue: determines when a group is checked again, and how long receivers wait for more
//! messages.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{GroupName, GroupQueue, QueueIndex, TakenMessages};

/// The maximum size of a batch after which receivers do not wait for more messages.
pub(crate) const MAX_BATCH_WITHOUT_GATHERING: usize = 16;
/// How long receivers wait for more messages after a large batch. Every batch costs three commits, so larger
/// batches cost less per message.
const GATHER_TIME: Duration = Duration::from_millis(2);

impl QueueIndex {
    /// The time until which receivers should wait for more messages.
    pub(crate) fn gather_until(&self) -> Option<Instant> {
        self.gather_until
    }

    /// Decides whether receivers wait for more messages after the batch `taken`.
    pub(crate) fn plan_gathering(&mut self, taken: &TakenMessages, now: Instant) {
        self.gather_until =
            (taken.deliveries.len() > MAX_BATCH_WITHOUT_GATHERING && !taken.more).then(|| now + GATHER_TIME);
    }

    /// Schedules a check of the group for the time when its next message becomes available.
    pub(crate) fn schedule(&mut self, group: &GroupName) {
        let Some(queue) = self.groups.get_mut(group) else { return };
        if !queue.ready
            && let Some(at) = queue.available_at()
        {
            self.wakes.push(Reverse((at, Arc::clone(group))));
        }
        // Obsolete wakes stay in the heap. The heap is rebuilt before it consists mostly of obsolete wakes.
        if self.wakes.len() > 1024 + 2 * self.groups.len() {
            let current = |(group, queue): (&GroupName, &GroupQueue)| {
                queue.available_at().filter(|_| !queue.ready).map(|at| Reverse((at, Arc::clone(group))))
            };
            self.wakes = self.groups.iter().filter_map(current).collect();
        }
    }

    /// Moves groups to `ready` when their scheduled time has passed.
    pub(crate) fn wake(&mut self, now: Instant) {
        while self.wakes.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse((_, group))) = self.wakes.pop() else { return };
            let Some(queue) = self.groups.get_mut(&group) else { continue };
            if !queue.ready && queue.available_at().is_some_and(|at| at <= now) {
                queue.ready = true;
                self.ready.push_back(group);
            }
        }
    }
}
