//! Implements the consumer's [`Inbox`] on an SQS queue: receives, acknowledges and retries messages.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
};
use consumer::Disposition;
use consumer::ports::{Inbox, Message, TRACE_HEADER};
use domain::Timestamp;
use futures_util::future::join_all;

use crate::sdk::explain;

use super::{MAX_BATCH, Queue, all_failed, each};

/// The maximum wait time that SQS allows for a receive.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// The additional time that a receive call may take after its wait time.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The maximum visibility timeout, 12 hours.
const MAX_VISIBILITY: u64 = 12 * 60 * 60;

#[async_trait]
impl Inbox for Queue {
    async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>> {
        let wait = wait.min(MAX_WAIT);
        let limit = wait + ANSWER_TIME;
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(limit).operation_timeout(2 * limit).build();
        let call = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(max.clamp(1, MAX_BATCH) as i32)
            .wait_time_seconds(wait.as_secs() as i32)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::AwsTraceHeader)
            .message_attribute_names("All")
            .customize()
            .config_override(aws_sdk_sqs::config::Builder::new().timeout_config(timeouts));
        let answer =
            call.send().await.map_err(explain).with_context(|| format!("receiving from {}", self.url))?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(|message| self.message(message)).collect())
    }

    async fn ack(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>> {
        let calls = messages.chunks(MAX_BATCH).map(|chunk| async move {
            let mut call = self.client.delete_message_batch().queue_url(&self.url);
            for (place, (message, _)) in chunk.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string());
                let entry = entry.receipt_handle(&message.handle).build();
                call = call.entries(entry.expect("id and handle are given, and nothing else is required"));
            }
            match call.send().await {
                Ok(answer) => each(chunk.len(), answer.failed()),
                Err(error) => all_failed(chunk.len(), &explain(error).context("deleting messages")),
            }
        });
        join_all(calls).await.into_iter().flatten().collect()
    }

    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>> {
        let calls = messages.chunks(MAX_BATCH).map(|chunk| async move {
            let mut call = self.client.change_message_visibility_batch().queue_url(&self.url);
            for (place, (message, delay)) in chunk.iter().enumerate() {
                let seconds = delay.as_secs_f64().ceil() as u64;
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(place.to_string());
                let entry = entry.receipt_handle(&message.handle);
                let entry = entry.visibility_timeout(seconds.min(MAX_VISIBILITY) as i32).build();
                call = call.entries(entry.expect("id and handle are given, and nothing else is required"));
            }
            match call.send().await {
                Ok(answer) => each(chunk.len(), answer.failed()),
                Err(error) => all_failed(chunk.len(), &explain(error).context("changing visibility")),
            }
        });
        join_all(calls).await.into_iter().flatten().collect()
    }
}

impl Queue {
    fn message(&self, message: aws_sdk_sqs::types::Message) -> Message {
        let attributes = message.attributes.unwrap_or_default();
        let time = |name| Timestamp::from_millis(attributes.get(name)?.parse().ok()?);
        let texts = message.message_attributes.unwrap_or_default().into_iter();
        let texts = texts.filter_map(|(name, attribute)| Some((name, attribute.string_value?)));
        let trace = attributes.get(&MessageSystemAttributeName::AwsTraceHeader);
        let trace = trace.map(|header| (TRACE_HEADER.to_owned(), header.clone()));
        let receives = attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount);
        // Messages of a standard queue may also have a group id (fair queues), but their groups are not ordered.
        let group = attributes.get(&MessageSystemAttributeName::MessageGroupId).filter(|_| self.fifo);
        Message {
            id: message.message_id.unwrap_or_default(),
            handle: message.receipt_handle.unwrap_or_default(),
            group: group.cloned(),
            // A message without a readable receive count is treated as a redelivery, so that the consumer checks
            // whether the order already exists.
            receive_count: receives.and_then(|count| count.parse().ok()).unwrap_or(2),
            sent_at: time(&MessageSystemAttributeName::SentTimestamp),
            first_received_at: time(&MessageSystemAttributeName::ApproximateFirstReceiveTimestamp),
            attributes: texts.chain(trace).collect(),
            body: message.body.unwrap_or_default().into_bytes(),
            event: None,
        }
    }
}
