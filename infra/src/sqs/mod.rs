//! An SQS queue, FIFO or standard.
//!
//! [`publisher`] puts events on it, [`coalesce`] lets concurrent requests share a call, [`inbox`] takes messages off it,
//! [`describe`] asks how it is made, [`bounded`] refuses events while the queue is too deep, and [`dead_letters`] puts aside what cannot be processed. On a FIFO queue the group is the order and the
//! deduplication id is the event's; a standard queue keeps no order, and the consumer retries what comes too early.

pub mod bounded;
pub mod coalesce;
pub mod dead_letters;
mod describe;
mod inbox;
mod publisher;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{BatchResultErrorEntry, QueueAttributeName};

use crate::aws::explain;

/// The most messages of a batch call
/// ([SQS quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)).
const MAX_BATCH: usize = 10;
/// The most bytes of a message with its attributes, and of a batch (same page).
const MAX_BYTES: usize = 1 << 20;

/// A queue, by its URL. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
    fifo: bool,
}

impl Queue {
    /// The queue at `url`; it is a FIFO queue if its name says so, as SQS requires.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let url = url.into();
        let fifo = is_fifo(&url);
        Self { client, url, fifo }
    }

    /// Asks the queue how many messages it holds; an error says, in a sentence, why it cannot be used.
    pub async fn depth(&self) -> Result<u64, String> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let asked = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        let answer = asked
            .send()
            .await
            .map_err(|error| format!("the queue {} cannot be used: {:#}", self.url, explain(error)))?;
        let depth = answer.attributes().and_then(|all| all.get(&name)).and_then(|count| count.parse().ok());
        depth.ok_or_else(|| format!("the queue {} does not tell its depth", self.url))
    }
}

/// Whether a queue URL or ARN is that of a FIFO queue.
pub fn is_fifo(url: &str) -> bool {
    url.ends_with(".fifo")
}

/// What a batch call says of each of `count` entries, whose ids are their places in it.
fn each(count: usize, failed: &[BatchResultErrorEntry]) -> Vec<anyhow::Result<()>> {
    let mut results: Vec<_> = (0..count).map(|_| Ok(())).collect();
    for entry in failed {
        if let Some(result) = entry.id().parse().ok().and_then(|place: usize| results.get_mut(place)) {
            *result = Err(refused(entry));
        }
    }
    results
}

fn refused(entry: &BatchResultErrorEntry) -> anyhow::Error {
    anyhow::anyhow!("SQS refuses it: {}: {}", entry.code(), entry.message().unwrap_or("no message"))
}

/// The same error for each of `count` entries.
fn all_failed(count: usize, error: &anyhow::Error) -> Vec<anyhow::Result<()>> {
    (0..count).map(|_| Err(anyhow::anyhow!("{error:#}"))).collect()
}
