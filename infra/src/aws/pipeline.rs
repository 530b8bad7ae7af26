//! The pipeline counters, for the operators' API and for metrics.

use api::operations::Pipeline;
use async_trait::async_trait;
use futures_util::future::try_join4;

use crate::dynamodb::Table;
use crate::sqs::{MessageCounts, Queue};

/// Computes the counters from the table's ledger and from the depths that SQS reports.
///
/// SQS does not count accepted messages, and not every producer is ours. So the number accepted is derived from what was
/// received and what is queued: `accepted = settled + max(received - settled, queued)`. *Received* counts first receives,
/// without redrives. *Settled* counts messages with an outcome and dead letters, archived or still on their queue. A
/// message that was received, is not settled and is not queued is missing from the ledger:
///
/// - A message that has not been received yet is queued only.
/// - One that is being handled, or retried later, was received and is queued.
/// - One that is replayed was received, is no longer parked, and is queued.
/// - One that was lost was received, and is neither settled nor queued.
///
/// The counters are approximate, and marked so. SQS reports approximate depths. Consumers count a batch after it is acked,
/// in a separate call: a consumer killed in between leaves the batch uncounted, as received and as settled alike, so that
/// the equation still holds. A function counts before the mapping deletes, so a batch that is delivered again counts twice.
/// So does an `ADD` that the SDK retries because its answer was lost.
#[derive(Debug, Clone)]
pub struct SqsPipeline {
    /// The queue of events.
    pub queue: Queue,
    /// The dead-letter queue, if configured. Its messages are parked, but not archived yet; without it, they are missing
    /// from the counters until they are archived.
    pub dead_letters: Option<Queue>,
    /// The table with the ledger.
    pub table: Table,
}

#[async_trait]
impl Pipeline for SqsPipeline {
    async fn counters(&self) -> anyhow::Result<api::operations::PipelineCounters> {
        let unarchived = async {
            let Some(queue) = &self.dead_letters else { return Ok(0) };
            queue.message_counts().await.map(MessageCounts::total)
        };
        let (totals, messages, unarchived, dead_letters) = try_join4(
            self.table.ledger_totals(),
            self.queue.message_counts(),
            unarchived,
            self.table.count_dead_letters(),
        )
        .await?;
        let mut ledger = totals.ledger;
        ledger.parked += unarchived;
        let settled = ledger.settled();
        ledger.accepted = settled + totals.received.saturating_sub(settled).max(messages.total());
        Ok(api::operations::PipelineCounters {
            ledger,
            visible: messages.visible,
            in_flight: messages.in_flight,
            delayed: messages.delayed,
            // Only CloudWatch has the age of the oldest message, as ApproximateAgeOfOldestMessage.
            oldest: None,
            dead_letters,
            exact: false,
        })
    }
}
