//! Publishes alerts to an SNS topic, for the archiver of dead letters and the webhook sender. [`events`] publishes recorded
//! events, for the relay.
//!
//! One message reports a batch of dead letters. Its text is for people, who get it by e-mail. Programs find the alert
//! as JSON in the attribute `alert`. They can filter by the attributes `type` (`dead_letters` or `webhook`) and
//! `deployment`.

mod events;

use anyhow::Context;
use async_trait::async_trait;
use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use consumer::alert::{Alert, Deployment};
use consumer::ports::Alerts;

use crate::sdk::{check_reachable, explain};

/// The maximum length of a subject, which must have less than 100 characters
/// ([Publish](https://docs.aws.amazon.com/sns/latest/api/API_Publish.html)).
const MAX_SUBJECT: usize = 99;
/// The maximum size of an alert's text, and of its JSON, in bytes. Both together fit into the 256 KiB of a message.
const MAX_TEXT: usize = 100_000;

/// A client for the topic `arn`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// Creates a client for the topic with the given ARN.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    /// Returns an error if the topic does not exist or SNS does not answer.
    pub async fn exists(&self) -> anyhow::Result<()> {
        self.check_reachable().await.map_err(anyhow::Error::msg)
    }

    /// Returns an error sentence if the topic does not exist or SNS does not answer.
    pub(crate) async fn check_reachable(&self) -> Result<(), String> {
        let answer = self.client.get_topic_attributes().topic_arn(&self.arn).send().await;
        check_reachable(&format!("the topic {}", self.arn), answer)
    }
}

/// A topic that receives the alerts of a deployment.
#[derive(Debug, Clone)]
pub struct AlertTopic {
    /// The topic.
    pub topic: Topic,
    /// The name of the deployment.
    pub deployment: Deployment,
}

#[async_trait]
impl Alerts for AlertTopic {
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()> {
        let Self { topic, deployment } = self;
        let mut publish = topic
            .client
            .publish()
            .topic_arn(&topic.arn)
            .subject(truncated(alert.subject(deployment), MAX_SUBJECT))
            .message(truncated(alert.text(deployment), MAX_TEXT))
            .message_attributes("type", attribute(alert.kind())?)
            .message_attributes("deployment", attribute(deployment.as_str())?);
        let json = alert.to_json(deployment)?.to_string();
        if json.len() <= MAX_TEXT {
            publish = publish.message_attributes("alert", attribute(&json)?);
        }
        publish.send().await.map_err(explain).with_context(|| format!("publishing to {}", topic.arn))?;
        Ok(())
    }
}

fn attribute(value: &str) -> anyhow::Result<MessageAttributeValue> {
    Ok(MessageAttributeValue::builder().data_type("String").string_value(value).build()?)
}

fn truncated(mut text: String, max_bytes: usize) -> String {
    let end = (0..=max_bytes.min(text.len())).rfind(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}
