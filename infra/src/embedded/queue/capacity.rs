//! Whether the queue takes new messages. The publisher, the redrive of dead letters and the readiness check ask.

use super::Queue;

/// The bounds of the queue, see [`Options`](crate::embedded::Options).
pub(crate) struct Capacity {
    pub(crate) max_depth: usize,
    pub(crate) min_free_bytes: u64,
}

impl Queue {
    /// Why the queue takes no new message, if so.
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
            // If the free space is not known, the queue takes messages: a disk that is really full fails the write.
            _ => None,
        }
    }
}
