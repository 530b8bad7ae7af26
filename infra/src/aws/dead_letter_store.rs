//! What operators do with dead letters.

use std::collections::HashSet;

use api::operations::{Change, DeadLetterStore, LetterFilter, LetterList, LetterPosition, Line, ReplayError};
use async_trait::async_trait;
use consumer::ports::OrderLog;
use domain::dead_letter::Discard;
use domain::{Currency, DeadLetter, Envelope, LetterState, OrderId, Outcome, Receipt, Repair};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::dynamodb::Table;
use crate::dynamodb::ledger::Deltas;
use crate::dynamodb::letters::{Indexed, Known};
use crate::s3::{self, Bucket};
use crate::sqs::Queue;

/// The dead letters in the archive and the index, and the queue that they are replayed on.
#[derive(Debug, Clone)]
pub struct LetterStore {
    /// Where the letters are, whole.
    pub bucket: Bucket,
    /// Where the index, the lines, the receipts and the ledger are.
    pub table: Table,
    /// Where they are put back.
    pub queue: Queue,
    /// For article orders, which state none.
    pub default_currency: Currency,
}

impl LetterStore {
    /// A letter of the index, with its bodies and attributes.
    async fn whole(&self, indexed: Indexed) -> anyhow::Result<DeadLetter> {
        let archived = self.bucket.letter(indexed.repaired.as_deref().unwrap_or(&indexed.archived)).await?;
        let DeadLetter { body, original, attributes, detail, origin, .. } = archived;
        let known = indexed.letter;
        // What was cut for the index is whole in the archive, unless it is of a later time.
        let detail = if detail.starts_with(&known.detail) { detail } else { known.detail.clone() };
        Ok(DeadLetter { body, original, attributes, detail, origin, ..known })
    }

    async fn all_whole(&self, indexed: Vec<Indexed>) -> anyhow::Result<Vec<DeadLetter>> {
        let reads = stream::iter(indexed.into_iter().map(|indexed| self.whole(indexed)));
        reads.buffered(s3::CONCURRENCY).try_collect().await
    }

    /// The letter, if it is parked; or else what a change of it comes to.
    async fn parked(&self, id: &str) -> anyhow::Result<Result<Box<Indexed>, Change>> {
        Ok(match self.table.known_letter(id).await? {
            Known::Letter(indexed) if indexed.letter.state == LetterState::Parked => Ok(indexed),
            Known::Letter(indexed) => Err(Change::NotParked(indexed.letter.state)),
            Known::Nothing | Known::Released => Err(Change::Missing),
        })
    }

    /// Takes a letter up to be replayed, and sends it. A crash in between leaves it replaying, and it can be sent again.
    async fn replay_one(&self, id: &str) -> Result<(), ReplayError> {
        let unavailable = ReplayError::Unavailable;
        let indexed = loop {
            let Known::Letter(mut indexed) = self.table.known_letter(id).await.map_err(unavailable)? else {
                return Err(ReplayError::Gone);
            };
            match indexed.letter.state {
                LetterState::Discarded => return Err(ReplayError::Gone),
                LetterState::Replaying => break indexed,
                LetterState::Parked => {
                    indexed.letter.state = LetterState::Replaying;
                    (indexed.letter.replays, indexed.sends) = (indexed.letter.replays + 1, indexed.sends + 1);
                }
            }
            if self.table.write_letter(&indexed, Deltas::parked(-1)).await.map_err(unavailable)? {
                break indexed;
            }
        };
        let sends = indexed.sends;
        let letter = self.whole(*indexed).await.map_err(unavailable)?;
        self.queue.send_back(&letter, sends).await.map_err(unavailable)
    }
}

#[async_trait]
impl DeadLetterStore for LetterStore {
    async fn letters(
        &self,
        filter: &LetterFilter,
        after: Option<&LetterPosition>,
        limit: usize,
    ) -> anyhow::Result<LetterList> {
        let listed = self.table.list_letters(filter, after, limit).await?;
        Ok(LetterList { letters: self.all_whole(listed.letters).await?, next: listed.next })
    }

    async fn letter(&self, id: &str) -> anyhow::Result<Option<DeadLetter>> {
        match self.table.known_letter(id).await? {
            Known::Letter(indexed) => self.whole(*indexed).await.map(Some),
            Known::Nothing | Known::Released => Ok(None),
        }
    }

    async fn line(&self, order_id: &OrderId, limit: usize) -> anyhow::Result<Line> {
        let ids = self.table.line(order_id).await?;
        let first = &ids[..ids.len().min(limit)];
        let letters = self.all_whole(self.table.known_letters(first).await?).await?;
        Ok(Line { letters, is_longer: ids.len() > limit })
    }

    async fn replay(&self, letters: &[DeadLetter]) -> Vec<Result<(), ReplayError>> {
        let mut stopped: HashSet<&OrderId> = HashSet::new();
        let mut results = Vec::with_capacity(letters.len());
        for letter in letters {
            let order_id = letter.order_id.as_ref();
            if order_id.is_some_and(|order_id| stopped.contains(order_id)) {
                results.push(Err(ReplayError::Behind));
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

    async fn repair(&self, id: &str, body: Vec<u8>, by: Repair) -> anyhow::Result<Change> {
        loop {
            let indexed = match self.parked(id).await? {
                Ok(indexed) => indexed,
                Err(change) => return Ok(change),
            };
            let mut letter = self.whole((*indexed).clone()).await?;
            if letter.body.0 != body {
                letter.repair(body.clone(), by.clone());
                let repaired = self.bucket.keep_repaired(&letter).await?;
                let next = indexed.with(&letter, Some(repaired));
                if !self.table.write_letter(&next, Deltas::default()).await? {
                    continue;
                }
            }
            // Its order or its event may only be known since now; or since a repair that broke off here.
            if let Some(order_id) = &letter.order_id {
                self.table.hold(order_id, id).await?;
            }
            if let Ok(event) = Envelope::decode(&letter.body.0, self.default_currency) {
                let outcome = Outcome::Parked { reason: letter.reason, detail: letter.detail.clone() };
                let receipt = Receipt::of(&event, Some(outcome));
                self.settle(Receipt { message: Some(id.to_owned()), ..receipt }).await?;
            }
            return Ok(Change::Made(Box::new(letter)));
        }
    }

    async fn discard(&self, id: &str, discard: Discard) -> anyhow::Result<Change> {
        loop {
            let indexed = match self.parked(id).await? {
                Ok(indexed) => indexed,
                Err(change) => {
                    // One that broke off has left it in line.
                    self.leave_line_if_discarded(id).await?;
                    return Ok(change);
                }
            };
            let mut letter = self.whole((*indexed).clone()).await?;
            let receipt = letter.discard(discard.clone());
            let next = indexed.with(&letter, indexed.repaired.clone());
            if self.table.discard_letter(&next, receipt.as_ref()).await? {
                self.leave_line_if_discarded(id).await?;
                return Ok(Change::Made(Box::new(letter)));
            }
        }
    }
}

impl LetterStore {
    async fn leave_line_if_discarded(&self, id: &str) -> anyhow::Result<()> {
        match self.table.known_letter(id).await? {
            Known::Letter(indexed) if indexed.letter.state == LetterState::Discarded => {
                match &indexed.letter.order_id {
                    Some(order_id) => self.table.leave_line(order_id, id).await,
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
