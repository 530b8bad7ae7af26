//! Counts the messages of the queue by state. The pipeline counters are made from these numbers.

use std::time::{Duration, Instant};

use super::QueueIndex;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct QueueStatistics {
    /// The number of messages that were delivered and are not visible yet.
    pub(crate) in_flight: u64,
    /// The number of messages that were never delivered and are not visible yet.
    pub(crate) delayed: u64,
    /// The sequence number of the oldest message, and how long it has been visible.
    pub(crate) oldest: Option<(u64, Duration)>,
}

impl QueueIndex {
    /// Counts the messages. Looks at every message, so a deep queue takes longer.
    pub(crate) fn statistics(&self, now: Instant) -> QueueStatistics {
        let mut statistics = QueueStatistics::default();
        for entry in self.groups.values().flat_map(|group| &group.messages) {
            let is_invisible = entry.visible_at > now;
            statistics.in_flight += u64::from(is_invisible && entry.lease > 0);
            statistics.delayed += u64::from(is_invisible && entry.lease == 0);
            if statistics.oldest.is_none_or(|(oldest, _)| entry.seq < oldest) {
                statistics.oldest = Some((entry.seq, now.saturating_duration_since(entry.visible_at)));
            }
        }
        statistics
    }
}
