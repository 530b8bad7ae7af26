//! The archive behind the queue of dead letters.

use async_trait::async_trait;
use consumer::ports::{End, OrderLog, Settled, Wanted};
use domain::{Currency, DeadLetter, Envelope, LetterState, Outcome, Receipt};

use crate::dynamodb::Table;
use crate::dynamodb::ledger::Deltas;
use crate::dynamodb::letters::{Indexed, Known};
use crate::now;
use crate::s3::Bucket;

/// Keeps letters in a bucket and an index of them in the table.
///
/// One after the other: the letter in the bucket, its item in the index, its place in its order's line, its event's
/// receipt. Each step can be made again, and all of them are when the letter comes again; so a crash between two heals.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Where the letters are, whole.
    pub bucket: Bucket,
    /// Where the index, the lines, the receipts and the ledger are.
    pub table: Table,
    /// For article orders, which state none.
    pub default_currency: Currency,
}

#[async_trait]
impl consumer::ports::Archive for Archive {
    async fn keep(&self, letter: &DeadLetter) -> anyhow::Result<()> {
        let event = Envelope::decode(&letter.body.0, self.default_currency).ok();
        loop {
            let known = self.table.known_letter(&letter.id).await?;
            let next = match known {
                Known::Nothing => Indexed::new(letter, self.bucket.keep(letter).await?),
                // It came again, after all was done.
                Known::Released => return self.leave_line(letter).await,
                Known::Letter(indexed) if indexed.letter.state == LetterState::Discarded => {
                    return self.leave_line(letter).await;
                }
                Known::Letter(indexed) => *indexed,
            };
            if let Some(end) = self.end_of(event.as_ref(), letter).await? {
                if self.is_over(&next, end).await? {
                    return self.leave_line(letter).await;
                }
                continue;
            }
            let Some(standing) = self.index(next, letter).await? else { continue };
            return self.hold(&standing, event).await;
        }
    }
}

impl Archive {
    /// What the letter's event has come to, if it has: then there is nothing to hold an order for.
    async fn end_of(&self, event: Option<&Envelope>, letter: &DeadLetter) -> anyhow::Result<Option<End>> {
        let Some(event) = event else { return Ok(None) };
        let wanted = Wanted { order_id: event.order_id.clone(), event_ids: vec![event.event_id] };
        let loaded: Vec<_> = self.table.load(&[wanted]).await.into_iter().collect::<anyhow::Result<_>>()?;
        let end = |Settled { outcome, message, .. }: &Settled| {
            let end = match outcome {
                Outcome::Recorded { .. } => End::Recorded,
                Outcome::Rejected { .. } => End::Rejected,
                Outcome::Parked { .. } => return None,
            };
            let of_another = message.as_deref().is_some_and(|message| message != letter.id);
            Some(if of_another { End::Duplicate } else { end })
        };
        Ok(loaded.iter().flat_map(|loaded| &loaded.outcomes).find_map(end))
    }

    /// Releases a letter whose event has come to its end; `false` if the index is not as it was read.
    async fn is_over(&self, next: &Indexed, end: End) -> anyhow::Result<bool> {
        if next.is_new() {
            // Nobody has counted it yet.
            return self.table.release_letter(&next.letter.id, None, now(), Deltas::ended(end, false)).await;
        }
        self.table.release_as(next, end).await
    }

    /// Brings the index to where this letter leads it; `None` if the index is not as it was read.
    async fn index(&self, mut next: Indexed, letter: &DeadLetter) -> anyhow::Result<Option<Indexed>> {
        let comes_back = next.letter.state == LetterState::Replaying && letter.replays >= next.letter.replays;
        if comes_back {
            let was = &mut next.letter;
            was.state = LetterState::Parked;
            was.reason = letter.reason;
            (was.receive_count, was.parked_at) = (letter.receive_count, letter.parked_at);
            was.detail = Indexed::new(letter, String::new()).letter.detail;
        } else if !next.is_new() {
            return Ok(Some(next));
        }
        let written = self.table.write_letter(&next, Deltas::parked(1)).await?;
        Ok(written.then_some(next))
    }

    /// Holds the letter's order, and tells the event's receipt.
    async fn hold(&self, standing: &Indexed, event: Option<Envelope>) -> anyhow::Result<()> {
        let letter = &standing.letter;
        if let Some(order_id) = &letter.order_id {
            self.table.hold(order_id, &letter.id).await?;
        }
        if let Some(event) = event {
            let outcome = Outcome::Parked { reason: letter.reason, detail: letter.detail.clone() };
            let receipt = Receipt::of(&event, Some(outcome));
            let receipt = Receipt { message: Some(letter.id.clone()), ..receipt };
            self.table.settle(&[receipt]).await.into_iter().collect::<anyhow::Result<()>>()?;
        }
        Ok(())
    }

    async fn leave_line(&self, letter: &DeadLetter) -> anyhow::Result<()> {
        match &letter.order_id {
            Some(order_id) => self.table.leave_line(order_id, &letter.id).await,
            None => Ok(()),
        }
    }
}
