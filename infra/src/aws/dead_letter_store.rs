//! The store of dead letters on AWS. The API's operator endpoints list, redrive, repair and discard dead letters with
//! this store.

use std::collections::HashSet;

use api::operations::{
    DeadLetterChange, DeadLetterFilter, DeadLetterList, DeadLetterPosition, DeadLetterStore, ParkedSequence,
    ReplayError,
};
use async_trait::async_trait;
use consumer::ports::OrderLog;
use domain::dead_letter::Discard;
use domain::{Currency, DeadLetter, DeadLetterState, Envelope, OrderId, Outcome, Receipt, Repair};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::dynamodb::Table;
use crate::dynamodb::dead_letter_index::{IndexLookup, IndexedDeadLetter};
use crate::dynamodb::ledger::LedgerDeltas;
use crate::s3::{self, Bucket};
use crate::sqs::Queue;

/// The dead letters in the archive and the index, and the queue for redrives.
#[derive(Debug, Clone)]
pub struct AwsDeadLetterStore {
    /// The bucket of the dead letters.
    pub bucket: Bucket,
    /// The table with the index, the parked sequences, the receipts and the ledger.
    pub table: Table,
    /// The queue of events.
    pub queue: Queue,
    /// The currency of orders whose events contain no currency (schema version 0).
    pub default_currency: Currency,
}

impl AwsDeadLetterStore {
    /// An indexed dead letter with its bodies and attributes from the archive.
    async fn with_body(&self, indexed: IndexedDeadLetter) -> anyhow::Result<DeadLetter> {
        let archived = self.bucket.letter(indexed.repaired.as_deref().unwrap_or(&indexed.archived)).await?;
        let DeadLetter { body, original, attributes, detail, origin, .. } = archived;
        let indexed = indexed.letter;
        // The index contains only the beginning of the detail, and the archive contains the whole detail. If the
        // archive's detail does not begin with the detail in the index, the index is newer and takes precedence.
        let detail = if detail.starts_with(&indexed.detail) { detail } else { indexed.detail.clone() };
        Ok(DeadLetter { body, original, attributes, detail, origin, ..indexed })
    }

    async fn all_with_bodies(&self, indexed: Vec<IndexedDeadLetter>) -> anyhow::Result<Vec<DeadLetter>> {
        let reads = stream::iter(indexed.into_iter().map(|indexed| self.with_body(indexed)));
        reads.buffered(s3::CONCURRENCY).try_collect().await
    }

    /// Returns the dead letter if it is parked. Otherwise returns the result to report to the operator.
    async fn parked(&self, id: &str) -> anyhow::Result<Result<Box<IndexedDeadLetter>, DeadLetterChange>> {
        Ok(match self.table.look_up_dead_letter(id).await? {
            IndexLookup::Found(indexed) if indexed.letter.state == DeadLetterState::Parked => Ok(indexed),
            IndexLookup::Found(indexed) => Err(DeadLetterChange::NotParked(indexed.letter.state)),
            IndexLookup::Absent | IndexLookup::Released => Err(DeadLetterChange::Missing),
        })
    }

    /// Marks a dead letter as *replaying* and sends it to the queue. If a crash prevents the send, the dead letter
    /// stays *replaying* and can be sent again.
    async fn replay_one(&self, id: &str) -> Result<(), ReplayError> {
        let unavailable = ReplayError::Unavailable;
        let indexed = loop {
            let IndexLookup::Found(mut indexed) =
                self.table.look_up_dead_letter(id).await.map_err(unavailable)?
            else {
                return Err(ReplayError::Gone);
            };
            match indexed.letter.state {
                DeadLetterState::Discarded => return Err(ReplayError::Gone),
                DeadLetterState::Replaying => break indexed,
                DeadLetterState::Parked => {
                    indexed.letter.state = DeadLetterState::Replaying;
                    (indexed.letter.replays, indexed.sends) = (indexed.letter.replays + 1, indexed.sends + 1);
                }
            }
            if self.table.write_dead_letter(&indexed, LedgerDeltas::parked(-1)).await.map_err(unavailable)? {
                break indexed;
            }
        };
        let sends = indexed.sends;
        let letter = self.with_body(*indexed).await.map_err(unavailable)?;
        self.queue.redrive(&letter, sends).await.map_err(unavailable)
    }
}

