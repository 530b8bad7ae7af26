//! Sends the messages of the source's queue to SQS, in order. The parent module calls these functions.
//!
//! The marker contains the number of the last message that was sent, so a killed fill repeats at most one batch. A FIFO
//! queue drops repeated messages for five minutes. The consumer detects later repetitions as duplicates.

use domain::{DeadLetter, DeadLetterState, ParkReason};

use consumer::ports::DEAD_LETTER;

use crate::backup::row::StateRow;
use crate::dynamodb::dead_letter_index::IndexLookup;
use crate::dynamodb::ledger::LedgerDeltas;
use crate::embedded::backup::decode::{self, QueuedMessage};
use crate::now;
use crate::sqs::Queue;
use crate::sqs::refill::RefilledMessage;

use super::{Fill, FillReport, FillStep};

/// The messages that wait to be sent, and the number of messages that were sent.
#[derive(Default)]
pub(super) struct QueueFill {
    waiting: Vec<RefilledMessage>,
    /// The sequence numbers of the messages in `waiting`.
    seqs: Vec<u64>,
}

/// The number of messages that are collected before batches are sent. Batches are full only if enough messages are
/// collected.
const MAX_WAITING: usize = 100;

impl Fill<'_> {
    /// Sends the messages in the given rows, except those that were sent already.
    pub(super) async fn send(
        &mut self,
        rows: &[StateRow],
        queue: &mut QueueFill,
        report: &mut FillReport,
    ) -> anyhow::Result<()> {
        for row in rows {
            let message = decode::message(row)?;
            let seq = message.seq;
            let is_sent = self.marker.sent.is_some_and(|sent| seq <= sent);
            let QueuedMessage { group, deduplication_id, attributes, body, .. } = &message;
            match RefilledMessage::new(group, deduplication_id.to_string(), body.clone(), attributes) {
                Ok(sendable) => {
                    report.queued += 1;
                    if !is_sent {
                        queue.waiting.push(sendable);
                        queue.seqs.push(seq);
                    }
                }
                Err(reason) => {
                    report.parked_messages += 1;
                    self.park(message, &reason).await?;
                }
            }
            while queue.waiting.len() >= MAX_WAITING {
                self.send_batch(queue).await?;
            }
        }
        self.show(FillStep::Queue, report.queued, report.queued);
        Ok(())
    }

    pub(super) async fn flush(&mut self, queue: &mut QueueFill) -> anyhow::Result<()> {
        while !queue.waiting.is_empty() {
            self.send_batch(queue).await?;
        }
        Ok(())
    }

    async fn send_batch(&mut self, queue: &mut QueueFill) -> anyhow::Result<()> {
        let count = Queue::batch_length(&queue.waiting);
        self.target.queue.refill(&queue.waiting[..count]).await?;
        self.marker.sent = Some(queue.seqs[count - 1]);
        self.target.table.put_fill_marker(&self.marker).await?;
        queue.waiting.drain(..count);
        queue.seqs.drain(..count);
        Ok(())
    }

    /// Makes a dead letter of a message that SQS does not accept. If the message redrives a dead letter, parks that
    /// dead letter again.
    async fn park(&self, message: QueuedMessage, reason: &str) -> anyhow::Result<()> {
        let detail = format!("SQS does not accept the message: {reason}");
        let Some(letter) = message.attributes.get(DEAD_LETTER) else {
            let id = format!("{}-{}", message.seq, self.marker.folder);
            let QueuedMessage { group, enqueued_at, attributes, body, .. } = message;
            let at = enqueued_at.unwrap_or_else(now);
            let letter = DeadLetter::new(id, body, ParkReason::Malformed, detail, at);
            let letter = DeadLetter { group: Some(group), sent_at: enqueued_at, attributes, ..letter };
            return self.target.keep(&letter).await;
        };
        let table = &self.target.table;
        if let IndexLookup::Found(mut indexed) = table.look_up_dead_letter(letter).await?
            && indexed.letter.state == DeadLetterState::Replaying
        {
            (indexed.letter.state, indexed.letter.detail) = (DeadLetterState::Parked, detail);
            table.write_dead_letter(&indexed, LedgerDeltas::parked(1)).await?;
        }
        Ok(())
    }
}
