//! How the queue stands, for those who look after it.

use std::time::Instant;

use super::QueueIndex;

/// How the messages of the queue stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::embedded) struct Standing {
    /// Delivered, and not visible yet.
    pub(in crate::embedded) in_flight: u64,
    /// Never delivered, and not visible yet.
    pub(in crate::embedded) delayed: u64,
    /// The number of the oldest message.
    pub(in crate::embedded) oldest: Option<u64>,
}

impl QueueIndex {
    /// A look at every message.
    pub(in crate::embedded) fn standing(&self, now: Instant) -> Standing {
        let mut standing = Standing::default();
        for entry in self.groups.values().flat_map(|group| &group.entries) {
            let waits = entry.visible_at > now;
            standing.in_flight += u64::from(waits && entry.lease > 0);
            standing.delayed += u64::from(waits && entry.lease == 0);
            standing.oldest = Some(standing.oldest.map_or(entry.seq, |oldest| oldest.min(entry.seq)));
        }
        standing
    }
}
