//! The pipeline counters, for the operators' API and for metrics.

use api::operations::Pipeline;
use async_trait::async_trait;
use futures_util::future::try_join4;

use crate::dynamodb::Table;
use crate::sqs::{MessageCounts, Queue};

/// Computes the counters from the table's ledger and from the depths that SQS reports.
///
/// SQS does not count accepted messages, and other programs may send messages too. So the number of accepted messages
/// is derived: `accepted = settled + max(received - settled, queued)`. *Received* counts first receives, without
/// redrives. *Settled* counts messages with an outcome, and dead letters that are archived or still on their queue. If
/// a message was received but is neither settled nor queued, the ledger reports the message as missing. The counts
/// include messages as follows:
///
/// - A message that has not been received yet is only queued.
/// - A message that is being handled, or will be retried, is received and queued.
/// - A message that is being replayed is received and queued, and no longer parked.
/// - A lost message is received, and neither settled nor queued. The ledger reports it as missing.
///
/// The counters are marked as approximate, for these reasons. SQS reports approximate depths. Consumers count a batch
/// in a separate call after its ack. If a consumer is killed between the ack and that call, the batch is counted
/// neither as received nor as settled, so the equation still holds. A function counts a batch before the event source
/// mapping deletes the batch, so a batch that is delivered again is counted twice. An `ADD` is also counted twice if
/// the SDK retries it after a lost answer.
#[derive(Debug, Clone)]
pub struct SqsPipeline {
    /// The queue of events.
    pub queue: Queue,
    /// The dead-letter queue, if configured. Its messages are parked, but not archived yet. If this is `None`, the
    /// counters lack those messages until they are archived.
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
            // Only CloudWatch reports the age of the oldest message, as ApproximateAgeOfOldestMessage.
            oldest: None,
            dead_letters,
            exact: false,
        })
    }
}
