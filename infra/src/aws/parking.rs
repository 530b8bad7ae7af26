//! The dead letters, as the consumer sees them.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use consumer::ports::{DeadLetters, End, Inbox, OrderLog, Parking};

use crate::dynamodb::Table;
use crate::dynamodb::ledger::Deltas;
use crate::dynamodb::letters::{Indexed, Known};
use crate::now;
use crate::sqs::Queue;
use domain::LetterState;

/// Dead letters on a queue of their own, marked in the table.
#[derive(Debug, Clone)]
pub struct QueuedDeadLetters {
    /// The dead-letter queue.
    pub queue: Queue,
    /// Where orders have their lines of dead letters, and where receipts tell.
    pub table: Table,
    /// The URL of the queue that the messages come from.
    pub origin: String,
    /// That queue, if parked messages are to be deleted from it: an event source mapping does that by itself.
    pub inbox: Option<Arc<Queue>>,
}

#[async_trait]
impl DeadLetters for QueuedDeadLetters {
    async fn park(&self, messages: &[Parking<'_>]) -> Vec<anyhow::Result<()>> {
        let mut results = self.queue.bury(&self.origin, messages).await;
        for (result, parking) in results.iter_mut().zip(messages) {
            if result.is_ok() {
                *result = self.mark(parking).await;
            }
        }
        let Some(inbox) = &self.inbox else { return results };
        let safe: Vec<usize> = (0..results.len()).filter(|place| results[*place].is_ok()).collect();
        let acks: Vec<_> = safe.iter().map(|place| (messages[*place].message, End::Archived)).collect();
        for (place, acked) in safe.iter().zip(inbox.ack(&acks).await) {
            // If it fails, the message comes back and is parked once more, in the same place.
            results[*place] = acked.context("it is in the dead letters, but still on its queue as well");
        }
        results
    }

    async fn release(&self, letters: &[(&str, End)]) -> Vec<anyhow::Result<()>> {
        let releases = letters.iter().map(|(id, end)| self.table.release(id, *end));
        futures_util::future::join_all(releases).await
    }
}

impl QueuedDeadLetters {
    /// Lines the message up with its order, if that can be told, and stores what the event's receipt tells from now on.
    async fn mark(&self, parking: &Parking<'_>) -> anyhow::Result<()> {
        if let Some(order_id) = &parking.order_id {
            self.table.hold(order_id, parking.message.letter_id()).await?;
        }
        let Some(receipt) = parking.receipt() else { return Ok(()) };
        self.table.settle(&[receipt]).await.into_iter().collect()
    }
}

impl Table {
    /// Takes a letter out of its order's line, and out of the dead letters: it has come to this end. One that is not in
    /// the index, or was discarded, stays as it is.
    pub(super) async fn release(&self, id: &str, end: End) -> anyhow::Result<()> {
        loop {
            let Known::Letter(read) = self.known_letter(id).await? else { return Ok(()) };
            if read.letter.state == LetterState::Discarded || self.release_as(&read, end).await? {
                return Ok(());
            }
        }
    }

    /// The same of a letter as it was read; `false` if it is another one by now.
    pub(super) async fn release_as(&self, read: &Indexed, end: End) -> anyhow::Result<bool> {
        // The line first: after a crash in between, the letter is still there to be released.
        if let Some(order_id) = &read.letter.order_id {
            self.leave_line(order_id, &read.letter.id).await?;
        }
        let deltas = Deltas::ended(end, read.letter.state == LetterState::Parked);
        self.release_letter(&read.letter.id, Some(read), now(), deltas).await
    }
}
