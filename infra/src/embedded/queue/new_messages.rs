//! Adds messages to the queue. The publisher and the redrive of dead letters stage messages, which become visible once
//! they are synced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use domain::{Envelope, Timestamp};
use uuid::Uuid;

use super::EmbeddedQueue;
use super::index::{GroupName, HeldMessage};
use crate::embedded::store::records::{MessageHeader, StoredMessage};
use crate::embedded::store::stage::Stage;

/// A message that is to be queued.
pub(crate) struct UnqueuedMessage {
    pub(crate) group: String,
    pub(crate) dedup: Uuid,
    /// The event in the body, if the caller has decoded it.
    pub(crate) event: Option<Box<Envelope>>,
    pub(crate) body: Vec<u8>,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl UnqueuedMessage {
    pub(crate) fn of(envelope: Envelope, attributes: BTreeMap<String, String>) -> Self {
        Self {
            group: envelope.order_id.as_str().to_owned(),
            dedup: envelope.event_id.as_uuid(),
            body: envelope.encode(),
            event: Some(Box::new(envelope)),
            attributes,
        }
    }
}

/// A message in two forms: the row for the store, and the copy that the index holds in memory.
pub(crate) struct EncodedMessage {
    row: Vec<u8>,
    group: String,
    dedup: Uuid,
    held: Box<HeldMessage>,
}

/// A message with a reserved place in its group: the group and the sequence number.
pub(crate) type ReservedMessage = (GroupName, u64);

impl EmbeddedQueue {
    pub(crate) fn encode(&self, message: UnqueuedMessage, at: Timestamp) -> anyhow::Result<EncodedMessage> {
        let header = MessageHeader {
            group: message.group,
            dedup: message.dedup,
            enqueued_at: at.micros(),
            visible_at: at.micros() + self.delay.as_micros() as i64,
            attributes: message.attributes,
        };
        let row = StoredMessage::encode(&header, &message.body)?;
        let MessageHeader { group, dedup, attributes, .. } = header;
        let held = HeldMessage { event: message.event, body: message.body, enqueued_at: at, attributes };
        Ok(EncodedMessage { row, group, dedup, held: Box::new(held) })
    }

    /// Stages messages at the ends of their groups. A message is not staged if its group already holds a message with
    /// its deduplication id. For each such message, the function calls `is_queued` with the message's tag.
    pub(crate) fn stage_messages<T>(
        &self,
        stage: &mut Stage,
        messages: Vec<(T, EncodedMessage)>,
        mut is_queued: impl FnMut(T),
    ) -> Vec<ReservedMessage> {
        let mut reserved = Vec::with_capacity(messages.len());
        if messages.is_empty() {
            return reserved;
        }
        let visible_at = Instant::now() + self.delay;
        let mut index = self.lock();
        for (tag, EncodedMessage { row, group, dedup, held }) in messages {
            if index.find(&group, dedup).is_some() {
                is_queued(tag);
            } else {
                let (group, seq) = index.reserve(&group, dedup, visible_at, Some(held));
                stage.put(&self.store.keys.queue, seq.to_be_bytes(), row);
                stage.queued += 1;
                reserved.push((group, seq));
            }
        }
        stage.next_seq = Some(index.next_seq());
        reserved
    }

    /// Stages one message without a delay. The message becomes visible once the commit is synced, without a further
    /// call.
    pub(crate) fn stage_visible_message(
        self: &Arc<Self>,
        stage: &mut Stage,
        header: &MessageHeader,
        row: Vec<u8>,
    ) {
        let mut index = self.lock();
        let reserved = index.reserve(&header.group, header.dedup, Instant::now(), None);
        stage.next_seq = Some(index.next_seq());
        drop(index);
        stage.put(&self.store.keys.queue, reserved.1.to_be_bytes(), row);
        stage.queued += 1;
        let queue = Arc::clone(self);
        stage.after_sync(move || queue.show(&[reserved]));
    }

    /// Makes messages visible. The messages must be synced.
    pub(crate) fn show(&self, reserved: &[ReservedMessage]) {
        if reserved.is_empty() {
            return;
        }
        let mut index = self.lock();
        reserved.iter().for_each(|(group, seq)| index.make_durable(group, *seq));
        drop(index);
        self.arrivals.notify_one();
    }
}
