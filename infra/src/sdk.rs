//! Configures the AWS SDK, and turns its errors into text that operators understand. [`items`] reads the pages of
//! a query. All AWS adapters use this module.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::anyhow;
pub use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// The configuration of every client. The SDK finds the region, the credentials and `AWS_ENDPOINT_URL`.
///
/// TLS uses rustls on ring, because AWS-LC can delay the cold start of a small Lambda function by up to a second while it
/// gathers entropy. The SDK makes up to four attempts for throttled and failed calls, with jittered backoff.
pub async fn config() -> SdkConfig {
    loader().load().await
}

/// The configuration for an emulator at `endpoint`, for tests. It contains made-up credentials and ignores the
/// environment. The timeout is a minute, because many tests share an emulator. A short timeout would make the SDK retry
/// slow calls, and the emulator could carry out such a call twice.
#[doc(hidden)]
pub async fn config_at(endpoint: &str) -> SdkConfig {
    let credentials = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "tests");
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(60)).build();
    let loader = loader().timeout_config(timeouts).credentials_provider(credentials);
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

/// The error code and message of the service, or the SDK's own error if there was no answer.
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

/// Returns whether a conditional write was made. `false` means that the condition of the write was not met.
pub(crate) fn condition_met<T, E>(answer: Result<T, SdkError<E>>) -> anyhow::Result<bool>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
        Err(error) => Err(explain(error)),
    }
}

/// Returns an error sentence if the resource does not exist or its endpoint does not answer.
pub(crate) fn check_reachable<T, E>(resource: &str, answer: Result<T, SdkError<E>>) -> Result<(), String>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let Err(error) = answer else { return Ok(()) };
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(404) => Err(format!("{resource} cannot be used: {:#}", explain(error))),
        // Any status except 404 shows that the resource can be reached. Usually only the permission to describe the
        // resource is missing.
        Some(_) => Ok(()),
        None => Err(format!("{resource} cannot be reached: {:#}", explain(error))),
    }
}

/// Reads the first `limit` items of a query, from as many pages as needed. A page ends after 1 MiB, and a filter can
/// leave a page empty.
pub(crate) async fn items(
    query: QueryFluentBuilder,
    limit: usize,
) -> anyhow::Result<Vec<HashMap<String, AttributeValue>>> {
    let (mut items, mut start) = (Vec::new(), None);
    loop {
        let page = Box::pin(query.clone().set_exclusive_start_key(start).send()).await.map_err(explain)?;
        items.extend(page.items.unwrap_or_default());
        start = page.last_evaluated_key;
        if start.is_none() || items.len() >= limit {
            items.truncate(limit);
            return Ok(items);
        }
    }
}
