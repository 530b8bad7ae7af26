//! The queue: messages in the store, and their order in memory. The publisher, the inbox, the reader and the dead
//! letters share the [`EmbeddedQueue`].

mod capacity;
mod counters;
pub(crate) mod index;
pub(crate) mod new_messages;
mod restore;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, anyhow};
use consumer::ports::Message;
use domain::{EventId, OrderId};
use tokio::sync::Notify;

use super::Options;
use super::store::Store;
use super::store::records::StoredMessage;
use super::store::stage::Stage;
use capacity::Capacity;
use index::{ObsoleteReceives, QueueIndex};

pub(crate) use restore::restore;

pub(crate) struct EmbeddedQueue {
    pub(crate) store: Arc<Store>,
    index: Mutex<QueueIndex>,
    /// The signal that wakes a receiver which waits for messages.
    pub(crate) arrivals: Notify,
    delay: Duration,
    capacity: Capacity,
}

impl EmbeddedQueue {
    pub(crate) fn new(store: &Arc<Store>, index: QueueIndex, options: &Options) -> Self {
        Self {
            store: Arc::clone(store),
            index: Mutex::new(index),
            arrivals: Notify::new(),
            delay: options.delay,
            capacity: Capacity { max_depth: options.max_queue_depth, min_free_bytes: options.min_free_bytes },
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, QueueIndex> {
        // A panic while the lock is held is a bug. With an incompletely changed index, the engine would lose messages,
        // so it must not continue.
        self.index.lock().expect("the queue index is intact")
    }

    /// The number of queued messages, whether visible, delayed or in flight.
    pub(crate) fn depth(&self) -> usize {
        self.lock().depth()
    }

    /// Whether the queue holds a message of the order. Messages in flight and messages that are not synced count too.
    pub(crate) fn has_messages_of(&self, order_id: &OrderId) -> bool {
        self.lock().has_group(order_id.as_str())
    }

    /// The body of the message that carries the event, if it is on the queue.
    pub(crate) fn body_of(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Vec<u8>>> {
        // A message that is not synced is not found, because its event is not accepted yet.
        let seq = self.lock().find_durable(order_id.as_str(), event_id.as_uuid());
        let Some(seq) = seq else { return Ok(None) };
        let Some(row) = self.store.keys.queue.get(seq.to_be_bytes())? else { return Ok(None) };
        Ok(Some(StoredMessage::decode(&row)?.body))
    }

    /// Stages the removal of a message and of its receive count.
    pub(crate) fn stage_removal(&self, stage: &mut Stage, group: &str, seq: u64) {
        let keys = &self.store.keys;
        stage.remove(&keys.queue, seq.to_be_bytes());
        stage.queued -= 1;
        match self.lock().forget_receives(group, seq) {
            ObsoleteReceives::None => {}
            ObsoleteReceives::Own => stage.remove(&keys.receives, seq.to_be_bytes()),
            ObsoleteReceives::Delivery(delivery) => {
                stage.remove(&keys.first_receives, delivery.to_be_bytes());
            }
        }
    }

    /// Removes messages from the index, after their removal was committed. The next message of each group can be
    /// received afterwards.
    pub(crate) fn remove(&self, messages: &[(String, u64)]) {
        let mut index = self.lock();
        messages.iter().for_each(|(group, seq)| index.remove(group, *seq));
        drop(index);
        self.arrivals.notify_one();
    }

    /// For each message, its group and its sequence number, or an error if its delivery is stale.
    pub(crate) fn current<'a>(
        &self,
        messages: impl Iterator<Item = &'a Message>,
    ) -> Vec<anyhow::Result<(String, u64)>> {
        let index = self.lock();
        let current = |message: &Message| {
            let (group, seq, lease) = parse_handle(message)?;
            let is_current = index.is_current(group, seq, lease);
            if is_current { Ok((group.to_owned(), seq)) } else { Err(stale(message)) }
        };
        messages.map(current).collect()
    }
}

pub(crate) fn stale(message: &Message) -> anyhow::Error {
    anyhow!(
        "this delivery of message {} is stale: the message has been handled or received again",
        message.id
    )
}

/// The group, the sequence number and the lease of a received message.
pub(crate) fn parse_handle(message: &Message) -> anyhow::Result<(&str, u64, u64)> {
    let parts = || {
        let (seq, lease) = message.handle.split_once('.')?;
        Some((message.group.as_deref()?, seq.parse().ok()?, lease.parse().ok()?))
    };
    parts().with_context(|| format!("{:?} is not a handle of this queue", message.handle))
}

/// Returns a result for each message: the message's own error, or otherwise the result of the write for all messages.
pub(crate) fn result_of_each<T>(
    current: Vec<anyhow::Result<T>>,
    written: &anyhow::Result<()>,
) -> Vec<anyhow::Result<()>> {
    let result = |current: anyhow::Result<T>| match (current, written) {
        (Ok(_), Ok(())) => Ok(()),
        (Ok(_), Err(error)) => Err(anyhow!("{error:#}")),
        (Err(error), _) => Err(error),
    };
    current.into_iter().map(result).collect()
}
