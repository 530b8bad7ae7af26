//! Moves messages from the queue to the dead letters, and removes dead letters whose redrive has succeeded. The
//! consumer calls these functions. The inbox also calls this module, to park messages that were received too often.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use consumer::Disposition;
use consumer::ports::{DEAD_LETTER, ParkRequest, REPAIRED, REPLAYS};
use domain::{DeadLetter, DeadLetterState, ParkReason};

use super::{DeadLetters, ORIGIN};
use crate::embedded::queue::index::Delivery;
use crate::embedded::queue::result_of_each;
use crate::embedded::store::records::StoredMessage;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;
use crate::now;

/// A received message that is to be parked.
pub(crate) struct MessageToPark {
    group: String,
    seq: u64,
    receive_count: u32,
    reason: ParkReason,
    detail: String,
}

impl MessageToPark {
    /// Prepares to park a message that was received the maximum number of times.
    pub(crate) fn exhausted(delivery: &Delivery) -> Self {
        Self {
            group: delivery.group.to_string(),
            seq: delivery.seq,
            receive_count: delivery.receives,
            reason: ParkReason::TriesExhausted,
            detail: format!("received {} times without success", delivery.receives),
        }
    }
}

impl DeadLetters {
    pub(crate) async fn park(self: &Arc<Self>, messages: &[ParkRequest<'_>]) -> Vec<anyhow::Result<()>> {
        let current = self.queue.current(messages.iter().map(|parking| parking.message));
        let to_park = messages.iter().zip(&current).filter_map(|(parking, current)| {
            let (group, seq) = current.as_ref().ok()?;
            Some(MessageToPark {
                group: group.clone(),
                seq: *seq,
                receive_count: parking.message.receive_count,
                reason: parking.reason,
                detail: parking.detail.clone(),
            })
        });
        let written = self.park_messages(to_park.collect()).await;
        result_of_each(current, &written)
    }

    /// Parks all messages in one commit, and stores the receipts of their events.
    pub(crate) async fn park_messages(self: &Arc<Self>, messages: Vec<MessageToPark>) -> anyhow::Result<()> {
        let park = move |letters: &Arc<Self>, stage: &mut Stage| {
            let prepared = messages.iter().map(|message| {
                let (seq, letter) = letters.letter_of(message)?;
                let encoded = letters.encode(&letter)?;
                Ok((seq, letter, encoded))
            });
            let prepared = prepared.collect::<anyhow::Result<Vec<_>>>()?;
            for (message, (seq, letter, encoded)) in messages.iter().zip(prepared) {
                letters.stage(stage, seq, &letter, encoded);
                letters.queue.stage_removal(stage, &message.group, message.seq);
                letters.stage_alert(stage, seq, &letter);
                stage.counters.ledger.parked += 1;
            }
            let parked: Vec<_> = messages.into_iter().map(|message| (message.group, message.seq)).collect();
            let letters = Arc::clone(letters);
            stage.after_sync(move || {
                letters.queue.remove(&parked);
                letters.alarm.notify_one();
            });
            Ok(())
        };
        self.change(Durability::Synced, park).await?;
        self.log.waiters.wake_all();
        Ok(())
    }

    /// Makes a dead letter of a message. Returns the dead letter and its sequence number. If the message comes from a
    /// redrive, returns the redriven dead letter, in the state *parked* again.
    fn letter_of(&self, message: &MessageToPark) -> anyhow::Result<(u64, DeadLetter)> {
        let key = message.seq.to_be_bytes();
        let row = self.store.keys.queue.get(key)?.context("the message is no longer on the queue")?;
        let StoredMessage { header, body } = StoredMessage::decode(&row)?;
        let (reason, detail) = (message.reason, message.detail.clone());
        if let Some(id) = header.attributes.get(DEAD_LETTER)
            && let Some((seq, known)) = self.find(id)?
        {
            let (state, receive_count, parked_at) = (DeadLetterState::Parked, message.receive_count, now());
            return Ok((seq, DeadLetter { state, reason, detail, receive_count, parked_at, ..known }));
        }
        let mut letter = DeadLetter::new(self.store.message_id(message.seq), body, reason, detail, now());
        letter.origin = ORIGIN.to_owned();
        letter.first_received_at = self.queue.lock().first_received(&header.group, message.seq);
        letter.sent_at = header.enqueued_at();
        letter.group = Some(header.group);
        letter.receive_count = message.receive_count;
        letter.attributes = header.attributes;
        letter.attributes.retain(|name, _| ![DEAD_LETTER, REPLAYS, REPAIRED].contains(&name.as_str()));
        Ok((message.seq, letter))
    }

    /// Removes dead letters whose redriven messages are finished.
    pub(crate) async fn release(
        self: &Arc<Self>,
        letters: &[(&str, &Disposition)],
    ) -> Vec<anyhow::Result<()>> {
        let ids: Vec<String> = letters.iter().map(|(id, _)| (*id).to_owned()).collect();
        let release = move |letters: &Arc<Self>, stage: &mut Stage| {
            let found = ids.iter().map(|id| letters.find(id)).collect::<anyhow::Result<Vec<_>>>()?;
            let found = found.into_iter().flatten();
            for (seq, letter) in found.filter(|(_, letter)| letter.state != DeadLetterState::Discarded) {
                let (keys, key) = (&letters.store.keys, seq.to_be_bytes().to_vec());
                letters.stage_out_of_sequence(stage, seq, &letter);
                stage.remove(&keys.dead_letter_ids, letter.id.into_bytes());
                stage.remove(&keys.alerts, key.clone());
                stage.remove(&keys.dead_letters, key);
            }
            Ok(())
        };
        let written = self.change(Durability::Written, release).await;
        let result = |_| written.as_ref().copied().map_err(|error| anyhow!("{error:#}"));
        letters.iter().map(result).collect()
    }
}
