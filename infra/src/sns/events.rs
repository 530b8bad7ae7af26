//! Publishes recorded events to a topic: an output of the relay. On a FIFO topic, the message group id is the order id,
//! and the deduplication id is the event id.
//!
//! Subscriptions can filter by the attributes `type` and `customer_id`.

use anyhow::{Context, bail};
use async_trait::async_trait;
use aws_sdk_sns::types::{BatchResultErrorEntry, PublishBatchRequestEntry};
use consumer::relay::outputs::{EventOutput, OutgoingEvent};

use super::{Topic, attribute};
use crate::sdk::explain;
use crate::sqs::{is_fifo, printable};

/// The message attributes of an event, by which SNS subscriptions filter.
fn attributes(event: &OutgoingEvent) -> [(&'static str, String); 2] {
    let customer_id = event.customer_id.as_str().chars().map(printable).collect();
    [("type", event.cloud_type.clone()), ("customer_id", customer_id)]
}

#[async_trait]
impl EventOutput for Topic {
    fn name(&self) -> &'static str {
        "topic"
    }

    fn bytes(&self, event: &OutgoingEvent) -> usize {
        // SNS counts the name, the type and the value of an attribute.
        let attribute = |(name, value): &(&str, String)| name.len() + "String".len() + value.len();
        event.body.len() + attributes(event).iter().map(attribute).sum::<usize>()
    }

    async fn send(&self, batch: &[&OutgoingEvent]) -> anyhow::Result<Vec<anyhow::Result<()>>> {
        let refused = self.publish_batch(batch).await?;
        let refusal = |place: usize| refused.iter().find(|entry| entry.id() == place.to_string());
        Ok((0..batch.len()).map(|place| refusal(place).map_or(Ok(()), refusal_error)).collect())
    }
}

impl Topic {
    /// Publishes a batch, and returns the entries that SNS refused. The id of an entry is its index in the batch.
    async fn publish_batch(&self, batch: &[&OutgoingEvent]) -> anyhow::Result<Vec<BatchResultErrorEntry>> {
        let mut call = self.client.publish_batch().topic_arn(&self.arn);
        for (place, event) in batch.iter().enumerate() {
            let mut entry = PublishBatchRequestEntry::builder().id(place.to_string()).message(&event.body);
            for (name, value) in attributes(event) {
                entry = entry.message_attributes(name, attribute(&value)?);
            }
            if is_fifo(&self.arn) {
                entry = entry
                    .message_group_id(event.order_id.as_str())
                    .message_deduplication_id(event.event_id.to_string());
            }
            call = call.publish_batch_request_entries(entry.build()?);
        }
        let answer = Box::pin(call.send()).await.map_err(explain);
        let answer = answer.with_context(|| format!("publishing to {}", self.arn))?;
        Ok(answer.failed.unwrap_or_default())
    }
}

fn refusal_error(entry: &BatchResultErrorEntry) -> anyhow::Result<()> {
    bail!("SNS refuses the event: {}: {}", entry.code(), entry.message().unwrap_or("no message"))
}
