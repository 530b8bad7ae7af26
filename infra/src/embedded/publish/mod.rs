//! Puts messages on the queue, durably.

mod inline;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use api::ports::{Acceptance, EventPublisher, PublishError};
use api::trace::{self, TraceContext};
use async_trait::async_trait;
use consumer::at_once::Judged;
use consumer::ports::Message;
use domain::{Envelope, Timestamp};
use uuid::Uuid;

use crate::embedded::Embedded;
use crate::embedded::publish::inline::InlineCommit;
use crate::embedded::queue::index::{Group, Held};
use crate::embedded::store::keys::{self, MessageHeader, StoredMessage};
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::{Durability, WriteError};
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

/// Why messages are not known to be taken. It is the same for all of them.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is no room for more: none was taken.
    #[error("{0}")]
    Full(String),
    /// The store failed before anything was written: none was taken.
    #[error("{0:#}")]
    NotTaken(anyhow::Error),
    /// The store failed while they were written: the next start may find them or not.
    #[error("{0:#}")]
    Unknown(anyhow::Error),
}

impl From<WriteError> for SendError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotWritten(error) => Self::NotTaken(error),
            WriteError::Unknown(error) => Self::Unknown(error),
        }
    }
}

/// How an event is published, as the caller gets it: it is put together here once, and passed on.
type Taken = Result<Acceptance, PublishError>;

/// What is to be accepted, with what was found out before the writing thread sees it.
enum Outgoing {
    /// To be recorded at once, if it still can be.
    Judged(Box<InlineCommit>),
    /// To be put on the queue.
    Queued(Unsent),
}

/// A message on its way to the queue.
pub(crate) struct Unsent {
    group: String,
    dedup: Uuid,
    /// The event that is in it, if that is known.
    event: Option<Box<Envelope>>,
    body: Vec<u8>,
    /// What is to come with it.
    attributes: BTreeMap<String, String>,
}

/// A message whose row is made, and what is kept of it in memory.
struct Unseen {
    row: Vec<u8>,
    group: String,
    dedup: Uuid,
    held: Box<Held>,
}

