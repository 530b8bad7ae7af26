//! Puts messages on the queue, durably.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use api::ports::{EventPublisher, PublishError};
use api::trace::{self, TraceContext};
use async_trait::async_trait;
use domain::Envelope;
use uuid::Uuid;

use super::Embedded;
use super::keys::{MessageHeader, StoredMessage};
use super::queue::{Group, Held};
use super::writer::{Durability, Stage};
use crate::now;

/// A message as its producer sends it, to any queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Messages of a group are received in order.
    pub group: String,
    /// While a message with this id waits in its group, another one is accepted and dropped.
    pub deduplication_id: String,
    /// Any bytes; the consumer expects an envelope.
    pub body: Vec<u8>,
}

/// Why messages were not taken. None of them was.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is no room for more.
    #[error("{0}")]
    Full(String),
    /// The store failed.
    #[error(transparent)]
    Unavailable(#[from] anyhow::Error),
}

/// A message on its way to the queue, with what was found out before the writing thread sees it.
struct Outgoing {
    group: String,
    dedup: Uuid,
    /// The event that is in it, if that is known.
    event: Option<Box<Envelope>>,
    body: Vec<u8>,
    /// What is to come with it.
    attributes: BTreeMap<String, String>,
}

impl Embedded {
    /// Sends messages of any content, all or none.
    pub async fn send(&self, messages: Vec<NewMessage>) -> Result<(), SendError> {
        let outgoing = messages.into_iter().map(|message| {
            let id = &message.deduplication_id;
            let dedup =
                Uuid::try_parse(id).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()));
            let attributes = BTreeMap::new();
            Outgoing { group: message.group, dedup, event: None, body: message.body, attributes }
        });
        self.enqueue(outgoing.collect()).await
    }

    async fn enqueue(&self, messages: Vec<Outgoing>) -> Result<(), SendError> {
        if let Some(why) = self.full_queue() {
            return Err(SendError::Full(why));
        }
        let engine = Arc::downgrade(&self.0);
        let job = move |stage: &mut Stage| {
            let engine = Self(engine.upgrade().context("the engine is closing")?);
            if let Some(why) = stage.full_disk(|| engine.full_disk()) {
                return Ok(Err(SendError::Full(why)));
            }
            engine.stage_messages(stage, messages).map(Ok)
        };
        self.0.writer.write(Durability::Synced, job).await?
    }

    /// Why no new message can be taken, if so.
    pub(super) fn no_room(&self) -> Option<String> {
        self.full_queue().or_else(|| self.full_disk())
    }

    fn full_queue(&self) -> Option<String> {
        let (depth, most) = (self.queue_depth(), self.0.options.max_queue_depth);
        (depth >= most).then(|| format!("{depth} messages wait, which is the most allowed"))
    }

    fn full_disk(&self) -> Option<String> {
        let least = self.0.options.min_free_bytes;
        match rustix::fs::statvfs(&self.0.path) {
            Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < least => {
                let free = (disk.f_bavail * disk.f_frsize) >> 20;
                Some(format!("the disk has {free} MiB left, and {} MiB are kept in reserve", least >> 20))
            }
            // Not knowing is no reason to refuse: a disk that is really full fails the write.
            _ => None,
        }
    }

    fn stage_messages(&self, stage: &mut Stage, messages: Vec<Outgoing>) -> anyhow::Result<()> {
        let (at, instant) = (now(), Instant::now());
        let (visible_at, delay) = (instant + self.0.options.delay, self.0.options.delay.as_micros() as i64);
        let accepted = messages.len() as u64;
        let mut rows = Vec::with_capacity(messages.len());
        for mut message in messages {
            if self.is_handled(&message)? {
                continue;
            }
            let header = MessageHeader {
                group: message.group,
                dedup: message.dedup,
                enqueued_at: at.micros(),
                visible_at: at.micros() + delay,
                attributes: message.attributes,
            };
            let row = StoredMessage::encode(&header, &message.body)?;
            let (event, body) = (message.event.take(), message.body);
            let MessageHeader { group, dedup, attributes, .. } = header;
            let held = Held { event, body, enqueued_at: at, attributes };
            rows.push((row, group, dedup, Box::new(held)));
        }
        // From here on nothing fails, so that the index and the stage agree.
        let mut index = self.0.queue.lock();
        let mut reserved: Vec<(Group, u64)> = Vec::with_capacity(rows.len());
        for (row, group, dedup, held) in rows {
            if index.find(&group, dedup).is_none() {
                let (group, seq) = index.reserve(&group, dedup, visible_at, Some(held));
                stage.put(&self.0.keys.queue, seq.to_be_bytes(), row);
                reserved.push((group, seq));
            }
        }
        stage.books.ledger.accepted += accepted;
        stage.books.ledger.duplicate += accepted - reserved.len() as u64;
        if reserved.is_empty() {
            return Ok(());
        }
        stage.next_seq = Some(index.next_seq());
        drop(index);
        let queue = Arc::clone(&self.0.queue);
        stage.after_sync(move || {
            let mut index = queue.lock();
            reserved.iter().for_each(|(group, seq)| index.commit(group, *seq));
            drop(index);
            queue.bell.notify_one();
        });
        Ok(())
    }

    /// Whether the event in the message has an outcome already, so that it need not be handled again.
    fn is_handled(&self, message: &Outgoing) -> anyhow::Result<bool> {
        // Without a key every request has an id of its own, which nothing can have come of. Should somebody send one
        // twice all the same, the consumer finds out.
        let Some(event) = message.event.as_ref().filter(|event| event.request_hash.is_some()) else {
            return Ok(false);
        };
        Ok(self.stored_receipt(&event.order_id, event.event_id)?.is_some())
    }
}

