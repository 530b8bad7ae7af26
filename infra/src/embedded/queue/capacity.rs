//! Decides whether the queue accepts new messages. The publisher, the redrive, the readiness check and the metrics call
//! it.

use api::operations::DiskSpace;

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
        let DiskSpace { free_bytes, reserved_bytes } = self.disk();
        // If the free space is unknown, the queue accepts messages. On a full disk the write itself fails.
        let free = free_bytes.filter(|free| *free < reserved_bytes)? >> 20;
        Some(format!("the disk has {free} MiB left, and {} MiB are kept in reserve", reserved_bytes >> 20))
    }

    /// The disk with the data folder.
    pub(crate) fn disk(&self) -> DiskSpace {
        let disk = rustix::fs::statvfs(&self.store.path).ok();
        DiskSpace {
            free_bytes: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
            reserved_bytes: self.capacity.min_free_bytes,
        }
    }
}
