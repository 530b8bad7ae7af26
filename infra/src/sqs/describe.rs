//! How a queue is made.

use std::collections::BTreeMap;

use anyhow::Context;
use aws_sdk_sqs::types::QueueAttributeName;

use super::Queue;
use crate::aws::explain;

impl Queue {
    /// All attributes of the queue, by the names that SQS gives them.
    pub async fn attributes(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let all =
            self.client.get_queue_attributes().queue_url(&self.url).attribute_names(QueueAttributeName::All);
        let answer = all.send().await.map_err(explain).context("reading its attributes")?;
        let attributes = answer.attributes.unwrap_or_default();
        Ok(attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect())
    }
}
