//! What the AWS adapters share, how clients are made, and the ports that take more than one service.
//!
//! A dead letter's way: [`QueuedDeadLetters`] sends it to the queue of dead letters; [`Archive`], behind that queue, puts
//! it into the bucket and into the index in the table; [`LetterStore`] is what operators do with it, up to its replay,
//! after which [`QueuedDeadLetters`] releases it. [`Numbers`] tells how much is where.

mod archive;
mod dead_letters;
mod endpoint;
mod letters;
mod numbers;

use std::time::Duration;

use anyhow::anyhow;
use api::ports::Health;
use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use domain::Currency;
use futures_util::future::{join, join_all, join3};

pub use archive::Archive;
pub use aws_config::SdkConfig;
pub use dead_letters::QueuedDeadLetters;
pub use letters::LetterStore;
pub use numbers::Numbers;

use crate::dynamodb::Table;
use crate::s3::Bucket;
use crate::sns::Topic;
use crate::sqs::Queue;

/// The configuration of every client: region, credentials and `AWS_ENDPOINT_URL` as the SDK finds them.
///
/// TLS is by rustls on ring: AWS-LC may spend up to a second of a small function's cold start on gathering entropy.
/// Throttled and failed calls are tried again by the SDK, with jitter, up to four times.
pub async fn config() -> SdkConfig {
    loader().load().await
}

/// The configuration for an emulator at `endpoint`, with made-up credentials, whatever the environment says. For tests, of
/// which many are at it at the same time: it is given a minute to answer, for what is tried again may be counted twice.
#[doc(hidden)]
pub async fn config_at(endpoint: &str) -> SdkConfig {
    let nobody = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "tests");
    let patient = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(60)).build();
    let loader = loader().timeout_config(patient).credentials_provider(nobody);
    loader.endpoint_url(endpoint).region(Region::new("us-east-1")).load().await
}

fn loader() -> ConfigLoader {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(20));
    let retries = RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_secs(2));
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    loader.timeout_config(timeouts.build()).retry_config(retries)
}

/// An error of a call, as an operator wants it: what the service says, or else what went wrong on the way.
pub(crate) fn explain<E>(error: SdkError<E>) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow!("{code}: {message}"),
        (Some(code), None) => anyhow!("{code}"),
        (None, _) => error.into(),
    }
}

/// The queue at `url`.
pub fn queue(config: &SdkConfig, url: &str) -> Queue {
    Queue::new(aws_sdk_sqs::Client::new(config), url)
}

/// The table called `name`.
pub fn table(config: &SdkConfig, name: &str, default_currency: Currency) -> Table {
    Table::new(aws_sdk_dynamodb::Client::new(config), name, default_currency)
}

/// The bucket called `name`. Where S3 is not Amazon's, the bucket's name goes into the path: only Amazon has a DNS name for
/// each bucket.
pub fn bucket(config: &SdkConfig, name: &str) -> Bucket {
    let elsewhere = endpoint::of_s3(config).filter(|url| !endpoint::is_amazons(url));
    let by_path = elsewhere.is_some();
    let config = aws_sdk_s3::config::Builder::from(config).force_path_style(by_path).build();
    Bucket::new(aws_sdk_s3::Client::from_conf(config), name)
}

/// The topic with this ARN.
pub fn topic(config: &SdkConfig, arn: &str) -> Topic {
    Topic::new(aws_sdk_sns::Client::new(config), arn)
}

/// Whether the queues and the table that a role needs can be used.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The queues.
    pub queues: Vec<Queue>,
    /// The table.
    pub table: Table,
}

#[async_trait]
impl Health for Ready {
    async fn ready(&self) -> Result<(), String> {
        self.table.ready().await
    }

    async fn accepts(&self) -> Result<(), String> {
        let depths = join_all(self.queues.iter().map(Queue::depth));
        let (depths, table) = join(depths, self.table.ready()).await;
        told(depths.into_iter().map(|depth| depth.map(drop)).chain([table]))
    }
}

/// Whether what archives dead letters has what it needs. The bucket and the topic count as usable unless nothing answers at
/// their address, or the answer is that they do not exist: to archive and to alert takes no permission to look at them.
#[derive(Debug, Clone)]
pub struct ArchiveReady {
    /// The queue of dead letters, and the table.
    pub ready: Ready,
    /// Where they are archived.
    pub bucket: Bucket,
    /// Where alerts are published.
    pub topic: Topic,
}

#[async_trait]
impl Health for ArchiveReady {
    async fn ready(&self) -> Result<(), String> {
        self.accepts().await
    }

    async fn accepts(&self) -> Result<(), String> {
        let (ready, bucket, topic) =
            join3(self.ready.accepts(), self.bucket.found(), self.topic.found()).await;
        told([ready, bucket, topic])
    }
}

/// All that is wrong, if anything.
fn told(checked: impl IntoIterator<Item = Result<(), String>>) -> Result<(), String> {
    let faults: Vec<_> = checked.into_iter().filter_map(Result::err).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// Why something cannot be used, in a sentence: nothing answers at its address, or the answer is that it does not exist.
pub(crate) fn found<T, E>(what: &str, asked: Result<T, SdkError<E>>) -> Result<(), String>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let Err(error) = asked else { return Ok(()) };
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(404) => Err(format!("{what} cannot be used: {:#}", explain(error))),
        // Any other answer comes from the service, and mostly says that we may not look.
        Some(_) => Ok(()),
        None => Err(format!("{what} cannot be reached: {:#}", explain(error))),
    }
}
