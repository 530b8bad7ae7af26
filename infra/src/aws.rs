//! What the AWS adapters share: how clients are made, and the dead letters, which are on a queue and marked in the
//! table.

use std::sync::Arc;
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
use consumer::ports::{DeadLetters, Inbox, OrderLog, Parking};
use domain::{Currency, Envelope, Outcome, Receipt, envelope};

pub use aws_config::SdkConfig;

use crate::dynamodb::Table;
use crate::sqs::Queue;

/// The configuration of every client: region, credentials and `AWS_ENDPOINT_URL` as the SDK finds them.
///
/// TLS is by rustls on ring: AWS-LC may spend up to a second of a small function's cold start on gathering entropy.
/// Throttled and failed calls are tried again by the SDK, with jitter, up to four times.
pub async fn config() -> SdkConfig {
    loader().load().await
}

/// The configuration for an emulator at `endpoint`, with made-up credentials, whatever the environment says. For tests.
#[doc(hidden)]
pub async fn config_at(endpoint: &str) -> SdkConfig {
    let nobody = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "tests");
    loader().endpoint_url(endpoint).region(Region::new("us-east-1")).credentials_provider(nobody).load().await
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
        let queues = async {
            let depths = self.queues.iter().map(Queue::depth);
            futures_util::future::join_all(depths)
                .await
                .into_iter()
                .filter_map(Result::err)
                .collect::<Vec<_>>()
        };
        let (mut faults, table) = futures_util::future::join(queues, self.table.ready()).await;
        faults.extend(table.err());
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}

/// Dead letters on a queue of their own, marked in the table.
#[derive(Debug, Clone)]
pub struct QueuedDeadLetters {
    /// The dead-letter queue.
    pub queue: Queue,
    /// Where orders are marked, and where receipts tell.
    pub table: Table,
    /// For article orders, which state none.
    pub default_currency: Currency,
    /// The URL of the queue that the messages come from.
    pub origin: String,
    /// That queue, if parked messages are to be deleted from it: an event source mapping does that by itself.
    pub inbox: Option<Arc<Queue>>,
}

#[async_trait]
impl DeadLetters for QueuedDeadLetters {
    async fn park(&self, messages: &[Parking<'_>]) -> Vec<anyhow::Result<()>> {
        let mut results = self.queue.bury(&self.origin, messages).await;
        for (result, parking) in results.iter_mut().zip(messages) {
            if result.is_ok() {
                *result = self.mark(parking).await;
            }
        }
        let Some(inbox) = &self.inbox else { return results };
        let safe = messages.iter().zip(&results).filter(|(_, result)| result.is_ok());
        let safe: Vec<_> = safe.map(|(parking, _)| parking.message).collect();
        for failed in inbox.ack(&safe).await.into_iter().filter_map(Result::err) {
            // It comes back and is parked once more; nothing is lost.
            tracing::warn!("cannot delete a message that is in the dead letters: {failed:#}");
        }
        results
    }
}

impl QueuedDeadLetters {
    /// Marks the order, if it can be told, and stores what the event's receipt tells from now on.
    async fn mark(&self, parking: &Parking<'_>) -> anyhow::Result<()> {
        let body = &parking.message.body;
        if let Ok(event) = Envelope::decode(body, self.default_currency) {
            let (reason, detail) = (parking.reason, parking.detail.clone());
            let receipt = Receipt::of(&event, Some(Outcome::Parked { reason, detail }));
            return self.table.settle(&[receipt]).await.into_iter().collect();
        }
        match envelope::identify(body) {
            (Some(order_id), event_id) => {
                let name = event_id.map_or_else(|| parking.message.id.clone(), |id| id.to_string());
                self.table.mark(&order_id, &name).await
            }
            (None, _) => Ok(()),
        }
    }
}
