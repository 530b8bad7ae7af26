//! The inline commit: if no event of the order is queued, the commit that accepts an event also records it. The result
//! equals that of queueing, receiving, appending and acknowledging the event within one commit. The publisher calls
//! these functions.
//!
//! The publisher's thread judges the event by the latest commit. The writing thread then checks whether the verdict
//! still holds: the version must be free, no other order may have the event's reference, and no event of the order may
//! be queued or parked. Otherwise the event is queued. An event that the rules do not allow is queued too, and the
//! consumer decides what to do with it.

use std::collections::BTreeMap;

use consumer::decide::reference_of;
use consumer::inline::InlineAppend;
use consumer::ports::{AppendError, LoadRequest, LoadedOrder, Message};
use domain::{Envelope, Event};

use super::Publisher;
use crate::embedded::log::append::EncodedAppend;
use crate::embedded::queue::new_messages::UnqueuedMessage;
use crate::embedded::reader::load;
use crate::embedded::store::keys;
use crate::embedded::store::stage::Stage;
use crate::now;

/// An event to record in the commit that accepts it.
pub(crate) struct InlineCommit {
    /// The judged event. Boxed, because the value is large and moves between several lists.
    judged: Box<InlineAppend>,
    append: EncodedAppend,
    /// The attributes of the message that carries the event, if the event is queued.
    attributes: BTreeMap<String, String>,
}

impl InlineCommit {
    pub(crate) fn envelope(&self) -> &Envelope {
        self.judged.envelope()
    }

    /// Turns the event into a message that can be queued.
    pub(crate) fn into_message(self) -> UnqueuedMessage {
        UnqueuedMessage::of(self.judged.into_envelope(), self.attributes)
    }
}

impl Publisher {
    /// Judges the event in `message`. Returns `None` if the event must be queued.
    pub(crate) fn judge_inline(
        &self,
        message: &Message,
        envelope: &Envelope,
    ) -> anyhow::Result<Option<InlineCommit>> {
        if !self.commits_inline || self.queue.has_messages_of(&envelope.order_id) {
            return Ok(None);
        }
        let loaded = match envelope.event {
            // The order is not loaded, because it usually does not exist yet. If it exists, another event has version
            // 1, and this event is queued.
            Event::Created(_) => LoadedOrder::default(),
            _ => {
                let wanted = LoadRequest {
                    order_id: envelope.order_id.clone(),
                    event_ids: vec![envelope.event_id],
                    references: reference_of(&envelope.event).cloned().into_iter().collect(),
                };
                load(&self.log, &self.dead_letters, &wanted)?
            }
        };
        let judged = InlineAppend::decide(loaded, message, envelope, now()).map(Box::new);
        let Some(judged) = judged else { return Ok(None) };
        let append = EncodedAppend::of(judged.append(), &self.log.searchable)?;
        Ok(Some(InlineCommit { judged, append, attributes: message.attributes.clone() }))
    }

    /// Whether the event is still legal. If so, this function claims the event's version, so that no later job of the
    /// commit can use that version. Runs on the writing thread.
    pub(crate) fn claim_version(&self, stage: &mut Stage, commit: &InlineCommit) -> anyhow::Result<bool> {
        let order_id = &commit.append.order_id;
        // Received messages count too, because a received message stays on the queue until its append is committed, or
        // until it is parked.
        if self.queue.has_messages_of(order_id) {
            return Ok(false);
        }
        // Usually the store contains no dead letters. If the counter is 0, the parked sequence need not be read.
        if stage.counters.letters > 0
            && self.dead_letters.sequence_length(&self.store.latest(), order_id, 1)? > 0
        {
            return Ok(false);
        }
        // If another order has the reference, the event is queued, and the consumer rejects it.
        match self.log.claim_references(stage, order_id, &commit.append.references) {
            Ok(()) => {}
            Err(AppendError::Unavailable(error)) => return Err(error),
            Err(_) => return Ok(false),
        }
        if self.log.claim_versions(stage, &commit.append)?.is_some() {
            return Ok(false);
        }
        // Shows later jobs of the commit that the event has an outcome, if a later job contains the same request.
        let envelope = commit.envelope();
        if envelope.request_hash.is_some() {
            stage.claim(keys::receipt_key(order_id, envelope.event_id));
        }
        Ok(true)
    }

    /// Stages the log entry and the derived writes of an event whose version is claimed.
    pub(crate) fn stage_inline(&self, stage: &mut Stage, commit: InlineCommit) -> Box<InlineAppend> {
        let InlineCommit { judged, append, .. } = commit;
        self.log.stage_entries(stage, &append.order_id, append.entries, append.derived);
        judged
    }
}
