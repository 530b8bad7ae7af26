//! Accepts events and messages durably. An event is recorded by the commit that accepts it ([`inline`]) or put on the
//! queue. The API publishes events with this module. Tests and tools also send raw messages.

mod inline;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::ports::{Acceptance, PublishError};
use api::trace::{self, TraceContext};
use consumer::inline::InlineAppend;
use consumer::ports::Message;
use domain::Envelope;
use uuid::Uuid;

use super::dead_letters::DeadLetters;
use super::log::Log;
use super::queue::EmbeddedQueue;
use super::queue::new_messages::UnqueuedMessage;
use super::store::stage::Stage;
use super::store::writer::{Durability, WriteError};
use super::store::{Store, keys};
use crate::now;
use inline::InlineCommit;

/// A message to send. It may have any content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The group of the message. Messages of one group are received in order.
    pub group: String,
    /// The deduplication id. While the group holds a message with this id, further messages with the id are accepted
    /// and dropped.
    pub deduplication_id: String,
    /// The body, which may be any bytes. The consumer expects an envelope.
    pub body: Vec<u8>,
}

/// The reason why messages were not accepted, or may not have been accepted. The reason applies to all messages of the
/// call.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The queue or the disk is full, and no message was accepted.
    #[error("{0}")]
    Full(String),
    /// The store failed before it wrote anything, and no message was accepted.
    #[error("{0:#}")]
    NotTaken(anyhow::Error),
    /// The store failed while it wrote the messages. The messages may exist after the next start.
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

type PublishResult = Result<Acceptance, PublishError>;

/// A message to accept, prepared for the writing thread.
enum OutgoingMessage {
    /// An event to record in the commit. The event is queued instead if its version is no longer free, or if its order
    /// has queued or parked messages.
    Inline(Box<InlineCommit>),
    Queued(UnqueuedMessage),
}

pub(crate) struct Publisher {
    store: Arc<Store>,
    log: Arc<Log>,
    queue: Arc<EmbeddedQueue>,
    dead_letters: Arc<DeadLetters>,
    /// Whether events may be committed inline.
    commits_inline: bool,
}

impl Publisher {
    pub(crate) fn new(
        log: &Arc<Log>,
        queue: &Arc<EmbeddedQueue>,
        dead_letters: &Arc<DeadLetters>,
        commits_inline: bool,
    ) -> Self {
        Self {
            store: Arc::clone(&log.store),
            log: Arc::clone(log),
            queue: Arc::clone(queue),
            dead_letters: Arc::clone(dead_letters),
            commits_inline,
        }
    }

    /// Accepts events, all of them or none.
    pub(crate) async fn publish(self: &Arc<Self>, events: &[Envelope]) -> Vec<PublishResult> {
        let accepted = match self.prepare(events) {
            Ok(outgoing) => self.accept(outgoing).await,
            Err(error) => Err(SendError::NotTaken(error)),
        };
        let error = match accepted {
            Ok(results) => return results,
            Err(error) => error,
        };
        let of_each = |_| match &error {
            SendError::Full(why) => Err(PublishError::Full(why.clone())),
            SendError::NotTaken(error) => Err(PublishError::NotAccepted(anyhow::anyhow!("{error:#}"))),
            SendError::Unknown(error) => Err(PublishError::Unknown(anyhow::anyhow!("{error:#}"))),
        };
        events.iter().map(of_each).collect()
    }

