//! How receives are counted so that the counts survive a crash, at little cost.
//!
//! A count has to be stored before its message is handed out: a message that brings the process down would be received
//! for ever otherwise. But nearly every message is received once and is gone. So the first receives of one delivery are
//! stored together, in one row, which names them all; it is removed when none of them counts by it any more. A message
//! that is received again has a row of its own from then on, with its count.

use std::collections::HashMap;

use domain::Timestamp;
use foldhash::fast::RandomState;

use super::{Group, QueueIndex};
use crate::embedded::store::keys::{FirstReceives, Receives};

/// Where the receives of a message are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Counted {
    /// Nowhere: there were none.
    #[default]
    Not,
    /// With others, in the row of this delivery, at this time.
    Together(u64, Timestamp),
    /// In a row of its own; the first one was then.
    Alone(Timestamp),
}

impl Counted {
    pub(crate) fn restored(received: Option<Receives>) -> Self {
        received.map_or(Self::Not, |received| Self::Alone(received.first))
    }

    fn first(self) -> Option<Timestamp> {
        match self {
            Self::Not => None,
            Self::Together(_, first) | Self::Alone(first) => Some(first),
        }
    }
}

/// By delivery, how many messages count by its row.
#[derive(Debug, Default)]
pub(crate) struct Counts(HashMap<u64, usize, RandomState>);

impl Counts {
    /// One less counts by the row; whether it was the last.
    fn leave(&mut self, delivery: u64) -> bool {
        let Some(left) = self.0.get_mut(&delivery) else { return false };
        *left -= 1;
        *left == 0 && self.0.remove(&delivery).is_some()
    }
}

/// What has to be stored before messages are handed out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counting {
    /// When each was received for the first time.
    pub(crate) firsts: Vec<Timestamp>,
    /// The row of this delivery, if there is anything in it.
    pub(crate) together: Option<FirstReceives>,
    /// Rows of their own.
    pub(crate) alone: Vec<(u64, Receives)>,
    /// The rows of earlier deliveries by which nothing counts any more.
    pub(crate) spent: Vec<u64>,
}

impl QueueIndex {
    /// Counts messages that were taken `at` this time, as `delivery`: each with its number of receives. To be called, like
    /// [`QueueIndex::uncount`], in the order in which the rows are written.
    pub(crate) fn count(&mut self, delivery: u64, taken: &[(Group, u64, u32)], at: Timestamp) -> Counting {
        let mut counting = Counting::default();
        let mut seqs = Vec::new();
        for (group, seq, receives) in taken {
            let entry = self.groups.get_mut(group).and_then(|queue| queue.entry_mut(*seq));
            // It may be gone by now; whoever it is handed to finds out.
            let known = entry.as_ref().map_or(Counted::Not, |entry| entry.counted);
            counting.firsts.push(known.first().unwrap_or(at));
            let Some(entry) = entry else { continue };
            if known == Counted::Not && *receives == 1 {
                entry.counted = Counted::Together(delivery, at);
                seqs.push(*seq);
                continue;
            }
            let first = known.first().unwrap_or(at);
            entry.counted = Counted::Alone(first);
            counting.alone.push((*seq, Receives { count: *receives, first }));
            if let Counted::Together(earlier, _) = known
                && self.counts.leave(earlier)
            {
                counting.spent.push(earlier);
            }
        }
        if !seqs.is_empty() {
            self.counts.0.insert(delivery, seqs.len());
            counting.together = Some(FirstReceives { at, seqs });
        }
        counting
    }

    /// A message leaves the queue: what is to be removed with it.
    pub(crate) fn uncount(&mut self, group: &str, seq: u64) -> Uncounted {
        let entry = self.groups.get_mut(group).and_then(|queue| queue.entry_mut(seq));
        match entry.map(|entry| std::mem::take(&mut entry.counted)) {
            Some(Counted::Together(delivery, _)) if self.counts.leave(delivery) => Uncounted::Last(delivery),
            Some(Counted::Alone(_)) => Uncounted::Alone,
            _ => Uncounted::Nothing,
        }
    }

    /// When the message was received for the first time.
    pub(crate) fn first_received(&self, group: &str, seq: u64) -> Option<Timestamp> {
        let queue = self.groups.get(group)?;
        queue.entries.get(queue.position(seq)?)?.counted.first()
    }
}

/// The rows of receives that nobody needs once a message is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uncounted {
    Nothing,
    /// Its own.
    Alone,
    /// That of a delivery, of which it was the last.
    Last(u64),
}
