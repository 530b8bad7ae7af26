//! Sends messages that must arrive in order within their group. `outbound/jobs.rs` sends webhook jobs through this
//! module.
//!
//! SQS may accept a later message of a batch and refuse an earlier message, so the messages are sent in rounds.

use anyhow::Context;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use consumer::rounds::{Batch, send_in_rounds};

use crate::sdk::explain;

use super::{MAX_BATCH, Queue, all_failed, each};

/// A message of a FIFO queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderedMessage {
    /// The message group id. SQS delivers the messages of a group in order.
    pub(crate) group: String,
    /// The deduplication id. Within 5 minutes, SQS drops a second message with the same id.
    pub(crate) deduplication_id: String,
    pub(crate) body: String,
}

impl Queue {
    /// Sends the messages, and returns a result for each. If a message fails, later messages of its group are not sent.
    pub(crate) async fn send_in_order(&self, messages: &[OrderedMessage]) -> Vec<anyhow::Result<()>> {
        let groups: Vec<_> = messages.iter().map(|message| message.group.as_str()).collect();
        let split = |round: Batch| round.chunks(MAX_BATCH).map(<[usize]>::to_vec).collect();
        send_in_rounds(&groups, split, |batch| async move {
            let messages: Vec<_> = batch.iter().map(|place| &messages[*place]).collect();
            let results = self.send_batch_of_groups(&messages).await;
            batch.into_iter().zip(results).collect()
        })
        .await
    }

    /// Sends up to [`MAX_BATCH`] messages of different groups in one call.
    async fn send_batch_of_groups(&self, batch: &[&OrderedMessage]) -> Vec<anyhow::Result<()>> {
        let mut call = self.client.send_message_batch().queue_url(&self.url);
        for (place, message) in batch.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_group_id(&message.group)
                .message_deduplication_id(&message.deduplication_id)
                .message_body(&message.body)
                .build();
            call = call.entries(entry.expect("id and body are given, and nothing else is required"));
        }
        let answer = Box::pin(call.send()).await.map_err(explain);
        match answer.with_context(|| format!("sending to {}", self.url)) {
            Ok(answer) => each(batch.len(), answer.failed()),
            Err(error) => all_failed(batch.len(), &error),
        }
    }
}
