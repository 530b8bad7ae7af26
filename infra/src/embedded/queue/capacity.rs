//! Decides whether the queue accepts new messages. The publisher, the redrive and the readiness check ask this module.

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
        match rustix::fs::statvfs(&self.store.path) {
            Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < min => {
                let free = (disk.f_bavail * disk.f_frsize) >> 20;
                Some(format!("the disk has {free} MiB left, and {} MiB are kept in reserve", min >> 20))
            }
            // If the free space is unknown, the queue accepts messages. On a full disk, the write of the message fails.
            _ => None,
        }
    }
}
