//! The dead letters: how messages get there, and how they leave again.
//!
//! A letter's sequence number is that of the message it was first, through all replays. So the letters of an order are in
//! line as their messages were sent.

pub mod alerts;
pub(crate) mod import;
mod operate;

use std::sync::Arc;

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use consumer::Disposition;
use consumer::ports::{DEAD_LETTER, DeadLetters, ParkRequest, REPAIRED, REPLAYS};
use domain::{DeadLetter, DeadLetterState, Envelope, OrderId, Outcome, ParkReason, Receipt};

use crate::embedded::Embedded;
use crate::embedded::inbox::{each, receipt_row};
use crate::embedded::queue::index::Delivery;
use crate::embedded::store::keys::{self, StoredMessage};
use crate::embedded::store::stage::Stage;
use crate::embedded::store::views::Rows;
use crate::embedded::store::writer::Durability;
use crate::now;

/// What letters of this engine say of the queue they come from.
pub(crate) const ORIGIN: &str = "embedded";

/// What is to be stored of a letter.
pub(crate) struct LetterRows {
    letter: Vec<u8>,
    /// The key and the row.
    receipt: Option<(Vec<u8>, Vec<u8>)>,
    is_new: bool,
}

/// A delivery to move to the dead letters.
pub(crate) struct Burial {
    group: String,
    seq: u64,
    receive_count: u32,
    reason: ParkReason,
    detail: String,
}

impl Burial {
    /// Of a message that was received as often as allowed.
    pub(crate) fn of_exhausted(delivery: &Delivery) -> Self {
        let detail = format!("received {} times without success", delivery.receives);
        Self {
            group: delivery.group.to_string(),
            seq: delivery.seq,
            receive_count: delivery.receives,
            reason: ParkReason::TriesExhausted,
            detail,
        }
    }
}

