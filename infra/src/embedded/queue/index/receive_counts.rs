//! Plans the writes that preserve receive counts across a crash. The inbox calls this module before it hands out
//! messages.
//!
//! The engine stores a count before it hands out the message. Otherwise a message that crashes the process would be
//! received again after every start, without a limit. Most messages are received once and then removed. So one row
//! counts the first receives of a whole delivery. The row is removed with the last message that it counts. A message
//! that is received again gets a separate row with its count.

use std::collections::HashMap;

use domain::Timestamp;
use foldhash::fast::RandomState;

use super::{GroupName, QueueIndex};
use crate::embedded::store::records::{FirstReceives, ReceiveCount};

/// Where the receive count of a message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StoredReceives {
    /// Not stored, because the message was not received yet.
    #[default]
    None,
    /// Stored in the row of a delivery, which also counts other messages. The time is that of the delivery.
    Shared(u64, Timestamp),
    /// Stored in a separate row. The time is that of the message's first receive.
    Own(Timestamp),
}

impl StoredReceives {
    pub(crate) fn restored(received: Option<ReceiveCount>) -> Self {
        received.map_or(Self::None, |received| Self::Own(received.first))
    }

    fn first(self) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::Shared(_, first) | Self::Own(first) => Some(first),
        }
    }
}

/// The number of messages that the row of each delivery counts.
#[derive(Debug, Default)]
pub(crate) struct FirstReceiveRows(HashMap<u64, usize, RandomState>);

impl FirstReceiveRows {
    /// Reduces the number of messages that the row of the delivery counts by one. Returns whether the row no longer
    /// counts any message.
    fn remove_one(&mut self, delivery: u64) -> bool {
        let Some(left) = self.0.get_mut(&delivery) else { return false };
        *left -= 1;
        *left == 0 && self.0.remove(&delivery).is_some()
    }
}

/// The writes that must be committed before messages are handed out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceiveWrites {
    /// The time of each message's first receive.
    pub(crate) firsts: Vec<Timestamp>,
    /// The row of the delivery, which counts the messages that were received for the first time. `None` if there are no
    /// such messages.
    pub(crate) shared: Option<FirstReceives>,
    /// The rows that count the receives of single messages.
    pub(crate) own: Vec<(u64, ReceiveCount)>,
    /// The earlier deliveries whose rows no longer count any message.
    pub(crate) obsolete: Vec<u64>,
}

impl QueueIndex {
    /// Counts the receives of the messages that `delivery` took. Each message is given by its group, sequence number
    /// and receive count. Must be called in the order of the commits that write the rows, like
    /// [`QueueIndex::forget_receives`].
    pub(crate) fn count_receives(
        &mut self,
        delivery: u64,
        taken: &[(GroupName, u64, u32)],
        at: Timestamp,
    ) -> ReceiveWrites {
        let mut writes = ReceiveWrites::default();
        let mut seqs = Vec::new();
        for (group, seq, receives) in taken {
            let entry = self.groups.get_mut(group).and_then(|queue| queue.message_mut(*seq));
            // If the message no longer exists, its delivery is stale, and the consumer cannot acknowledge the message.
            let known = entry.as_ref().map_or(StoredReceives::None, |entry| entry.stored_receives);
            writes.firsts.push(known.first().unwrap_or(at));
            let Some(entry) = entry else { continue };
            if known == StoredReceives::None && *receives == 1 {
                entry.stored_receives = StoredReceives::Shared(delivery, at);
                seqs.push(*seq);
                continue;
            }
            let first = known.first().unwrap_or(at);
            entry.stored_receives = StoredReceives::Own(first);
            writes.own.push((*seq, ReceiveCount { count: *receives, first }));
            if let StoredReceives::Shared(earlier, _) = known
                && self.first_receive_rows.remove_one(earlier)
            {
                writes.obsolete.push(earlier);
            }
        }
        if !seqs.is_empty() {
            self.first_receive_rows.0.insert(delivery, seqs.len());
            writes.shared = Some(FirstReceives { at, seqs });
        }
        writes
    }

    /// Forgets the receive count of a message that leaves the queue. Returns the stored row of the count, which must be
    /// removed together with the message.
    pub(crate) fn forget_receives(&mut self, group: &str, seq: u64) -> ObsoleteReceives {
        let entry = self.groups.get_mut(group).and_then(|queue| queue.message_mut(seq));
        match entry.map(|entry| std::mem::take(&mut entry.stored_receives)) {
            Some(StoredReceives::Shared(delivery, _)) if self.first_receive_rows.remove_one(delivery) => {
                ObsoleteReceives::Delivery(delivery)
            }
            Some(StoredReceives::Own(_)) => ObsoleteReceives::Own,
            _ => ObsoleteReceives::None,
        }
    }

    /// The time of the message's first receive.
    pub(crate) fn first_received(&self, group: &str, seq: u64) -> Option<Timestamp> {
        let queue = self.groups.get(group)?;
        queue.messages.get(queue.position(seq)?)?.stored_receives.first()
    }
}

/// The stored row of receive counts that becomes obsolete when a message is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObsoleteReceives {
    None,
    /// The row that counts only the removed message.
    Own,
    /// The row of the delivery in which the message was received. That row counts no remaining message.
    Delivery(u64),
}
