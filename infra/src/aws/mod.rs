//! Constructs the AWS adapters and implements the ports that need more than one service. The commands of `orders` use
//! the adapters.
//!
//! The path of a dead letter: [`SqsDeadLetters`] sends the dead letter to the dead-letter queue. [`S3Archive`] consumes
//! that queue, and writes the dead letter to the bucket and to the index in the table. Operators list, repair, redrive
//! and discard dead letters through [`AwsDeadLetterStore`]. After a redrive, [`SqsDeadLetters`] releases the dead
//! letter. [`SqsPipeline`] reports the counters.
//!
//! `fill` fills empty resources with the content of a data folder.

mod archive;
mod dead_letter_store;
mod endpoint;
#[cfg(feature = "embedded")]
pub mod fill;
mod parking;
mod pipeline;
mod webhook_list;
mod webhook_store;

use api::ports::Health;
use async_trait::async_trait;
use consumer::alert::Deployment;
use domain::Currency;
use futures_util::future::{join, join_all, join3};

pub use archive::S3Archive;
pub use dead_letter_store::AwsDeadLetterStore;
pub use parking::SqsDeadLetters;
pub use pipeline::SqsPipeline;
pub use webhook_store::AwsWebhookStore;

pub use crate::sdk::{SdkConfig, config, config_at};

use crate::dynamodb::Table;
use crate::eventbridge::EventBus;
use crate::outbound::OutboundTable;
use crate::s3::Bucket;
use crate::sns::{AlertTopic, Topic};
use crate::sqs::Queue;
use crate::streams::TableStream;

/// A client for the queue at `url`.
pub fn queue(config: &SdkConfig, url: &str) -> Queue {
    Queue::new(aws_sdk_sqs::Client::new(config), url)
}

/// A client for the table of orders called `name`.
pub fn table(config: &SdkConfig, name: &str, default_currency: Currency) -> Table {
    Table::new(aws_sdk_dynamodb::Client::new(config), name, default_currency)
}

/// A client for the outbound table called `name`.
pub fn outbound(config: &SdkConfig, name: &str) -> OutboundTable {
    OutboundTable::new(aws_sdk_dynamodb::Client::new(config), name)
}

/// A reader of the change stream with the given ARN.
pub fn stream(config: &SdkConfig, arn: &str) -> TableStream {
    TableStream::new(aws_sdk_dynamodbstreams::Client::new(config), arn)
}

/// A client for the bucket called `name`. Amazon gives each bucket its own DNS name. For any other endpoint, the
/// bucket's name is part of the URL's path.
pub fn bucket(config: &SdkConfig, name: &str) -> Bucket {
    let by_path = endpoint::s3_endpoint(config).is_some_and(|url| !endpoint::is_aws(&url));
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(by_path).build();
    Bucket::new(aws_sdk_s3::Client::from_conf(config), name)
}

/// A client for the SNS topic with the given ARN.
pub fn topic(config: &SdkConfig, arn: &str) -> Topic {
    Topic::new(aws_sdk_sns::Client::new(config), arn)
}

/// The topic with this ARN, for the alerts of a deployment.
pub fn alert_topic(config: &SdkConfig, arn: &str, deployment: Deployment) -> AlertTopic {
    AlertTopic { topic: topic(config, arn), deployment }
}

/// The EventBridge bus with this name or ARN, to which events are published with this `source`.
pub fn event_bus(config: &SdkConfig, bus: &str, source: &str) -> EventBus {
    EventBus::new(aws_sdk_eventbridge::Client::new(config), bus, source)
}

/// Checks the queues and the table that a role needs.
#[derive(Debug, Clone)]
pub struct AwsHealth {
    /// The queues that the role needs. If they are unreachable, the service can still be ready, but it cannot accept
    /// events.
    pub queues: Vec<Queue>,
    /// The table of orders.
    pub table: Table,
}

#[async_trait]
impl Health for AwsHealth {
    async fn ready(&self) -> Result<(), String> {
        self.table.ready().await
    }

    async fn accepts(&self) -> Result<(), String> {
        let depths = join_all(self.queues.iter().map(Queue::depth));
        let (depths, table) = join(depths, self.table.ready()).await;
        combined(depths.into_iter().map(|depth| depth.map(drop)).chain([table]))
    }
}

/// Checks the resources that the archiver of dead letters needs. The archiver needs no permission to describe the
/// bucket or the topic. So the check of the bucket or the topic fails only if the resource does not exist or its
/// endpoint does not answer.
#[derive(Debug, Clone)]
pub struct ArchiverHealth {
    /// The dead-letter queue and the table.
    pub ready: AwsHealth,
    /// The bucket of archived dead letters.
    pub bucket: Bucket,
    /// The topic for alerts.
    pub topic: Topic,
}

#[async_trait]
impl Health for ArchiverHealth {
    async fn ready(&self) -> Result<(), String> {
        self.accepts().await
    }

    async fn accepts(&self) -> Result<(), String> {
        let (ready, bucket, topic) =
            join3(self.ready.accepts(), self.bucket.check_reachable(), self.topic.check_reachable()).await;
        combined([ready, bucket, topic])
    }
}

/// Joins all errors into one sentence. Returns `Ok` if there are no errors.
fn combined(checks: impl IntoIterator<Item = Result<(), String>>) -> Result<(), String> {
    let errors: Vec<_> = checks.into_iter().filter_map(Result::err).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
}
