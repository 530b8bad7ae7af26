//! Decides whether the queue accepts new messages. The publisher, the redrive and the readiness check call it.

use super::EmbeddedQueue;

/// The limits of the queue, see [`Options`](crate::embedded::Options).
pub(crate) struct Capacity {
    pub(crate) max_depth: usize,
    pub(crate) min_free_bytes: u64,
}

impl EmbeddedQueue {
    /// The reason why the queue accepts no new message, or `None` if it accepts them.
    pub(crate) fn no_room(&self) -> Option<String> {
        self.full_queue().or_else(|| self.full_disk())
    }

    pub(crate) fn full_queue(&self) -> Option<String> {
        let (depth, max) = (self.depth(), self.capacity.max_depth);
        (depth >= max).then(|| format!("the queue holds {depth} messages, and {max} are allowed"))
    }

    pub(crate) fn full_disk(&self) -> Option<String> {
        let min = self.capacity.min_free_bytes;
        match self.free_disk() {
            Some(free) if free < min => {
                let free = free >> 20;
                Some(format!("the disk has {free} MiB left, and {} MiB are kept in reserve", min >> 20))
            }
            // If the free space is unknown, the queue accepts messages. On a full disk the write itself fails.
            _ => None,
        }
    }

    /// The free space of the disk in bytes, or `None` if it is unknown.
    pub(crate) fn free_disk(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.store.path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}
