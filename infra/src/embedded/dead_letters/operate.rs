//! Implements the actions of operators on dead letters: listing, viewing, repairing and discarding them. The API calls
//! these functions.

use std::sync::Arc;

use anyhow::Context;
use api::operations::{
    DeadLetterChange, DeadLetterFilter, DeadLetterList, DeadLetterPosition, ParkedSequence,
};
use domain::dead_letter::Discard;
use domain::{DeadLetter, DeadLetterState, OrderId, Repair};

use super::DeadLetters;
use crate::embedded::store::keys;
use crate::embedded::store::records::receipt_row;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::views::ReadStore;
use crate::embedded::store::writer::Durability;

/// The maximum number of dead letters that a page of the list reads. Dead letters that do not pass the filter count
/// too.
const MAX_LOOKED_AT: usize = 1000;

impl DeadLetters {
    pub(crate) async fn letters(
        self: &Arc<Self>,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterList> {
        let (letters, filter, after) = (Arc::clone(self), filter.clone(), after.cloned());
        self.store.read_turns.read(move || letters.list(&filter, after.as_ref(), limit)).await
    }

    fn list(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterList> {
        let end = after.map(|after| {
            after.key.parse::<u64>().context("the position in the list of dead letters is not a number")
        });
        let end = end.transpose()?.unwrap_or(u64::MAX);
        // A search for discarded dead letters cannot read a parked sequence, because a parked sequence contains no
        // discarded dead letters.
        let in_sequence =
            filter.order_id.as_ref().filter(|_| filter.state != Some(DeadLetterState::Discarded));
        let view = self.store.view();
        let mut list = DeadLetterList::default();
        let mut looked_at = 0;
        let mut latest = None;
        let mut look = |seq: u64| -> anyhow::Result<bool> {
            if list.letters.len() == limit || looked_at == MAX_LOOKED_AT {
                list.next = latest.map(|seq: u64| DeadLetterPosition { key: format!("{seq:020}") });
                return Ok(false);
            }
            looked_at += 1;
            latest = Some(seq);
            list.letters.extend(self.at(&*view, seq)?.filter(|letter| filter.passes(letter)));
            Ok(true)
        };
        match in_sequence {
            Some(order_id) => {
                for seq in self.sequence_in(&*view, order_id, end).rev() {
                    if !look(seq?)? {
                        break;
                    }
                }
            }
            None => {
                let all = ..end.to_be_bytes().to_vec();
                for row in view.range(&self.store.keys.dead_letters, all).rev() {
                    if !look(keys::seq_of(&row.key()?)?)? {
                        break;
                    }
                }
            }
        }
        Ok(list)
    }

    pub(crate) async fn letter(self: &Arc<Self>, id: &str) -> anyhow::Result<Option<DeadLetter>> {
        let (letters, id) = (Arc::clone(self), id.to_owned());
        let read = move || Ok(letters.find_in(&*letters.store.view(), &id)?.map(|(_, letter)| letter));
        self.store.read_turns.read(read).await
    }

    pub(crate) async fn sequence(
        self: &Arc<Self>,
        order_id: &OrderId,
        limit: usize,
    ) -> anyhow::Result<ParkedSequence> {
        let (dead_letters, order_id) = (Arc::clone(self), order_id.clone());
        let read = move || {
            // Reads one dead letter more than the limit, which shows whether the sequence is longer.
            let view = dead_letters.store.view();
            let mut letters = dead_letters.first_of_sequence(&*view, &order_id, limit + 1)?;
            let is_longer = letters.len() > limit;
            letters.truncate(limit);
            Ok(ParkedSequence { letters, is_longer })
        };
        self.store.read_turns.read(read).await
    }

    pub(crate) async fn repair(
        self: &Arc<Self>,
        id: &str,
        body: Vec<u8>,
        by: Repair,
    ) -> anyhow::Result<DeadLetterChange> {
        let id = id.to_owned();
        let repair = move |letters: &Arc<Self>, stage: &mut Stage| {
            let Some((seq, mut letter)) = letters.find(&id)? else { return Ok(DeadLetterChange::Missing) };
            if letter.state != DeadLetterState::Parked {
                return Ok(DeadLetterChange::NotParked(letter.state));
            }
            letter.repair(body, by);
            let encoded = letters.encode(&letter)?;
            letters.stage(stage, seq, &letter, encoded);
            Ok(DeadLetterChange::Made(Box::new(letter)))
        };
        self.change(Durability::Synced, repair).await
    }

    pub(crate) async fn discard(
        self: &Arc<Self>,
        id: &str,
        discard: Discard,
    ) -> anyhow::Result<DeadLetterChange> {
        let id = id.to_owned();
        let discard = move |letters: &Arc<Self>, stage: &mut Stage| {
            let Some((seq, mut letter)) = letters.find(&id)? else { return Ok(DeadLetterChange::Missing) };
            if letter.state != DeadLetterState::Parked {
                return Ok(DeadLetterChange::NotParked(letter.state));
            }
            let receipt = letter.discard(discard).map(|receipt| receipt_row(&receipt)).transpose()?;
            let row = serde_json::to_vec(&letter)?;
            let keys = &letters.store.keys;
            if let Some((key, row)) = receipt {
                stage.put(&keys.receipts, key, row);
            }
            letters.stage_out_of_sequence(stage, seq, &letter);
            stage.put(&keys.dead_letters, seq.to_be_bytes().to_vec(), row);
            stage.remove(&keys.alerts, seq.to_be_bytes().to_vec());
            let ledger = &mut stage.counters.ledger;
            (ledger.parked, ledger.rejected) = (ledger.parked - 1, ledger.rejected + 1);
            ledger.discarded += 1;
            Ok(DeadLetterChange::Made(Box::new(letter)))
        };
        let change = self.change(Durability::Synced, discard).await?;
        self.log.waiters.wake_all();
        Ok(change)
    }
}
