//! Queues for tests, with the same attributes as in the deployment.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Aws;
use crate::support::QueueOptions;

/// A queue and its dead-letter queue, both FIFO or both standard.
pub struct Queues {
    pub url: String,
    pub arn: String,
    pub dead_letters_url: String,
}

/// The numbers of messages on a queue, by state.
#[derive(Debug, PartialEq, Eq)]
pub struct Depth {
    pub visible: u64,
    pub in_flight: u64,
    pub delayed: u64,
}

impl Aws {
    /// Creates a queue and its dead-letter queue, with unique names.
    pub async fn create_queues(&self, fifo: bool, options: QueueOptions) -> Queues {
        let id = Uuid::now_v7().simple();
        let suffix = if fifo { ".fifo" } else { "" };
        let mut attributes = Map::new();
        attributes.insert("MaximumMessageSize".to_owned(), json!("1048576"));
        if fifo {
            attributes.insert("FifoQueue".to_owned(), json!("true"));
            attributes.insert("ContentBasedDeduplication".to_owned(), json!("false"));
        }
        let dead_letters_url = self.create_queue(&format!("dead-{id}{suffix}"), &attributes).await;
        let dead_letters_arn = self.queue_arn(&dead_letters_url).await;

        let seconds = |duration: Duration| json!(duration.as_secs().to_string());
        let redrive =
            json!({ "deadLetterTargetArn": dead_letters_arn, "maxReceiveCount": options.max_receives });
        attributes.insert("RedrivePolicy".to_owned(), json!(redrive.to_string()));
        attributes.insert("VisibilityTimeout".to_owned(), seconds(options.visibility_timeout));
        attributes.insert("DelaySeconds".to_owned(), seconds(options.delay));
        let url = self.create_queue(&format!("orders-{id}{suffix}"), &attributes).await;
        let arn = self.queue_arn(&url).await;
        Queues { url, arn, dead_letters_url }
    }

    /// Creates a queue. Returns its URL.
    pub async fn create_queue(&self, name: &str, attributes: &Map<String, Value>) -> String {
        let queue = self.sqs("CreateQueue", &json!({ "QueueName": name, "Attributes": attributes })).await;
        queue["QueueUrl"].as_str().unwrap().to_owned()
    }

    pub async fn queue_arn(&self, url: &str) -> String {
        self.queue_attributes(url).await["QueueArn"].as_str().unwrap().to_owned()
    }

    pub async fn queue_depth(&self, url: &str) -> Depth {
        let attributes = self.queue_attributes(url).await;
        let number = |suffix: &str| {
            attributes[format!("ApproximateNumberOfMessages{suffix}")].as_str().unwrap().parse().unwrap()
        };
        Depth { visible: number(""), in_flight: number("NotVisible"), delayed: number("Delayed") }
    }

    async fn queue_attributes(&self, url: &str) -> Value {
        let input = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
        self.sqs("GetQueueAttributes", &input).await["Attributes"].take()
    }
}
