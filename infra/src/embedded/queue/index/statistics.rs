//! How the queue stands, for those who look after it.

use std::time::{Duration, Instant};

use super::QueueIndex;

/// How the messages of the queue stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// Delivered, and not visible yet.
    pub(crate) in_flight: u64,
    /// Never delivered, and not visible yet.
    pub(crate) delayed: u64,
    /// The number of the oldest message, and since when it is visible, by a clock that nobody sets.
    pub(crate) oldest: Option<(u64, Duration)>,
}

impl QueueIndex {
    /// A look at every message.
    pub(crate) fn standing(&self, now: Instant) -> Standing {
        let mut standing = Standing::default();
        for entry in self.groups.values().flat_map(|group| &group.entries) {
            let waits = entry.visible_at > now;
            standing.in_flight += u64::from(waits && entry.lease > 0);
            standing.delayed += u64::from(waits && entry.lease == 0);
            if standing.oldest.is_none_or(|(oldest, _)| entry.seq < oldest) {
                standing.oldest = Some((entry.seq, now.saturating_duration_since(entry.visible_at)));
            }
        }
        standing
    }
}
