//! An SQS queue, FIFO or standard.
//!
//! [`publisher`] puts events on it ([`attempts`] knows whether a failed call may have been carried out), [`coalesce`] lets concurrent requests share a call, [`inbox`] takes messages off it,
//! [`describe`] asks how it is made, [`bounded`] refuses events while the queue is too deep, [`dead_letters`] puts aside
//! what cannot be processed, and [`replay`] puts it back. On a FIFO queue the group is the order and the deduplication id is
//! the event's; a standard queue keeps no order, and the consumer retries what comes too early.

mod attempts;
pub mod bounded;
pub mod coalesce;
pub mod dead_letters;
mod describe;
mod inbox;
mod publisher;
mod replay;

use std::collections::HashMap;

use anyhow::Context;
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
        self.standing().await.map(|standing| standing.visible).map_err(|error| format!("{error:#}"))
    }

    /// About how many messages are on the queue, and how they stand.
    pub(crate) async fn standing(&self) -> anyhow::Result<Standing> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as InFlight,
        };
        let told = self.some_attributes(&[Visible, InFlight, Delayed]).await?;
        let count = |name: &QueueAttributeName| {
            let count = told.get(name).and_then(|count| count.parse().ok());
            count.with_context(|| format!("the queue {} does not tell its depth", self.url))
        };
        Ok(Standing { visible: count(&Visible)?, in_flight: count(&InFlight)?, delayed: count(&Delayed)? })
    }

    /// How often the queue delivers a message before it moves it to the dead letters by itself, if it does.
    pub async fn max_receives(&self) -> anyhow::Result<Option<u32>> {
        let told = self.some_attributes(&[QueueAttributeName::RedrivePolicy]).await?;
        let Some(policy) = told.get(&QueueAttributeName::RedrivePolicy) else { return Ok(None) };
        let policy: serde_json::Value = serde_json::from_str(policy)
            .with_context(|| format!("the redrive policy of the queue {} cannot be read", self.url))?;
        // SQS writes a number, and takes a text as well.
        let count = &policy["maxReceiveCount"];
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
        Ok(count.and_then(|count| u32::try_from(count).ok()))
    }

    async fn some_attributes(
        &self,
        names: &[QueueAttributeName],
    ) -> anyhow::Result<HashMap<QueueAttributeName, String>> {
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let asked = asked.set_attribute_names(Some(names.to_vec())).send();
        let told =
            asked.await.map_err(explain).with_context(|| format!("the queue {} cannot be used", self.url))?;
        Ok(told.attributes.unwrap_or_default())
    }
}

/// How many messages are on a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) visible: u64,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
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

/// The character, if SQS takes it in a body or an attribute
/// ([SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)).
fn printable(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => character,
        _ => '\u{fffd}',
    }
}