    /// Puts messages of any content on the queue, all of them or none.
    pub(crate) async fn send(self: &Arc<Self>, messages: Vec<NewMessage>) -> Result<(), SendError> {
        let outgoing = messages.into_iter().map(|message| {
            let id = &message.deduplication_id;
            let hashed = || Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes());
            let dedup = Uuid::try_parse(id).unwrap_or_else(|_| hashed());
            let (group, body, attributes) = (message.group, message.body, BTreeMap::new());
            OutgoingMessage::Queued(UnqueuedMessage { group, dedup, event: None, body, attributes })
        });
        self.accept(outgoing.collect()).await.map(drop)
    }

    /// Judges those events that may be committed inline.
    fn prepare(&self, events: &[Envelope]) -> anyhow::Result<Vec<OutgoingMessage>> {
        let attributes: BTreeMap<_, _> = trace::current().iter().flat_map(TraceContext::w3c).collect();
        let message = Message { group: Some(String::new()), attributes, ..Message::default() };
        let prepare = |(number, event): (usize, &Envelope)| {
            // Only the first event of each order is judged here. If that event is queued, the later events of the order
            // must be queued after it.
            let is_first = events[..number].iter().all(|earlier| earlier.order_id != event.order_id);
            let judged = if is_first { self.judge_inline(&message, event)? } else { None };
            Ok(match judged {
                Some(commit) => OutgoingMessage::Inline(Box::new(commit)),
                None => {
                    OutgoingMessage::Queued(UnqueuedMessage::of(event.clone(), message.attributes.clone()))
                }
            })
        };
        events.iter().enumerate().map(prepare).collect()
    }

    /// Accepts all messages in one commit, or none. Returns the result of each message.
    async fn accept(
        self: &Arc<Self>,
        outgoing: Vec<OutgoingMessage>,
    ) -> Result<Vec<PublishResult>, SendError> {
        if let Some(why) = self.queue.full_queue() {
            return Err(SendError::Full(why));
        }
        let publisher = Arc::clone(self);
        let job = move |stage: &mut Stage| {
            if let Some(why) = stage.full_disk(|| publisher.queue.full_disk()) {
                return Ok(Err(SendError::Full(why)));
            }
            publisher.stage_outgoing(stage, outgoing).map(Ok)
        };
        self.store.writer.try_write(Durability::Synced, job).await?
    }

    fn stage_outgoing(
        self: &Arc<Self>,
        stage: &mut Stage,
        outgoing: Vec<OutgoingMessage>,
    ) -> anyhow::Result<Vec<PublishResult>> {
        let accepted = outgoing.len() as u64;
        let at = now();
        let mut results: Vec<PublishResult> = outgoing.iter().map(|_| Ok(Acceptance::New)).collect();
        let (mut recording, mut queueing) = (Vec::new(), Vec::new());
        for (place, outgoing) in outgoing.into_iter().enumerate() {
            if self.has_outcome(stage, &outgoing)? {
                results[place] = Ok(Acceptance::Repeated);
                continue;
            }
            let message = match outgoing {
                OutgoingMessage::Queued(message) => message,
                OutgoingMessage::Inline(commit) => {
                    if self.claim_version(stage, &commit)? {
                        recording.push(*commit);
                        continue;
                    }
                    commit.into_message()
                }
            };
            queueing.push((place, self.queue.encode(message, at)?));
        }
        // From here on, no step can fail. A failure would leave the queue's index different from the staged writes.
        let recorded: Vec<Box<InlineAppend>> =
            recording.into_iter().map(|commit| self.stage_inline(stage, commit)).collect();
        let is_queued = |place: usize| results[place] = Ok(Acceptance::Repeated);
        let reserved = self.queue.stage_messages(stage, queueing, is_queued);
        let ledger = &mut stage.counters.ledger;
        ledger.accepted += accepted;
        ledger.recorded += recorded.len() as u64;
        ledger.duplicate += accepted - recorded.len() as u64 - reserved.len() as u64;
        let event_ids: Vec<_> = recorded.iter().map(|judged| judged.envelope().event_id).collect();
        let publisher = Arc::clone(self);
        stage.after_sync(move || {
            publisher.log.waiters.wake(event_ids.iter().copied());
            publisher.queue.show(&reserved);
        });
        if !recorded.is_empty() {
            // Logs, metrics and traces are written after the callers have their results, because no caller waits for
            // them.
            stage.after_replies(move || recorded.iter().for_each(|judged| judged.report_recorded()));
        }
        Ok(results)
    }

    /// Whether the event already has an outcome, or gets an outcome from an earlier job of the same commit.
    fn has_outcome(&self, stage: &Stage, outgoing: &OutgoingMessage) -> anyhow::Result<bool> {
        let event = match outgoing {
            OutgoingMessage::Inline(commit) => Some(commit.envelope()),
            OutgoingMessage::Queued(message) => message.event.as_deref(),
        };
        // Without an idempotency key, every request gets a new event id, which cannot have an outcome. If a client
        // nevertheless sends the same id twice, the consumer detects the duplicate.
        let Some(event) = event.filter(|event| event.request_hash.is_some()) else {
            return Ok(false);
        };
        Ok(stage.is_claimed(&keys::receipt_key(&event.order_id, event.event_id))
            || self.log.latest_receipt(&event.order_id, event.event_id)?.is_some())
    }
}
