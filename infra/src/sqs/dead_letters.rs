//! Sends messages to the dead-letter queue, with the reason as attributes.

use anyhow::Context;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use consumer::ports::Parking;
use futures_util::future::join_all;

use crate::aws::explain;

use super::publisher::{attribute_bytes, text_attribute};
use super::{MAX_BYTES, Queue, all_failed, each};

/// The longest error text that goes along, in characters: a dead letter is for the message.
const MAX_DETAIL: usize = 1000;

impl Queue {
    /// Sends copies of messages of the queue at `origin` to this dead-letter queue. The originals stay where they are.
    ///
    /// The attributes are `reason`, `detail`, `origin_queue`, `message_id` and `receive_count`. A message so large
    /// that they do not fit goes without the last of them that do not: the message counts, and it is never cut.
    pub async fn bury(&self, origin: &str, messages: &[Parking<'_>]) -> Vec<anyhow::Result<()>> {
        // One by one, for each may be as large as a whole batch; dead letters are rare.
        let calls = messages.iter().map(|parking| async move {
            let sent = async {
                let entry = self.letter(origin, parking)?;
                let call = self.client.send_message_batch().queue_url(&self.url).entries(entry);
                let answer =
                    call.send().await.map_err(explain).with_context(|| format!("sending to {}", self.url))?;
                anyhow::Ok(each(1, answer.failed()))
            };
            sent.await.unwrap_or_else(|error| all_failed(1, &error))
        });
        join_all(calls).await.into_iter().flatten().collect()
    }

    fn letter(&self, origin: &str, parking: &Parking<'_>) -> anyhow::Result<SendMessageBatchRequestEntry> {
        let message = parking.message;
        let body = String::from_utf8_lossy(&message.body);
        let mut room = MAX_BYTES.saturating_sub(body.len());
        let detail: String = parking.detail.chars().take(MAX_DETAIL).map(printable).collect();
        let (receives, body) = (message.receive_count.to_string(), body.into_owned());
        let attributes = [
            ("reason", parking.reason.as_str()),
            ("message_id", &message.id),
            ("origin_queue", origin),
            ("receive_count", &receives),
            ("detail", &detail),
        ];
        let mut entry = SendMessageBatchRequestEntry::builder().id("0").message_body(body);
        for (name, value) in attributes {
            let bytes = attribute_bytes(name, value);
            if bytes <= room && !value.is_empty() {
                room -= bytes;
                entry = entry.message_attributes(name, text_attribute(value));
            }
        }
        if self.fifo {
            // Its own id: a message that is parked twice, for an ack was lost, is one dead letter.
            let group = message.group.as_deref().unwrap_or(&message.id);
            entry = entry.message_group_id(group).message_deduplication_id(&message.id);
        }
        Ok(entry.build()?)
    }
}

/// The character, if SQS takes it in an attribute.
fn printable(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => character,
        _ => '\u{fffd}',
    }
}
