//! When groups are looked at again.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Group, GroupQueue, QueueIndex, Taken};

/// The most messages of a batch that the next one does not wait after.
pub(crate) const FEW: usize = 16;
/// For how long messages are gathered after more were taken: a batch costs three commits, however large it is.
const GATHER: Duration = Duration::from_millis(2);

impl QueueIndex {
    /// Until when it is better to take no messages, if so.
    pub(crate) fn gathers_until(&self) -> Option<Instant> {
        self.gathers_until
    }

    /// Notes what was taken, and that there is time until more is.
    pub(crate) fn gather(&mut self, taken: &Taken, now: Instant) {
        self.gathers_until = (taken.deliveries.len() > FEW && !taken.more).then(|| now + GATHER);
    }

    /// Sees to it that the group is looked at when its next message becomes available.
    pub(crate) fn schedule(&mut self, group: &Group) {
        let Some(queue) = self.groups.get_mut(group) else { return };
        if !queue.ready
            && let Some(at) = queue.available_at()
        {
            self.wakes.push(Reverse((at, Arc::clone(group))));
        }
        // Wakes of groups that are done stay behind; do away with them before they outnumber the others.
        if self.wakes.len() > 1024 + 2 * self.groups.len() {
            let current = |(group, queue): (&Group, &GroupQueue)| {
                queue.available_at().filter(|_| !queue.ready).map(|at| Reverse((at, Arc::clone(group))))
            };
            self.wakes = self.groups.iter().filter_map(current).collect();
        }
    }

    /// Makes the groups ready whose time has come.
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