impl Embedded {
    /// Changes dead letters on the writing thread. No other change of them is in the same commit, so that it sees what all
    /// before it came to. If it fails, nothing of it may be staged.
    pub(crate) async fn change_letters<R: Send + 'static>(
        &self,
        durability: Durability,
        change: impl FnOnce(&Self, &mut Stage) -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        let turn = Arc::clone(&self.0.letters).lock_owned().await;
        let engine = Arc::downgrade(&self.0);
        let job = move |stage: &mut Stage| {
            // Whoever waits for this may give up before it is committed, and the turn still lasts until then.
            stage.after_commit(move || drop(turn));
            change(&Self(engine.upgrade().context("the engine is closing")?), stage)
        };
        self.0.writer.write(durability, job).await
    }

    /// Moves messages to the dead letters and stores what their receipts tell from then on.
    pub(crate) async fn bury(&self, burials: Vec<Burial>) -> anyhow::Result<()> {
        let bury = move |engine: &Self, stage: &mut Stage| {
            let prepared = burials.iter().map(|burial| {
                let (seq, letter) = engine.letter_of(burial)?;
                let rows = engine.letter_rows(&letter)?;
                Ok((seq, letter, rows))
            });
            let prepared = prepared.collect::<anyhow::Result<Vec<_>>>()?;
            for (burial, (seq, letter, rows)) in burials.iter().zip(prepared) {
                engine.stage_letter(stage, seq, &letter, rows);
                engine.stage_removal(stage, &burial.group, burial.seq);
                let since = letter.parked_at.micros().to_be_bytes();
                stage.put(&engine.0.keys.alerts, seq.to_be_bytes(), since);
                stage.books.ledger.parked += 1;
            }
            let buried: Vec<_> = burials.into_iter().map(|burial| (burial.group, burial.seq)).collect();
            let engine = Arc::downgrade(&engine.0);
            stage.after_sync(move || {
                let Some(engine) = engine.upgrade().map(Self) else { return };
                engine.forget(&buried);
                engine.0.alarm.notify_one();
            });
            Ok(())
        };
        self.change_letters(Durability::Synced, bury).await?;
        self.0.waiters.wake_all();
        Ok(())
    }

    /// The letter that a message becomes, or becomes again, and its number.
    fn letter_of(&self, burial: &Burial) -> anyhow::Result<(u64, DeadLetter)> {
        let key = burial.seq.to_be_bytes();
        let row = self.0.keys.queue.get(key)?.context("the message is gone")?;
        let StoredMessage { header, body } = StoredMessage::decode(&row)?;
        let (reason, detail) = (burial.reason, burial.detail.clone());
        if let Some(id) = header.attributes.get(DEAD_LETTER)
            && let Some((seq, known)) = self.find_letter(id)?
        {
            let (state, receive_count, parked_at) = (DeadLetterState::Parked, burial.receive_count, now());
            return Ok((seq, DeadLetter { state, reason, detail, receive_count, parked_at, ..known }));
        }
        let mut letter = DeadLetter::new(self.message_id(burial.seq), body, reason, detail, now());
        letter.origin = ORIGIN.to_owned();
        letter.first_received_at = self.0.queue.lock().first_received(&header.group, burial.seq);
        letter.sent_at = header.enqueued_at();
        letter.group = Some(header.group);
        letter.receive_count = burial.receive_count;
        letter.attributes = header.attributes;
        letter.attributes.retain(|name, _| ![DEAD_LETTER, REPLAYS, REPAIRED].contains(&name.as_str()));
        Ok((burial.seq, letter))
    }

    /// What is to be stored of a letter, and what its event's receipt tells, unless that has come to an end already.
    pub(crate) fn letter_rows(&self, letter: &DeadLetter) -> anyhow::Result<LetterRows> {
        Ok(LetterRows {
            letter: serde_json::to_vec(letter)?,
            receipt: self.parked_receipt(letter)?,
            is_new: !self.0.keys.letter_ids.contains_key(&letter.id)?,
        })
    }

    /// Stages a letter with what leads to it.
    pub(crate) fn stage_letter(&self, stage: &mut Stage, seq: u64, letter: &DeadLetter, rows: LetterRows) {
        let keys = &self.0.keys;
        let key = seq.to_be_bytes().to_vec();
        if rows.is_new {
            stage.put(&keys.letter_ids, letter.id.clone().into_bytes(), key.clone());
            stage.books.letters += 1;
        }
        if let Some(order_id) = &letter.order_id {
            stage.put(&keys.lines, keys::line_key(order_id, seq), Vec::new());
        }
        stage.put(&keys.dead_letters, key, rows.letter);
        if let Some((key, row)) = rows.receipt {
            stage.put(&keys.receipts, key, row);
        }
    }

    fn parked_receipt(&self, letter: &DeadLetter) -> anyhow::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Ok(envelope) = Envelope::decode(&letter.body.0, self.0.options.default_currency) else {
            return Ok(None);
        };
        let known = self.stored_receipt(&envelope.order_id, envelope.event_id)?;
        if known.is_some_and(|known| !matches!(known.outcome, Outcome::Parked { .. })) {
            return Ok(None);
        }
        let outcome = Outcome::Parked { reason: letter.reason, detail: letter.detail.clone() };
        let receipt = Receipt::of(&envelope, Some(outcome));
        receipt_row(&Receipt { message: Some(letter.id.clone()), ..receipt }).map(Some)
    }

    /// Stages that a letter does not hold its order any more.
    pub(crate) fn stage_out_of_line(&self, stage: &mut Stage, seq: u64, letter: &DeadLetter) {
        if let Some(order_id) = &letter.order_id {
            stage.remove(&self.0.keys.lines, keys::line_key(order_id, seq));
        }
        stage.books.letters -= 1;
    }

    /// The letter with this id, and its number, as the latest commit has it.
    pub(crate) fn find_letter(&self, id: &str) -> anyhow::Result<Option<(u64, DeadLetter)>> {
        self.find_letter_in(&self.latest(), id)
    }

    pub(crate) fn find_letter_in(
        &self,
        rows: &impl Rows,
        id: &str,
    ) -> anyhow::Result<Option<(u64, DeadLetter)>> {
        let Some(seq) = rows.get(&self.0.keys.letter_ids, id)? else { return Ok(None) };
        let seq = keys::seq_of(&seq)?;
        Ok(self.letter_at(rows, seq)?.map(|letter| (seq, letter)))
    }

    pub(crate) fn letter_at(&self, rows: &impl Rows, seq: u64) -> anyhow::Result<Option<DeadLetter>> {
        let row = rows.get(&self.0.keys.dead_letters, seq.to_be_bytes())?;
        row.map(|row| serde_json::from_slice(&row).context("a dead letter")).transpose()
    }

    /// The numbers below `end` of the letters that hold the order, in line. Any number of letters may hold an order: take
    /// only as many as are needed.
    pub(crate) fn line_in<R: Rows>(
        &self,
        rows: &R,
        order_id: &OrderId,
        end: u64,
    ) -> impl DoubleEndedIterator<Item = anyhow::Result<u64>> + use<R> {
        let range = keys::line_key(order_id, 0)..keys::line_key(order_id, end);
        let line = (rows.letters() > 0).then(|| rows.range(&self.0.keys.lines, range));
        line.into_iter().flatten().map(|row| keys::line_seq(&row.key()?))
    }

    /// How many letters hold the order, up to `most`.
    pub(crate) fn line_length(
        &self,
        rows: &impl Rows,
        order_id: &OrderId,
        most: usize,
    ) -> anyhow::Result<u64> {
        let mut line = self.line_in(rows, order_id, u64::MAX).take(most);
        line.try_fold(0, |count, seq| seq.map(|_| count + 1))
    }

    /// The first letters that hold the order, up to `most`, in line.
    pub(crate) fn first_in_line(
        &self,
        rows: &impl Rows,
        order_id: &OrderId,
        most: usize,
    ) -> anyhow::Result<Vec<DeadLetter>> {
        let letters = self.line_in(rows, order_id, u64::MAX).map(|seq| self.letter_at(rows, seq?));
        letters.filter_map(anyhow::Result::transpose).take(most).collect()
    }

    /// The ids of the first letters that hold the order, up to `most`, in line, as the latest commit has it.
    pub(crate) fn line_ids(&self, order_id: &OrderId, most: usize) -> anyhow::Result<Vec<String>> {
        Ok(self.first_in_line(&self.latest(), order_id, most)?.into_iter().map(|letter| letter.id).collect())
    }
}

