//! Parks messages that the consumer cannot process, and releases dead letters whose redrive has ended.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use consumer::Disposition;
use consumer::ports::{DeadLetters, Inbox, OrderLog, ParkRequest};

use crate::dynamodb::Table;
use crate::sqs::Queue;

/// Parks messages: sends them to the dead-letter queue, and marks them in the table.
#[derive(Debug, Clone)]
pub struct SqsDeadLetters {
    /// The dead-letter queue.
    pub queue: Queue,
    /// The table with the parked sequences and the receipts.
    pub table: Table,
    /// The URL of the queue that the messages were received from.
    pub origin: String,
    /// The queue from which parked messages are deleted. `None` if an event source mapping deletes parked messages.
    pub inbox: Option<Arc<Queue>>,
}

#[async_trait]
impl DeadLetters for SqsDeadLetters {
    async fn park(&self, messages: &[ParkRequest<'_>]) -> Vec<anyhow::Result<()>> {
        let mut results = self.queue.send_dead_letters(&self.origin, messages).await;
        for (result, parking) in results.iter_mut().zip(messages) {
            if result.is_ok() {
                *result = self.mark(parking).await;
            }
        }
        let Some(inbox) = &self.inbox else { return results };
        let parked: Vec<usize> = (0..results.len()).filter(|place| results[*place].is_ok()).collect();
        let acks: Vec<_> =
            parked.iter().map(|place| (messages[*place].message, &Disposition::Archived)).collect();
        for (place, acked) in parked.iter().zip(inbox.ack(&acks).await) {
            // A failed ack is only logged: the message is delivered again, and parked again with its id.
            results[*place] =
                acked.context("the message was parked, but could not be deleted from its queue");
        }
        results
    }

    async fn release(&self, letters: &[(&str, &Disposition)]) -> Vec<anyhow::Result<()>> {
        // The dispositions of redriven messages are counted before the messages are acknowledged, like the dispositions
        // of other messages.
        let releases = letters.iter().map(|(id, _)| self.table.release(id));
        futures_util::future::join_all(releases).await
    }
}

impl SqsDeadLetters {
    /// Adds the message to its order's parked sequence and stores the event's receipt. Does nothing if the message does
    /// not contain the ids of the order and the event.
    async fn mark(&self, parking: &ParkRequest<'_>) -> anyhow::Result<()> {
        if let Some(order_id) = &parking.order_id {
            self.table.add_to_sequence(order_id, parking.message.dead_letter_id()).await?;
        }
        let Some(receipt) = parking.receipt() else { return Ok(()) };
        self.table.settle(&[receipt]).await.into_iter().collect()
    }
}
