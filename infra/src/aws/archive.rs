//! Archives dead letters. The consumer of the dead-letter queue calls this module.

use async_trait::async_trait;
use consumer::Disposition;
use consumer::ports::{EventOutcome, LoadRequest, OrderLog};
use domain::{Currency, DeadLetter, DeadLetterState, Envelope, Outcome, Receipt};

use crate::dynamodb::Table;
use crate::dynamodb::dead_letter_index::{IndexLookup, IndexedDeadLetter};
use crate::dynamodb::ledger::LedgerDeltas;
use crate::now;
use crate::s3::Bucket;

/// Keeps dead letters in a bucket, with an index in the table.
///
/// `keep` makes four writes, in this order: the dead letter to the bucket, an item to the index, the id to the parked
/// sequence of the order, and the receipt of the event. Every step is idempotent. If the archiver crashes, the message
/// is delivered again and the steps are repeated.
#[derive(Debug, Clone)]
pub struct S3Archive {
    /// The bucket of the dead letters.
    pub bucket: Bucket,
    /// The table with the index, the parked sequences, the receipts and the ledger.
    pub table: Table,
    /// The currency of orders whose events contain no currency (schema version 0).
    pub default_currency: Currency,
}

#[async_trait]
impl consumer::ports::Archive for S3Archive {
    async fn keep(&self, letter: &DeadLetter) -> anyhow::Result<()> {
        let event = Envelope::decode(&letter.body.0, self.default_currency).ok();
        loop {
            let next = match self.table.look_up_dead_letter(&letter.id).await? {
                IndexLookup::Absent => IndexedDeadLetter::new(letter, self.bucket.keep(letter).await?),
                // The dead letter was already released, and the message was delivered a second time.
                IndexLookup::Released => return self.unblock_order(letter).await,
                IndexLookup::Found(indexed) if indexed.letter.state == DeadLetterState::Discarded => {
                    return self.unblock_order(letter).await;
                }
                IndexLookup::Found(indexed) => *indexed,
            };
            if let Some((event, disposition)) = self.disposition_of(event.as_ref(), letter).await? {
                self.table.count_outcome(&letter.id, event, &disposition).await?;
                if self.release(&next).await? {
                    return self.unblock_order(letter).await;
                }
                continue;
            }
            let Some(indexed) = self.index(next, letter).await? else { continue };
            return self.block_order(&indexed, event).await;
        }
    }
}

impl S3Archive {
    /// The disposition of a dead letter whose event was already recorded or rejected. Such a dead letter does not block
    /// its order.
    async fn disposition_of<'a>(
        &self,
        event: Option<&'a Envelope>,
        letter: &DeadLetter,
    ) -> anyhow::Result<Option<(&'a Envelope, Disposition)>> {
        let Some(event) = event else { return Ok(None) };
        let wanted = LoadRequest {
            order_id: event.order_id.clone(),
            event_ids: vec![event.event_id],
            references: Vec::new(),
        };
        let loaded: Vec<_> = self.table.load(&[wanted]).await.into_iter().collect::<anyhow::Result<_>>()?;
        let disposition = |EventOutcome { outcome, message, .. }: &EventOutcome| {
            let by_another_message = message.as_deref().is_some_and(|message| message != letter.id);
            match outcome {
                Outcome::Parked { .. } => None,
                _ if by_another_message => Some(Disposition::Duplicate),
                Outcome::Recorded { .. } | Outcome::Rejected { .. } => Some(outcome.clone().into()),
            }
        };
        let disposition = loaded.iter().flat_map(|loaded| &loaded.outcomes).find_map(disposition);
        Ok(disposition.map(|disposition| (event, disposition)))
    }

    /// Releases a dead letter whose event has an outcome. Returns `false` if another process has changed the index
    /// entry of the dead letter since it was read.
    async fn release(&self, next: &IndexedDeadLetter) -> anyhow::Result<bool> {
        if next.is_new() {
            let nothing = LedgerDeltas::default();
            return self.table.release_dead_letter(&next.letter.id, None, now(), nothing).await;
        }
        self.table.release_if_unchanged(next).await
    }

    /// Writes the dead letter to the index if it is new or returns from a redrive. Returns `None` if another process
    /// has changed the index entry of the dead letter since it was read.
    async fn index(
        &self,
        mut next: IndexedDeadLetter,
        letter: &DeadLetter,
    ) -> anyhow::Result<Option<IndexedDeadLetter>> {
        let returned_from_redrive =
            next.letter.state == DeadLetterState::Replaying && letter.replays >= next.letter.replays;
        if returned_from_redrive {
            let indexed = &mut next.letter;
            indexed.state = DeadLetterState::Parked;
            indexed.reason = letter.reason;
            (indexed.receive_count, indexed.parked_at) = (letter.receive_count, letter.parked_at);
            indexed.detail = IndexedDeadLetter::new(letter, String::new()).letter.detail;
        } else if !next.is_new() {
            return Ok(Some(next));
        }
        let written = self.table.write_dead_letter(&next, LedgerDeltas::parked(1)).await?;
        Ok(written.then_some(next))
    }

    /// Adds the dead letter to its order's parked sequence and stores the receipt of its event.
    async fn block_order(&self, indexed: &IndexedDeadLetter, event: Option<Envelope>) -> anyhow::Result<()> {
        let letter = &indexed.letter;
        if let Some(order_id) = &letter.order_id {
            self.table.add_to_sequence(order_id, &letter.id).await?;
        }
        if let Some(event) = event {
            let outcome = Outcome::Parked { reason: letter.reason, detail: letter.detail.clone() };
            let receipt = Receipt::of(&event, Some(outcome));
            let receipt = Receipt { message: Some(letter.id.clone()), ..receipt };
            self.table.settle(&[receipt]).await.into_iter().collect::<anyhow::Result<()>>()?;
        }
        Ok(())
    }

    async fn unblock_order(&self, letter: &DeadLetter) -> anyhow::Result<()> {
        match &letter.order_id {
            Some(order_id) => self.table.remove_from_sequence(order_id, &letter.id).await,
            None => Ok(()),
        }
    }
}
