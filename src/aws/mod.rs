//! The roles on SQS and DynamoDB, in containers and in Lambda functions, and their flags. `main` runs them.

mod containers;
mod emf;
mod lambda;
mod ping;
mod settings;

use std::io::IsTerminal;
use std::sync::Arc;

use api::operations::Operations;
use clap::{Args, Subcommand};
use consumer::DeadLetterRole;
use infra::aws::{self as adapters, AwsDeadLetterStore, S3Archive, SdkConfig, SqsPipeline};
use infra::dynamodb::Table;
use infra::sqs::Queue;

pub(crate) use containers::{api, consumer, create_table, dead_letters};
pub(crate) use lambda::{command_line, role, run as run_lambda};
use settings::ConfigErrors;

use crate::auth::AuthArgs;
use crate::http::HttpArgs;
use crate::prometheus::MetricsArgs;

/// The queue and the table. Read as plain strings, so that `settings` can report all errors together.
#[derive(Debug, Args)]
pub(crate) struct AwsArgs {
    /// The URL of the SQS queue.
    #[arg(long, env = "QUEUE_URL", value_name = "URL")]
    queue_url: Option<String>,
    /// The name of the DynamoDB table.
    #[arg(long, env = "TABLE_NAME", value_name = "NAME")]
    table_name: Option<String>,
    /// The currency (ISO 4217) of orders whose producer states none.
    #[arg(long, env = "ORDERS_DEFAULT_CURRENCY", default_value = "USD", value_name = "CODE")]
    default_currency: String,
}

#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    aws: AwsArgs,
    /// The address or host name to listen on, and the port.
    #[arg(long, env = "ORDERS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: String,
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    auth: AuthArgs,
    /// Refuse events while this many messages are queued; 0: no limit. Not for functions.
    #[arg(long, env = "ORDERS_MAX_QUEUE_DEPTH", default_value = "0", value_name = "COUNT")]
    max_queue_depth: String,
    #[command(flatten)]
    letters: OperatorArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
}

/// Where dead letters are, for the API's operator endpoints.
#[derive(Debug, Args)]
pub(crate) struct OperatorArgs {
    /// The S3 bucket of archived dead letters. Without it, the API has no operator endpoints.
    #[arg(long, env = "DLQ_BUCKET", value_name = "NAME")]
    dlq_bucket: Option<String>,
    /// The URL of the dead-letter queue, to count dead letters that are not archived yet.
    #[arg(long, env = "DLQ_URL", value_name = "URL")]
    dlq_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConsumerArgs {
    #[command(flatten)]
    aws: AwsArgs,
    /// The URL of the dead-letter queue.
    #[arg(long, env = "DLQ_URL", value_name = "URL")]
    dlq_url: Option<String>,
    /// The most batches that are handled concurrently.
    #[arg(long, env = "ORDERS_CONCURRENCY", default_value = "8", value_name = "COUNT")]
    concurrency: String,
    /// The maxReceiveCount of the queue's redrive policy. A container reads it from the queue; a function does not.
    #[arg(long, env = "ORDERS_MAX_RECEIVES", value_name = "COUNT")]
    max_receives: Option<String>,
    #[command(flatten)]
    metrics: MetricsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    #[command(flatten)]
    aws: AwsArgs,
    /// The URL of the dead-letter queue.
    #[arg(long, env = "DLQ_URL", value_name = "URL")]
    dlq_url: Option<String>,
    /// The S3 bucket to archive to.
    #[arg(long, env = "DLQ_BUCKET", value_name = "NAME")]
    dlq_bucket: Option<String>,
    /// The ARN of the SNS topic for alerts.
    #[arg(long, env = "ALERTS_TOPIC", value_name = "ARN")]
    alerts_topic: Option<String>,
    #[command(flatten)]
    metrics: MetricsArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TableCommand {
    /// Create the table and its index, for local use. In production the deployment creates them.
    Create {
        /// The name of the table.
        #[arg(long, env = "TABLE_NAME", value_name = "NAME")]
        table_name: Option<String>,
    },
}

/// The API's operator endpoints, if the bucket of dead letters is set.
fn operations(
    sdk: &SdkConfig,
    settings: &settings::ApiSettings,
    queue: &Queue,
    table: &Table,
) -> Option<Operations> {
    let default_currency = settings.common.default_currency;
    let bucket = adapters::bucket(sdk, settings.bucket.as_deref()?);
    let (queue, table) = (queue.clone(), table.clone());
    let dead_letters = settings.dlq_url.as_deref().map(|url| adapters::queue(sdk, url));
    let letters = AwsDeadLetterStore { bucket, table: table.clone(), queue: queue.clone(), default_currency };
    let pipeline = Arc::new(SqsPipeline { queue, dead_letters, table });
    Some(Operations { letters: Arc::new(letters), pipeline, default_currency })
}

/// The consumer of the dead-letter queue.
fn dead_letter_role(sdk: &SdkConfig, settings: &settings::DeadLetterSettings) -> DeadLetterRole {
    let default_currency = settings.common.default_currency;
    let table = adapters::table(sdk, &settings.common.table_name, default_currency);
    let bucket = adapters::bucket(sdk, &settings.bucket);
    DeadLetterRole {
        archive: Arc::new(S3Archive { bucket, table, default_currency }),
        alerts: Arc::new(adapters::topic(sdk, &settings.topic)),
        clock: infra::now,
        origin: settings.common.queue_url.clone(),
    }
}

/// How the API would authenticate with these arguments, or all errors in them.
#[cfg(feature = "doctor")]
pub(crate) async fn check_api(args: &ApiArgs) -> Result<crate::auth::AuthSettings, Vec<String>> {
    let sdk = infra::aws::config().await;
    settings::of_api(ConfigErrors::default(), args, &sdk).map(|settings| settings.auth).map_err(listed)
}

/// All errors in the arguments of `orders dead-letters`.
#[cfg(feature = "doctor")]
pub(crate) async fn check_dead_letters(args: &DeadLettersArgs) -> Result<(), Vec<String>> {
    let sdk = infra::aws::config().await;
    settings::of_dead_letters(ConfigErrors::default(), args, &sdk).map(|_| ()).map_err(listed)
}

/// All errors in the arguments of `orders consumer`.
#[cfg(feature = "doctor")]
pub(crate) async fn check_consumer(args: &ConsumerArgs) -> Result<(), Vec<String>> {
    let sdk = infra::aws::config().await;
    settings::of_consumer(ConfigErrors::default(), args, &sdk).map(|_| ()).map_err(listed)
}

#[cfg(feature = "doctor")]
fn listed(error: anyhow::Error) -> Vec<String> {
    error
        .downcast::<settings::InvalidConfig>()
        .map_or_else(|other| vec![format!("{other:#}")], |invalid| invalid.0)
}

/// Logs progress if stderr is a terminal.
fn log_progress(text: &str) {
    if std::io::stderr().is_terminal() {
        tracing::info!("{text}");
    }
}

/// The configuration errors, starting with the result of setting up the log.
pub(crate) fn errors_of(logging: Result<(), String>) -> ConfigErrors {
    let mut errors = ConfigErrors::default();
    errors.check(logging);
    errors
}