impl Unsent {
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

impl Embedded {
    /// Sends messages of any content, all or none.
    pub async fn send(&self, messages: Vec<NewMessage>) -> Result<(), SendError> {
        let outgoing = messages.into_iter().map(|message| {
            let id = &message.deduplication_id;
            let dedup =
                Uuid::try_parse(id).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()));
            let attributes = BTreeMap::new();
            Outgoing::Queued(Unsent {
                group: message.group,
                dedup,
                event: None,
                body: message.body,
                attributes,
            })
        });
        self.accept(outgoing.collect()).await.map(drop)
    }

    /// Takes all of them or none, and reports how each was taken.
    async fn accept(&self, outgoing: Vec<Outgoing>) -> Result<Vec<Taken>, SendError> {
        if let Some(why) = self.full_queue() {
            return Err(SendError::Full(why));
        }
        let engine = Arc::downgrade(&self.0);
        let job = move |stage: &mut Stage| {
            let engine = Self(engine.upgrade().context("the engine is closing")?);
            if let Some(why) = stage.full_disk(|| engine.full_disk()) {
                return Ok(Err(SendError::Full(why)));
            }
            engine.stage_outgoing(stage, outgoing).map(Ok)
        };
        self.0.writer.try_write(Durability::Synced, job).await?
    }

    /// Why no new message can be taken, if so.
    pub(crate) fn no_room(&self) -> Option<String> {
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

    fn stage_outgoing(&self, stage: &mut Stage, outgoing: Vec<Outgoing>) -> anyhow::Result<Vec<Taken>> {
        let accepted = outgoing.len() as u64;
        let at = now();
        let mut taken: Vec<Taken> = outgoing.iter().map(|_| Ok(Acceptance::New)).collect();
        let (mut recording, mut queueing) = (Vec::new(), Vec::new());
        for (place, outgoing) in outgoing.into_iter().enumerate() {
            if self.is_handled(stage, &outgoing)? {
                taken[place] = Ok(Acceptance::Repeated);
                continue;
            }
            let unsent = match outgoing {
                Outgoing::Queued(unsent) => unsent,
                Outgoing::Judged(event) => {
                    if self.claim_version(stage, &event)? {
                        recording.push(*event);
                        continue;
                    }
                    event.into_unsent()
                }
            };
            queueing.push((place, self.unseen(unsent, at)?));
        }
        // From here on nothing fails, so that the index and the stage agree.
        let recorded: Vec<Judged> =
            recording.into_iter().map(|event| self.stage_inline(stage, event)).collect();
        let reserved = self.stage_messages(stage, queueing, &mut taken);
        let ledger = &mut stage.books.ledger;
        ledger.accepted += accepted;
        ledger.recorded += recorded.len() as u64;
        ledger.duplicate += accepted - recorded.len() as u64 - reserved.len() as u64;
        let event_ids: Vec<_> = recorded.iter().map(|judged| judged.envelope().event_id).collect();
        let engine = Arc::downgrade(&self.0);
        stage.after_sync(move || {
            let Some(engine) = engine.upgrade().map(Self) else { return };
            engine.0.waiters.wake(event_ids.iter().copied());
            engine.show(&reserved);
        });
        if !recorded.is_empty() {
            // Nobody waits for their lines of the log.
            stage.at_last(move || recorded.iter().for_each(Judged::recorded));
        }
        Ok(taken)
    }

    fn unseen(&self, unsent: Unsent, at: Timestamp) -> anyhow::Result<Unseen> {
        let header = MessageHeader {
            group: unsent.group,
            dedup: unsent.dedup,
            enqueued_at: at.micros(),
            visible_at: at.micros() + self.0.options.delay.as_micros() as i64,
            attributes: unsent.attributes,
        };
        let row = StoredMessage::encode(&header, &unsent.body)?;
        let MessageHeader { group, dedup, attributes, .. } = header;
        let held = Held { event: unsent.event, body: unsent.body, enqueued_at: at, attributes };
        Ok(Unseen { row, group, dedup, held: Box::new(held) })
    }

    /// Puts messages on the queue, each with its place among those `taken`, but for those that wait there already. They
    /// are not visible yet.
    fn stage_messages(
        &self,
        stage: &mut Stage,
        messages: Vec<(usize, Unseen)>,
        taken: &mut [Taken],
    ) -> Vec<(Group, u64)> {
        let mut reserved = Vec::with_capacity(messages.len());
        if messages.is_empty() {
            return reserved;
        }
        let visible_at = Instant::now() + self.0.options.delay;
        let mut index = self.0.queue.lock();
        for (place, Unseen { row, group, dedup, held }) in messages {
            if index.find(&group, dedup).is_some() {
                taken[place] = Ok(Acceptance::Repeated);
            } else {
                let (group, seq) = index.reserve(&group, dedup, visible_at, Some(held));
                stage.put(&self.0.keys.queue, seq.to_be_bytes(), row);
                stage.queued += 1;
                reserved.push((group, seq));
            }
        }
        stage.next_seq = Some(index.next_seq());
        reserved
    }

    /// Makes messages visible.
    fn show(&self, reserved: &[(Group, u64)]) {
        if reserved.is_empty() {
            return;
        }
        let mut index = self.0.queue.lock();
        reserved.iter().for_each(|(group, seq)| index.commit(group, *seq));
        drop(index);
        self.0.queue.bell.notify_one();
    }

    /// Whether the event has an outcome already, if only by an earlier job of this commit, so that it need not be handled
    /// again.
    fn is_handled(&self, stage: &Stage, outgoing: &Outgoing) -> anyhow::Result<bool> {
        let event = match outgoing {
            Outgoing::Judged(event) => Some(event.envelope()),
            Outgoing::Queued(unsent) => unsent.event.as_deref(),
        };
        // Without a key every request has an id of its own, which nothing can have come of. Should somebody send one
        // twice all the same, the consumer finds out.
        let Some(event) = event.filter(|event| event.request_hash.is_some()) else {
            return Ok(false);
        };
        Ok(stage.has_staged(&keys::receipt_key(&event.order_id, event.event_id))
            || self.stored_receipt(&event.order_id, event.event_id)?.is_some())
    }

    /// What is to be accepted of these events.
    fn outgoing(&self, events: &[Envelope]) -> anyhow::Result<Vec<Outgoing>> {
        let attributes: BTreeMap<_, _> = trace::current().iter().flat_map(TraceContext::w3c).collect();
        let message = Message { group: Some(String::new()), attributes, ..Message::default() };
        let outgoing = |(number, event): (usize, &Envelope)| {
            // An event comes behind those that are published before it, even if they go the long way.
            let is_first = events[..number].iter().all(|earlier| earlier.order_id != event.order_id);
            let judged = if is_first { self.judge_inline(&message, event)? } else { None };
            Ok(match judged {
                Some(event) => Outgoing::Judged(Box::new(event)),
                None => Outgoing::Queued(Unsent::of(event.clone(), message.attributes.clone())),
            })
        };
        events.iter().enumerate().map(outgoing).collect()
    }
}

#[async_trait]
impl EventPublisher for Embedded {
    async fn publish(&self, events: &[Envelope]) -> Vec<Taken> {
        // One batch: either all of it becomes durable or nothing does.
        let accepted = match self.outgoing(events) {
            Ok(outgoing) => self.accept(outgoing).await,
            Err(error) => Err(SendError::NotTaken(error)),
        };
        let error = match accepted {
            Ok(taken) => return taken,
            Err(error) => error,
        };
        let of_each = |_| match &error {
            SendError::Full(why) => Err(PublishError::Full(why.clone())),
            SendError::NotTaken(error) => Err(PublishError::NotAccepted(anyhow::anyhow!("{error:#}"))),
            SendError::Unknown(error) => Err(PublishError::Unknown(anyhow::anyhow!("{error:#}"))),
        };
        events.iter().map(of_each).collect()
    }
}

#[cfg(test)]
mod tests;