#[async_trait]
impl DeadLetters for Embedded {
    async fn park(&self, messages: &[ParkRequest<'_>]) -> Vec<anyhow::Result<()>> {
        let current = self.current(messages.iter().map(|parking| parking.message));
        let burials = messages.iter().zip(&current).filter_map(|(parking, current)| {
            let (group, seq) = current.as_ref().ok()?;
            Some(Burial {
                group: group.clone(),
                seq: *seq,
                receive_count: parking.message.receive_count,
                reason: parking.reason,
                detail: parking.detail.clone(),
            })
        });
        let written = self.bury(burials.collect()).await;
        each(current, &written)
    }

    async fn release(&self, letters: &[(&str, &Disposition)]) -> Vec<anyhow::Result<()>> {
        let ids: Vec<String> = letters.iter().map(|(id, _)| (*id).to_owned()).collect();
        let release = move |engine: &Self, stage: &mut Stage| {
            let found = ids.iter().map(|id| engine.find_letter(id)).collect::<anyhow::Result<Vec<_>>>()?;
            let found = found.into_iter().flatten();
            for (seq, letter) in found.filter(|(_, letter)| letter.state != DeadLetterState::Discarded) {
                let key = seq.to_be_bytes().to_vec();
                engine.stage_out_of_line(stage, seq, &letter);
                stage.remove(&engine.0.keys.letter_ids, letter.id.into_bytes());
                stage.remove(&engine.0.keys.alerts, key.clone());
                stage.remove(&engine.0.keys.dead_letters, key);
            }
            Ok(())
        };
        let written = self.change_letters(Durability::Written, release).await;
        let result = |_| written.as_ref().copied().map_err(|error| anyhow!("{error:#}"));
        letters.iter().map(result).collect()
    }
}

impl Embedded {
    /// The next sequence number, for a letter that was no message of this queue.
    pub(crate) fn new_seq(&self) -> u64 {
        self.0.queue.lock().skip()
    }
}

#[cfg(test)]
mod tests;
