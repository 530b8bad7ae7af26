//! Sends dead letters back to the queue. The API redrives whole parked sequences, each in order.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::anyhow;
use api::operations::ReplayError;
use consumer::ports::{DEAD_LETTER, REPAIRED, REPLAYS};
use domain::{DeadLetter, DeadLetterState};
use uuid::Uuid;

use super::DeadLetters;
use crate::embedded::store::records::{MessageHeader, StoredMessage};
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;
use crate::now;
use crate::repaired::repaired;

/// The step that the redrive of a dead letter must take.
enum PlannedRedrive {
    /// None, because the message is already on the queue.
    Queued,
    /// The message must be put on the queue.
    Due { seq: u64, was_parked: bool, letter: Vec<u8>, header: Box<MessageHeader>, message: Vec<u8> },
}

impl DeadLetters {
    /// Queues the messages of all given dead letters, or none of them. So no message of a parked sequence is queued
    /// without the earlier messages of the sequence.
    pub(crate) async fn replay(self: &Arc<Self>, letters: &[DeadLetter]) -> Vec<Result<(), ReplayError>> {
        if let Some(why) = self.queue.no_room() {
            let full = |_| Err(ReplayError::Unavailable(anyhow!("the queue accepts no new messages: {why}")));
            return letters.iter().map(full).collect();
        }
        let ids: Vec<_> = letters.iter().map(|letter| letter.id.clone()).collect();
        let redrive = move |letters: &Arc<Self>, stage: &mut Stage| {
            let planned =
                ids.iter().map(|id| letters.plan_redrive(id)).collect::<anyhow::Result<Vec<_>>>()?;
            let (mut seen, mut sent) = (HashSet::new(), Vec::with_capacity(ids.len()));
            for (id, planned) in ids.iter().zip(planned) {
                sent.push(planned.is_some());
                if let Some(planned) = planned.filter(|_| seen.insert(id)) {
                    letters.stage_redrive(stage, planned);
                }
            }
            Ok(sent)
        };
        match self.change(Durability::Synced, redrive).await {
            Ok(sent) => sent.into_iter().map(|sent| sent.then_some(()).ok_or(ReplayError::Gone)).collect(),
            Err(error) => {
                letters.iter().map(|_| Err(ReplayError::Unavailable(anyhow!("{error:#}")))).collect()
            }
        }
    }

    /// Plans the redrive of a dead letter. Returns `None` if the dead letter was removed or discarded.
    fn plan_redrive(&self, id: &str) -> anyhow::Result<Option<PlannedRedrive>> {
        let Some((seq, letter)) = self.find(id)? else { return Ok(None) };
        let group = letter.order_id.as_ref().map(|order_id| order_id.as_str().to_owned());
        let group = group.or(letter.group.clone()).unwrap_or_else(|| letter.id.clone());
        let dedup = |replays: u32| Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{id}.{replays}").as_bytes());
        let replays = match letter.state {
            DeadLetterState::Discarded => return Ok(None),
            DeadLetterState::Parked => letter.replays + 1,
            DeadLetterState::Replaying if self.queue.lock().find(&group, dedup(letter.replays)).is_some() => {
                return Ok(Some(PlannedRedrive::Queued));
            }
            DeadLetterState::Replaying => letter.replays,
        };
        let repaired = repaired(&letter).map(|repaired| serde_json::to_string(&repaired)).transpose()?;
        let attributes = [(DEAD_LETTER, letter.id.clone()), (REPLAYS, replays.to_string())];
        let attributes = attributes.into_iter().chain(repaired.map(|repaired| (REPAIRED, repaired)));
        let at = now();
        let header = MessageHeader {
            group,
            dedup: dedup(replays),
            enqueued_at: at.micros(),
            visible_at: at.micros(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        let message = StoredMessage::encode(&header, &letter.body.0)?;
        let was_parked = letter.state == DeadLetterState::Parked;
        let letter =
            serde_json::to_vec(&DeadLetter { state: DeadLetterState::Replaying, replays, ..letter })?;
        Ok(Some(PlannedRedrive::Due { seq, was_parked, letter, header: Box::new(header), message }))
    }

    fn stage_redrive(&self, stage: &mut Stage, planned: PlannedRedrive) {
        let PlannedRedrive::Due { seq, was_parked, letter, header, message } = planned else { return };
        if was_parked {
            stage.counters.ledger.parked -= 1;
        }
        stage.put(&self.store.keys.dead_letters, seq.to_be_bytes().to_vec(), letter);
        self.queue.stage_visible_message(stage, &header, message);
    }
}
