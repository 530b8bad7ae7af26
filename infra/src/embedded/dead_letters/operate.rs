//! What operators do with dead letters: look at them, replay, repair and discard them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use api::operations::{
    DeadLetterChange, DeadLetterFilter, DeadLetterList, DeadLetterPosition, DeadLetterStore, ParkedSequence,
    ReplayError,
};
use async_trait::async_trait;
use consumer::ports::{DEAD_LETTER, REPAIRED, REPLAYS};
use domain::dead_letter::Discard;
use domain::{DeadLetter, DeadLetterState, OrderId, Repair};
use uuid::Uuid;

use crate::embedded::Embedded;
use crate::embedded::inbox::receipt_row;
use crate::embedded::store::keys::{self, MessageHeader, StoredMessage};
use crate::embedded::store::stage::Stage;
use crate::embedded::store::views::Rows;
use crate::embedded::store::writer::Durability;
use crate::now;
use crate::repaired::repaired;

/// How many letters are looked at for one page, whether they pass the filter or not.
const LOOKED_AT: usize = 1000;

/// A letter that is to be back on the queue.
enum Replay {
    /// It is.
    Underway,
    /// It has to be put there.
    Due { seq: u64, was_parked: bool, letter: Vec<u8>, header: Box<MessageHeader>, message: Vec<u8> },
}

