//! Sends the messages of a data folder's queue, when the folder is restored or moved to AWS.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use consumer::backoff::full_jitter;
use consumer::ports::TRACE_HEADER;

use crate::sdk::explain;

use super::publisher::{attribute_bytes, text_attribute};
use super::{MAX_BATCH, MAX_BYTES, Queue, printable, refused};

/// The maximum number of attempts to send a message that SQS refuses.
const ATTEMPTS: u32 = 4;
/// The maximum pause after the first attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The maximum number of attributes of a message
/// ([Message metadata](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html)).
const MAX_ATTRIBUTES: usize = 10;

/// A message of another queue, in characters that SQS accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefilledMessage {
    group: String,
    deduplication_id: String,
    body: String,
    attributes: Vec<(String, String)>,
}

impl RefilledMessage {
    /// Creates the message, or returns the reason why SQS would not accept it.
    pub(crate) fn new(
        group: &str,
        deduplication_id: String,
        body: Vec<u8>,
        attributes: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let Ok(body) = String::from_utf8(body) else { return Err("its body is not UTF-8".to_owned()) };
        if body.is_empty() {
            return Err("its body is empty".to_owned());
        }
        // In JSON, an escape sequence has the same meaning as its character. A body that is not JSON is malformed with
        // or without the character.
        let body = body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
        let body: String = body.chars().map(printable).collect();
        let sendable = attributes.iter().filter(|(name, value)| *name != TRACE_HEADER && !value.is_empty());
        let printed = |value: &str| value.chars().map(printable).collect::<String>();
        let attributes: Vec<_> =
            sendable.take(MAX_ATTRIBUTES).map(|(name, value)| (name.clone(), printed(value))).collect();
        let message = Self { group: group.to_owned(), deduplication_id, body, attributes };
        let bytes = message.bytes();
        if bytes > MAX_BYTES {
            return Err(format!("it has {bytes} bytes, and SQS accepts {MAX_BYTES}"));
        }
        Ok(message)
    }

    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| attribute_bytes(name, value));
        self.body.len() + attributes.sum::<usize>()
    }
}

impl Queue {
    /// The number of messages at the beginning of `messages` that fit into one batch. A batch has at most one message
    /// of each group, so that a message that is sent again cannot be overtaken by a later message of its group.
    pub(crate) fn batch_length(messages: &[RefilledMessage]) -> usize {
        let (mut groups, mut bytes, mut count) = (HashSet::new(), 0, 0);
        for message in messages.iter().take(MAX_BATCH) {
            bytes += message.bytes();
            if bytes > MAX_BYTES || !groups.insert(message.group.as_str()) {
                break;
            }
            count += 1;
        }
        count
    }

    /// Sends a batch, and returns when SQS has accepted all of its messages.
    pub(crate) async fn refill(&self, batch: &[RefilledMessage]) -> anyhow::Result<()> {
        let mut left: Vec<usize> = (0..batch.len()).collect();
        for attempt in 1..=ATTEMPTS {
            let entries = left.iter().map(|place| self.refilled_entry(*place, &batch[*place]));
            let call = self.client.send_message_batch().queue_url(&self.url);
            let call = call.set_entries(Some(entries.collect::<anyhow::Result<_>>()?));
            let answer = Box::pin(call.send()).await.map_err(explain);
            let answer = answer.with_context(|| format!("sending to {}", self.url))?;
            let failed = answer.failed();
            if let Some(entry) = failed.iter().find(|entry| entry.sender_fault() || attempt == ATTEMPTS) {
                return Err(refused(entry)).with_context(|| format!("sending to {}", self.url));
            }
            left = failed.iter().map(|entry| Ok(entry.id().parse()?)).collect::<anyhow::Result<_>>()?;
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(full_jitter(attempt, FIRST_PAUSE, Duration::MAX)).await;
        }
        bail!("SQS accepts no messages")
    }

    fn refilled_entry(
        &self,
        place: usize,
        message: &RefilledMessage,
    ) -> anyhow::Result<SendMessageBatchRequestEntry> {
        let mut entry =
            SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(&message.body);
        for (name, value) in &message.attributes {
            entry = entry.message_attributes(name, text_attribute(value));
        }
        if self.fifo {
            entry =
                entry.message_group_id(&message.group).message_deduplication_id(&message.deduplication_id);
        }
        Ok(entry.build()?)
    }
}