#[async_trait]
impl EventPublisher for Embedded {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<(), PublishError>> {
        let attributes: BTreeMap<_, _> = trace::current().iter().flat_map(TraceContext::w3c).collect();
        let outgoing = events.iter().map(|envelope| Outgoing {
            group: envelope.order_id.as_str().to_owned(),
            dedup: envelope.event_id.as_uuid(),
            event: Some(Box::new(envelope.clone())),
            body: envelope.encode(),
            attributes: attributes.clone(),
        });
        // One batch: either all of it becomes durable or nothing does.
        match self.enqueue(outgoing.collect()).await {
            Ok(()) => events.iter().map(|_| Ok(())).collect(),
            Err(SendError::Full(why)) => {
                events.iter().map(|_| Err(PublishError::Full(why.clone()))).collect()
            }
            Err(SendError::Unavailable(error)) => {
                let again = |_| Err(PublishError::Unavailable(anyhow::anyhow!("{error:#}")));
                events.iter().map(again).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;

    fn event(number: u128) -> Envelope {
        let id = Uuid::from_u128(number);
        let text = format!(
            r#"{{"type":"order_confirmed","event_id":"{id}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z",
                "correlation_id":"r","data":{{"order_id":"o"}}}}"#
        );
        Envelope::decode(text.as_bytes(), domain::Currency::parse("EUR").unwrap()).unwrap()
    }

    #[tokio::test]
    async fn events_are_refused_while_the_queue_is_too_deep() {
        let folder = tempfile::TempDir::new().unwrap();
        let options = |max_queue_depth| Options {
            max_queue_depth,
            min_free_bytes: 0,
            ..Options::new(domain::Currency::parse("EUR").unwrap())
        };
        let engine = Embedded::open(folder.path(), options(2)).unwrap();
        for number in 1..=2 {
            assert!(engine.publish(&[event(number)]).await[0].is_ok());
        }
        for _ in 0..2 {
            let results = engine.publish(&[event(3), event(4)]).await;
            assert!(matches!(results.as_slice(), [Err(PublishError::Full(_)), Err(PublishError::Full(_))]));
        }
        assert_eq!(engine.queue_depth(), 2);

        drop(engine);
        let engine = Embedded::open(folder.path(), options(usize::MAX)).unwrap();
        assert!(engine.publish(&[event(3)]).await[0].is_ok(), "without a bound it takes more");
    }
}