impl Embedded {
    /// What it takes to put a letter back on the queue. `None` if there is no such letter any more.
    fn replay_of(&self, id: &str) -> anyhow::Result<Option<Replay>> {
        let Some((seq, letter)) = self.find_letter(id)? else { return Ok(None) };
        let group = letter.order_id.as_ref().map(|order_id| order_id.as_str().to_owned());
        let group = group.or(letter.group.clone()).unwrap_or_else(|| letter.id.clone());
        let dedup = |replays: u32| Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{id}.{replays}").as_bytes());
        let replays = match letter.state {
            DeadLetterState::Discarded => return Ok(None),
            DeadLetterState::Parked => letter.replays + 1,
            DeadLetterState::Replaying
                if self.0.queue.lock().find(&group, dedup(letter.replays)).is_some() =>
            {
                return Ok(Some(Replay::Underway));
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
        Ok(Some(Replay::Due { seq, was_parked, letter, header: Box::new(header), message }))
    }

    fn stage_replay(&self, stage: &mut Stage, replay: Replay) {
        let Replay::Due { seq, was_parked, letter, header, message } = replay else { return };
        if was_parked {
            stage.books.ledger.parked -= 1;
        }
        stage.put(&self.0.keys.dead_letters, seq.to_be_bytes().to_vec(), letter);
        self.stage_message(stage, &header, message);
    }

    /// Stages a message for the end of its group.
    fn stage_message(&self, stage: &mut Stage, header: &MessageHeader, row: Vec<u8>) {
        let mut index = self.0.queue.lock();
        let (group, seq) = index.reserve(&header.group, header.dedup, Instant::now(), None);
        stage.next_seq = Some(index.next_seq());
        drop(index);
        stage.put(&self.0.keys.queue, seq.to_be_bytes(), row);
        stage.queued += 1;
        let queue = Arc::clone(&self.0.queue);
        stage.after_sync(move || {
            queue.lock().commit(&group, seq);
            queue.bell.notify_one();
        });
    }

    fn list_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterList> {
        let end =
            after.map(|after| after.key.parse::<u64>().context("a place in the dead letters")).transpose()?;
        let end = end.unwrap_or(u64::MAX);
        let in_line = filter.order_id.as_ref().filter(|_| filter.state != Some(DeadLetterState::Discarded));
        let view = self.view();
        let mut list = DeadLetterList::default();
        let mut looked_at = 0;
        let mut latest = None;
        let mut look = |seq: u64| -> anyhow::Result<bool> {
            if list.letters.len() == limit || looked_at == LOOKED_AT {
                list.next = latest.map(|seq: u64| DeadLetterPosition { key: format!("{seq:020}") });
                return Ok(false);
            }
            looked_at += 1;
            latest = Some(seq);
            list.letters.extend(self.letter_at(&*view, seq)?.filter(|letter| filter.passes(letter)));
            Ok(true)
        };
        match in_line {
            Some(order_id) => {
                for seq in self.line_in(&*view, order_id, end).rev() {
                    if !look(seq?)? {
                        break;
                    }
                }
            }
            None => {
                for row in view.range(&self.0.keys.dead_letters, ..end.to_be_bytes().to_vec()).rev() {
                    if !look(keys::seq_of(&row.key()?)?)? {
                        break;
                    }
                }
            }
        }
        Ok(list)
    }
}

#[async_trait]
impl DeadLetterStore for Embedded {
    async fn letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterList> {
        let (filter, after) = (filter.clone(), after.cloned());
        self.read(move |engine| engine.list_letters(&filter, after.as_ref(), limit)).await
    }

    async fn letter(&self, id: &str) -> anyhow::Result<Option<DeadLetter>> {
        let id = id.to_owned();
        self.read(move |engine| Ok(engine.find_letter_in(&*engine.view(), &id)?.map(|(_, letter)| letter)))
            .await
    }

    async fn sequence(&self, order_id: &OrderId, limit: usize) -> anyhow::Result<ParkedSequence> {
        let order_id = order_id.clone();
        let line = move |engine: &Self| {
            // One more tells whether the line is longer.
            let mut letters = engine.first_in_line(&*engine.view(), &order_id, limit + 1)?;
            let is_longer = letters.len() > limit;
            letters.truncate(limit);
            Ok(ParkedSequence { letters, is_longer })
        };
        self.read(line).await
    }

    async fn replay(&self, letters: &[DeadLetter]) -> Vec<Result<(), ReplayError>> {
        if let Some(why) = self.no_room() {
            let full = |_| Err(ReplayError::Unavailable(anyhow!("the queue takes nothing more: {why}")));
            return letters.iter().map(full).collect();
        }
        let ids: Vec<_> = letters.iter().map(|letter| letter.id.clone()).collect();
        // All of them or none: so nothing is sent whose predecessor is not.
        let replay = move |engine: &Self, stage: &mut Stage| {
            let replays = ids.iter().map(|id| engine.replay_of(id)).collect::<anyhow::Result<Vec<_>>>()?;
            let (mut seen, mut sent) = (HashSet::new(), Vec::with_capacity(ids.len()));
            for (id, replay) in ids.iter().zip(replays) {
                sent.push(replay.is_some());
                if let Some(replay) = replay.filter(|_| seen.insert(id)) {
                    engine.stage_replay(stage, replay);
                }
            }
            Ok(sent)
        };
        let sent = self.change_letters(Durability::Synced, replay).await;
        match sent {
            Ok(sent) => sent.into_iter().map(|sent| sent.then_some(()).ok_or(ReplayError::Gone)).collect(),
            Err(error) => {
                letters.iter().map(|_| Err(ReplayError::Unavailable(anyhow!("{error:#}")))).collect()
            }
        }
    }

    async fn repair(&self, id: &str, body: Vec<u8>, by: Repair) -> anyhow::Result<DeadLetterChange> {
        let id = id.to_owned();
        let repair = move |engine: &Self, stage: &mut Stage| {
            let Some((seq, mut letter)) = engine.find_letter(&id)? else {
                return Ok(DeadLetterChange::Missing);
            };
            if letter.state != DeadLetterState::Parked {
                return Ok(DeadLetterChange::NotParked(letter.state));
            }
            letter.repair(body, by);
            let rows = engine.letter_rows(&letter)?;
            engine.stage_letter(stage, seq, &letter, rows);
            Ok(DeadLetterChange::Made(Box::new(letter)))
        };
        self.change_letters(Durability::Synced, repair).await
    }

    async fn discard(&self, id: &str, discard: Discard) -> anyhow::Result<DeadLetterChange> {
        let id = id.to_owned();
        let discard = move |engine: &Self, stage: &mut Stage| {
            let Some((seq, mut letter)) = engine.find_letter(&id)? else {
                return Ok(DeadLetterChange::Missing);
            };
            if letter.state != DeadLetterState::Parked {
                return Ok(DeadLetterChange::NotParked(letter.state));
            }
            let receipt = letter.discard(discard).map(|receipt| receipt_row(&receipt)).transpose()?;
            let row = serde_json::to_vec(&letter)?;
            if let Some((key, row)) = receipt {
                stage.put(&engine.0.keys.receipts, key, row);
            }
            engine.stage_out_of_line(stage, seq, &letter);
            stage.put(&engine.0.keys.dead_letters, seq.to_be_bytes().to_vec(), row);
            stage.remove(&engine.0.keys.alerts, seq.to_be_bytes().to_vec());
            let ledger = &mut stage.books.ledger;
            (ledger.parked, ledger.rejected) = (ledger.parked - 1, ledger.rejected + 1);
            ledger.discarded += 1;
            Ok(DeadLetterChange::Made(Box::new(letter)))
        };
        let change = self.change_letters(Durability::Synced, discard).await?;
        self.0.waiters.wake_all();
        Ok(change)
    }
}
