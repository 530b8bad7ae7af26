//! Reads the attributes of the queue, for the doctor and the tests.

use std::collections::BTreeMap;

use anyhow::Context;
use aws_sdk_sqs::types::QueueAttributeName;

use super::Queue;
use crate::sdk::explain;

impl Queue {
    /// All attributes of the queue, by the names that SQS uses.
    pub async fn attributes(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let all =
            self.client.get_queue_attributes().queue_url(&self.url).attribute_names(QueueAttributeName::All);
        let answer = all.send().await.map_err(explain).context("reading the attributes of the queue")?;
        let attributes = answer.attributes.unwrap_or_default();
        Ok(attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect())
    }
}
