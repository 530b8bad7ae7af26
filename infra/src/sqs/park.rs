//! Sends messages to the dead-letter queue, with the reason and the origin of each message as attributes.

use anyhow::Context;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use consumer::dead_letters::attributes as names;
use consumer::ports::{DEAD_LETTER, ParkRequest, REPAIRED, REPLAYS, TRACE_HEADER};
use domain::Timestamp;
use futures_util::future::join_all;

use crate::now;
use crate::sdk::explain;

use super::publisher::{attribute_bytes, text_attribute};
use super::{MAX_BYTES, Queue, all_failed, each, printable};

/// The maximum length of the error text in the attributes, in characters. Attributes and body share the maximum message
/// size. The limit leaves most of that size for the body.
const MAX_DETAIL: usize = 1000;
/// The maximum number of attributes of a message
/// ([Message metadata](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html)).
const MAX_ATTRIBUTES: usize = 10;

impl Queue {
    /// Sends copies of messages from the queue at `origin` to this dead-letter queue. The original messages stay on
    /// their queue.
    ///
    /// Each copy has the attributes that [`names`] lists, followed by the message's own attributes. If not all
    /// attributes fit, the least important ones are left out first. The body is never cut.
    pub async fn send_dead_letters(
        &self,
        origin: &str,
        messages: &[ParkRequest<'_>],
    ) -> Vec<anyhow::Result<()>> {
        // Each message has a separate call, because one message may be as large as a whole batch, and dead letters are
        // rare.
        let calls = messages.iter().map(|parking| async move {
            let sent = async {
                let entry = self.dead_letter_entry(origin, parking)?;
                let call = self.client.send_message_batch().queue_url(&self.url).entries(entry);
                let answer =
                    call.send().await.map_err(explain).with_context(|| format!("sending to {}", self.url))?;
                anyhow::Ok(each(1, answer.failed()))
            };
            sent.await.unwrap_or_else(|error| all_failed(1, &error))
        });
        join_all(calls).await.into_iter().flatten().collect()
    }

    fn dead_letter_entry(
        &self,
        origin: &str,
        parking: &ParkRequest<'_>,
    ) -> anyhow::Result<SendMessageBatchRequestEntry> {
        let message = parking.message;
        // A body that came from SQS contains only valid characters and is not changed.
        let body: String = String::from_utf8_lossy(&message.body).chars().map(printable).collect();
        let mut room = MAX_BYTES.saturating_sub(body.len());
        let mut places = MAX_ATTRIBUTES;
        let mut entry = SendMessageBatchRequestEntry::builder().id("0").message_body(body);
        for (name, value) in attributes_of(origin, parking) {
            let bytes = attribute_bytes(&name, &value);
            if bytes <= room && places > 0 && !value.is_empty() {
                (room, places) = (room - bytes, places - 1);
                entry = entry.message_attributes(name, text_attribute(&value));
            }
        }
        if let Some(trace) = message.attributes.get(TRACE_HEADER) {
            let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace);
            let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
            entry = entry.message_system_attributes(name, value.build()?);
        }
        if self.fifo {
            // The message id is the deduplication id. So a message that is parked twice, because an acknowledgement was
            // lost, becomes one dead letter. A redriven message has a new id, so it becomes a new dead letter even
            // within the 5 minutes of deduplication.
            let group = message.group.as_deref().unwrap_or(&message.id);
            entry = entry.message_group_id(group).message_deduplication_id(&message.id);
        }
        Ok(entry.build()?)
    }
}

/// The attributes of a parked message, the most important first.
fn attributes_of(origin: &str, parking: &ParkRequest<'_>) -> Vec<(String, String)> {
    let message = parking.message;
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let detail: String = parking.detail.chars().take(MAX_DETAIL).map(printable).collect();
    let replay = [
        (DEAD_LETTER, message.replayed().unwrap_or_default().to_owned()),
        (REPLAYS, message.replayed().map(|_| message.replays().to_string()).unwrap_or_default()),
    ];
    let of_letter = [
        (names::REASON, parking.reason.as_str().to_owned()),
        (names::MESSAGE_ID, message.dead_letter_id().to_owned()),
        (names::ORIGIN, origin.to_owned()),
        (names::RECEIVE_COUNT, message.receive_count.to_string()),
        (names::SENT_AT, time(message.sent_at)),
        (names::FIRST_RECEIVED_AT, time(message.first_received_at)),
        (names::PARKED_AT, time(Some(now()))),
        (names::DETAIL, detail),
    ];
    let ours: Vec<_> =
        replay.into_iter().chain(of_letter).map(|(name, value)| (name.to_owned(), value)).collect();
    let traced = ["correlation_id", "traceparent", "tracestate"];
    let mut own: Vec<_> = message
        .attributes
        .iter()
        .filter(|(name, _)| {
            *name != TRACE_HEADER && *name != REPAIRED && ours.iter().all(|(taken, _)| taken != *name)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    own.sort_by_key(|(name, _)| traced.iter().position(|known| known == name).unwrap_or(traced.len()));
    ours.into_iter().chain(own).collect()
}
