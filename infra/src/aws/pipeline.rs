//! The numbers of the pipeline.

use api::operations::Pipeline;
use async_trait::async_trait;
use futures_util::future::try_join4;

use crate::dynamodb::Table;
use crate::sqs::Queue;

/// Tells the numbers, from the counters in the table and from what SQS says of its queues.
///
/// SQS counts no messages for us, and not every producer is ours; so what was accepted is made of what came off the queue
/// and what is on it: `accepted = settled + max(received - settled, queued)`. *Received* is what consumers have received
/// for the first time, without replays, and *settled* is what came to an end or is in the dead letters, archived or still
/// on their queue. What was received, is not settled and is not on the queue either, is what the ledger then lacks:
///
/// - A message that has not been received yet is on the queue, and nowhere else.
/// - One that is handled, or put off, was received and is on the queue.
/// - One that is replayed was received, and is not parked any more; it is on the queue.
/// - One that got lost was received, and is nowhere.
///
/// These numbers are approximate, and say so. SQS reports approximate depths. Consumers count a batch after it is acked, in a
/// call of its own: one that is killed in between leaves the batch uncounted, received and settled alike, so that the rest
/// still adds up. A function counts before the mapping deletes, so a batch that is delivered again counts again. And an
/// `ADD` whose answer is lost is tried again by the SDK, and then counts twice.
#[derive(Debug, Clone)]
pub struct Numbers {
    /// The queue of events.
    pub queue: Queue,
    /// The queue of dead letters, if this role knows it. What is on it is parked already, and not archived yet; without
    /// it, such letters are missing until they are archived.
    pub dead_letters: Option<Queue>,
    /// Where the counters are.
    pub table: Table,
}

#[async_trait]
impl Pipeline for Numbers {
    async fn numbers(&self) -> anyhow::Result<api::operations::Numbers> {
        let unarchived = async {
            let Some(queue) = &self.dead_letters else { return Ok(0) };
            let standing = queue.standing().await?;
            Ok(standing.visible + standing.in_flight + standing.delayed)
        };
        let (tallied, standing, unarchived, dead_letters) =
            try_join4(self.table.tallied(), self.queue.standing(), unarchived, self.table.count_letters())
                .await?;
        let mut ledger = tallied.ledger;
        ledger.parked += unarchived;
        let settled = ledger.settled();
        let queued = standing.visible + standing.in_flight + standing.delayed;
        ledger.accepted = settled + tallied.received.saturating_sub(settled).max(queued);
        Ok(api::operations::Numbers {
            ledger,
            visible: standing.visible,
            in_flight: standing.in_flight,
            delayed: standing.delayed,
            // CloudWatch knows (ApproximateAgeOfOldestMessage); SQS itself does not tell.
            oldest: None,
            dead_letters,
            exact: false,
        })
    }
}
