//! The dead letters. [`park`] moves messages to the dead letters. [`operate`] and [`redrive`] implement the actions of
//! operators. [`import`] adds dead letters of another archive. [`alerts`] reports dead letters to operators, and
//! [`parked_sequences`] reads dead letters.
//!
//! A dead letter keeps the sequence number of its first message through all redrives. So the dead letters of an order
//! are sorted by the time at which their messages were sent.

pub mod alerts;
pub(crate) mod import;
mod operate;
mod park;
mod parked_sequences;
mod redrive;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use domain::{DeadLetter, Envelope, Outcome, Receipt};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::log::Log;
use super::queue::EmbeddedQueue;
use super::store::records::receipt_row;
use super::store::stage::Stage;
use super::store::writer::Durability;
use super::store::{Store, keys};

pub(crate) use park::MessageToPark;

/// The origin that is stored with dead letters that this service parked itself.
pub(crate) const ORIGIN: &str = "embedded";

pub(crate) struct DeadLetters {
    pub(crate) store: Arc<Store>,
    log: Arc<Log>,
    queue: Arc<EmbeddedQueue>,
    /// The lock that each change of dead letters holds from its preparation until its commit.
    turn: Arc<AsyncMutex<()>>,
    /// The signal that wakes the task which raises alerts, when an alert is pending.
    alarm: Notify,
}

/// The rows in which a dead letter is stored.
pub(crate) struct EncodedDeadLetter {
    letter: Vec<u8>,
    /// The key and the row of the receipt for the dead letter's event.
    receipt: Option<(Vec<u8>, Vec<u8>)>,
    is_new: bool,
}

impl DeadLetters {
    pub(crate) fn new(log: &Arc<Log>, queue: &Arc<EmbeddedQueue>) -> Self {
        Self {
            store: Arc::clone(&log.store),
            log: Arc::clone(log),
            queue: Arc::clone(queue),
            turn: Arc::default(),
            alarm: Notify::new(),
        }
    }

    /// Changes dead letters on the writing thread. A commit contains at most one such change, so each change sees the
    /// results of all earlier changes. A `change` that fails must not stage anything.
    async fn change<R: Send + 'static>(
        self: &Arc<Self>,
        durability: Durability,
        change: impl FnOnce(&Arc<Self>, &mut Stage) -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let letters = Arc::clone(self);
        let job = move |stage: &mut Stage| {
            // The lock is held until the commit, even if the caller stops waiting earlier.
            stage.after_commit(move || drop(turn));
            change(&letters, stage)
        };
        self.store.writer.write(durability, job).await
    }

    /// Encodes a dead letter. Also encodes the receipt of its event, unless the event has a final outcome already.
    fn encode(&self, letter: &DeadLetter) -> anyhow::Result<EncodedDeadLetter> {
        Ok(EncodedDeadLetter {
            letter: serde_json::to_vec(letter)?,
            receipt: self.parked_receipt(letter)?,
            is_new: !self.store.keys.dead_letter_ids.contains_key(&letter.id)?,
        })
    }

    fn parked_receipt(&self, letter: &DeadLetter) -> anyhow::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Ok(envelope) = Envelope::decode(&letter.body.0, self.log.default_currency) else {
            return Ok(None);
        };
        let known = self.log.latest_receipt(&envelope.order_id, envelope.event_id)?;
        if known.is_some_and(|known| !matches!(known.outcome, Outcome::Parked { .. })) {
            return Ok(None);
        }
        let outcome = Outcome::Parked { reason: letter.reason, detail: letter.detail.clone() };
        let receipt = Receipt::of(&envelope, Some(outcome));
        receipt_row(&Receipt { message: Some(letter.id.clone()), ..receipt }).map(Some)
    }

    /// Stages a dead letter, its place in the parked sequence and its receipt.
    fn stage(&self, stage: &mut Stage, seq: u64, letter: &DeadLetter, encoded: EncodedDeadLetter) {
        let keys = &self.store.keys;
        let key = seq.to_be_bytes().to_vec();
        if encoded.is_new {
            stage.put(&keys.dead_letter_ids, letter.id.clone().into_bytes(), key.clone());
            stage.counters.letters += 1;
        }
        if let Some(order_id) = &letter.order_id {
            stage.put(&keys.parked_sequences, keys::parked_key(order_id, seq), Vec::new());
        }
        stage.put(&keys.dead_letters, key, encoded.letter);
        if let Some((key, row)) = encoded.receipt {
            stage.put(&keys.receipts, key, row);
        }
    }

    fn stage_alert(&self, stage: &mut Stage, seq: u64, letter: &DeadLetter) {
        let since = letter.parked_at.micros().to_be_bytes();
        stage.put(&self.store.keys.alerts, seq.to_be_bytes(), since);
    }

    /// Stages the removal of a dead letter from the parked sequence of its order.
    fn stage_out_of_sequence(&self, stage: &mut Stage, seq: u64, letter: &DeadLetter) {
        if let Some(order_id) = &letter.order_id {
            stage.remove(&self.store.keys.parked_sequences, keys::parked_key(order_id, seq));
        }
        stage.counters.letters -= 1;
    }
}
