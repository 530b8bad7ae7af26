//! The pipeline counters, for the operators' API and for metrics.

use api::operations::Pipeline;
use async_trait::async_trait;
use futures_util::future::try_join4;

use crate::dynamodb::Table;
use crate::sqs::{MessageCounts, Queue};

/// Computes the counters from the table's ledger and from the depths that SQS reports.
///
/// The ledger counts each outcome exactly once ([`crate::dynamodb`]). SQS does not count the messages that it accepts,
/// and other programs may send messages too. So the number of accepted messages is computed: messages with an outcome,
/// parked messages, and messages on the queue. The equation of the ledger therefore proves nothing on AWS, and the
/// counters state that.
///
/// The outcome of a message is counted before the message is deleted from its queue. Until the deletion, the message
/// has an outcome and is queued, so the number of accepted messages is one too high.
#[derive(Debug, Clone)]
pub struct SqsPipeline {
    /// The queue of events.
    pub queue: Queue,
    /// The dead-letter queue, if configured. Its messages are parked, but not archived yet. If `None`, the counters
    /// lack those messages until they are archived.
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
        ledger.accepted = ledger.settled() + messages.total();
        Ok(api::operations::PipelineCounters {
            ledger,
            visible: messages.visible,
            in_flight: messages.in_flight,
            delayed: messages.delayed,
            // Only CloudWatch reports the age of the oldest message, as ApproximateAgeOfOldestMessage.
            oldest: None,
            dead_letters,
            exact: !totals.has_unmarked,
            counts_accepted: false,
        })
    }
}