#[async_trait]
impl DeadLetterStore for AwsDeadLetterStore {
    async fn letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterList> {
        let listed = self.table.list_dead_letters(filter, after, limit).await?;
        Ok(DeadLetterList { letters: self.all_with_bodies(listed.letters).await?, next: listed.next })
    }

    async fn letter(&self, id: &str) -> anyhow::Result<Option<DeadLetter>> {
        match self.table.look_up_dead_letter(id).await? {
            IndexLookup::Found(indexed) => self.with_body(*indexed).await.map(Some),
            IndexLookup::Absent | IndexLookup::Released => Ok(None),
        }
    }

    async fn sequence(&self, order_id: &OrderId, limit: usize) -> anyhow::Result<ParkedSequence> {
        let ids = self.table.parked_sequence(order_id).await?;
        let first = &ids[..ids.len().min(limit)];
        let letters = self.all_with_bodies(self.table.look_up_dead_letters(first).await?).await?;
        Ok(ParkedSequence { letters, is_longer: ids.len() > limit })
    }

    async fn replay(&self, letters: &[DeadLetter]) -> Vec<Result<(), ReplayError>> {
        let mut stopped: HashSet<&OrderId> = HashSet::new();
        let mut results = Vec::with_capacity(letters.len());
        for letter in letters {
            let order_id = letter.order_id.as_ref();
            if order_id.is_some_and(|order_id| stopped.contains(order_id)) {
                results.push(Err(ReplayError::EarlierFailed));
                continue;
            }
            let result = self.replay_one(&letter.id).await;
            if matches!(result, Err(ReplayError::Unavailable(_))) {
                stopped.extend(order_id);
            }
            results.push(result);
        }
        results
    }

    async fn repair(&self, id: &str, body: Vec<u8>, by: Repair) -> anyhow::Result<DeadLetterChange> {
        loop {
            let indexed = match self.parked(id).await? {
                Ok(indexed) => indexed,
                Err(change) => return Ok(change),
            };
            let mut letter = self.with_body((*indexed).clone()).await?;
            if letter.body.0 != body {
                letter.repair(body.clone(), by.clone());
                let repaired = self.bucket.keep_repaired(&letter).await?;
                let next = indexed.with(&letter, Some(repaired));
                if !self.table.write_dead_letter(&next, LedgerDeltas::default()).await? {
                    continue;
                }
            }
            // The repaired body may name another order or event than the original, so the parked sequence and the
            // receipt are written again. Both are written even if the body has not changed, because an earlier repair
            // may have crashed before these writes.
            if let Some(order_id) = &letter.order_id {
                self.table.add_to_sequence(order_id, id).await?;
            }
            if let Ok(event) = Envelope::decode(&letter.body.0, self.default_currency) {
                let outcome = Outcome::Parked { reason: letter.reason, detail: letter.detail.clone() };
                let receipt = Receipt::of(&event, Some(outcome));
                self.settle(Receipt { message: Some(id.to_owned()), ..receipt }).await?;
            }
            return Ok(DeadLetterChange::Made(Box::new(letter)));
        }
    }

    async fn discard(&self, id: &str, discard: Discard) -> anyhow::Result<DeadLetterChange> {
        loop {
            let indexed = match self.parked(id).await? {
                Ok(indexed) => indexed,
                Err(change) => {
                    // An earlier discard may have crashed before it removed the dead letter from its parked sequence.
                    self.finish_discard(id).await?;
                    return Ok(change);
                }
            };
            let mut letter = self.with_body((*indexed).clone()).await?;
            let receipt = letter.discard(discard.clone());
            let next = indexed.with(&letter, indexed.repaired.clone());
            if self.table.discard_dead_letter(&next, receipt.as_ref()).await? {
                self.finish_discard(id).await?;
                return Ok(DeadLetterChange::Made(Box::new(letter)));
            }
        }
    }
}

impl AwsDeadLetterStore {
    async fn finish_discard(&self, id: &str) -> anyhow::Result<()> {
        match self.table.look_up_dead_letter(id).await? {
            IndexLookup::Found(indexed) if indexed.letter.state == DeadLetterState::Discarded => {
                match &indexed.letter.order_id {
                    Some(order_id) => self.table.remove_from_sequence(order_id, id).await,
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    async fn settle(&self, receipt: Receipt) -> anyhow::Result<()> {
        self.table.settle(&[receipt]).await.into_iter().collect()
    }
}
