//! Implements the API's publisher and the consumer's inbox on an SQS queue, FIFO or standard.
//!
//! - [`publisher`] sends events, and [`attempts`] detects a failed call that may have been carried out. [`coalesce`]
//!   lets concurrent requests share a call, and [`depth_limit`] refuses events while the queue is too deep.
//! - [`ordered`] sends webhook jobs, each group in order.
//! - [`inbox`] receives, acknowledges and retries messages.
//! - [`park`] sends messages to a dead-letter queue, and [`redrive`] sends dead letters back to their queue. `refill`
//!   sends the messages of a data folder.
//! - [`describe`] reads the queue's attributes.
//!
//! On a FIFO queue, the group id of an event is its order id, and the deduplication id is its event id. A standard queue does
//! not preserve order, so the consumer retries events that arrive early.

mod attempts;
pub mod coalesce;
pub mod depth_limit;
mod describe;
mod inbox;
pub(crate) mod ordered;
pub mod park;
mod publisher;
mod redrive;
#[cfg(feature = "embedded")]
pub(crate) mod refill;

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{BatchResultErrorEntry, QueueAttributeName};

use crate::sdk::explain;

/// The maximum number of messages of a batch call
/// ([SQS quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)).
const MAX_BATCH: usize = 10;
/// The maximum size of a message with its attributes, in bytes. Also the maximum size of a whole batch ([SQS
/// quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)).
const MAX_BYTES: usize = 1 << 20;

/// A client for the queue at `url`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
    fifo: bool,
    /// Whether messages of a standard queue have a group, by which SQS shares the queue fairly.
    fair: bool,
}

impl Queue {
    /// Creates a client for the queue at `url`. The queue is treated as a FIFO queue if its name ends with `.fifo`, as
    /// SQS requires for FIFO queues.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let url = url.into();
        let fifo = is_fifo(&url);
        Self { client, url, fifo, fair: false }
    }

    /// Makes a standard queue a fair queue: the backlog of one producer delays its own messages, and not those of others
    /// ([AWS](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html)). A FIFO queue
    /// is not affected, because its groups are the orders.
    #[must_use]
    pub fn with_fair_groups(self, fair: bool) -> Self {
        Self { fair, ..self }
    }

    /// The approximate number of visible messages, or a sentence that explains why the queue cannot be used.
    pub async fn depth(&self) -> Result<u64, String> {
        self.message_counts().await.map(|messages| messages.visible).map_err(|error| format!("{error:#}"))
    }

    /// The approximate numbers of messages on the queue.
    pub(crate) async fn message_counts(&self) -> anyhow::Result<MessageCounts> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as InFlight,
        };
        let attributes = self.some_attributes(&[Visible, InFlight, Delayed]).await?;
        let count = |name: &QueueAttributeName| {
            let count = attributes.get(name).and_then(|count| count.parse().ok());
            count.with_context(|| format!("SQS did not return the depth of the queue {}", self.url))
        };
        Ok(MessageCounts {
            visible: count(&Visible)?,
            in_flight: count(&InFlight)?,
            delayed: count(&Delayed)?,
        })
    }

    /// The `maxReceiveCount` of the queue's redrive policy, if the queue has such a policy.
    pub async fn max_receives(&self) -> anyhow::Result<Option<u32>> {
        let attributes = self.some_attributes(&[QueueAttributeName::RedrivePolicy]).await?;
        let Some(policy) = attributes.get(&QueueAttributeName::RedrivePolicy) else { return Ok(None) };
        let policy: serde_json::Value = serde_json::from_str(policy)
            .with_context(|| format!("the redrive policy of the queue {} cannot be read", self.url))?;
        // `maxReceiveCount` is usually a number, but SQS also accepts a string.
        let count = &policy["maxReceiveCount"];
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
        Ok(count.and_then(|count| u32::try_from(count).ok()))
    }

    async fn some_attributes(
        &self,
        names: &[QueueAttributeName],
    ) -> anyhow::Result<HashMap<QueueAttributeName, String>> {
        let call = self.client.get_queue_attributes().queue_url(&self.url);
        let call = call.set_attribute_names(Some(names.to_vec())).send();
        let answer =
            call.await.map_err(explain).with_context(|| format!("the queue {} cannot be used", self.url))?;
        Ok(answer.attributes.unwrap_or_default())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageCounts {
    pub(crate) visible: u64,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
}

impl MessageCounts {
    pub(crate) fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// Whether a queue URL or ARN names a FIFO queue.
pub fn is_fifo(url: &str) -> bool {
    url.ends_with(".fifo")
}

/// The results of a batch call with `count` entries. The id of an entry is its index.
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
    anyhow::anyhow!("SQS refuses the message: {}: {}", entry.code(), entry.message().unwrap_or("no message"))
}

/// The results of a batch call that failed as a whole: the same error for each of `count` entries.
fn all_failed(count: usize, error: &anyhow::Error) -> Vec<anyhow::Result<()>> {
    (0..count).map(|_| Err(anyhow::anyhow!("{error:#}"))).collect()
}

/// Returns the character if SQS accepts it in a body or an attribute, and otherwise U+FFFD
/// ([SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)).
pub(crate) fn printable(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => character,
        _ => '\u{fffd}',
    }
}
