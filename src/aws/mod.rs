//! The roles on SQS and DynamoDB, in containers and in Lambda functions, and their flags.

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
use infra::aws::{self as adapters, Archive, LetterStore, Numbers, SdkConfig};
use infra::dynamodb::Table;
use infra::sqs::Queue;

pub(crate) use containers::{api, consumer, create_table, dead_letters};
pub(crate) use lambda::{command_line, role, run as run_lambda};
use settings::Faults;

use crate::auth::AuthArgs;
use crate::http::HttpArgs;
use crate::prometheus::MetricsArgs;

/// Where the queue and the table are. Texts, so that everything that is wrong with them can be told at one go.
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
    /// Where to listen: an address or a name, and a port.
    #[arg(long, env = "ORDERS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: String,
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    auth: AuthArgs,
    /// Waiting messages at which no new event is accepted; 0: any number. Not for functions.
    #[arg(long, env = "ORDERS_MAX_QUEUE_DEPTH", default_value = "0", value_name = "COUNT")]
    max_queue_depth: String,
    #[command(flatten)]
    letters: LetterArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
}

/// Where dead letters are, for the operators' part of the API.
#[derive(Debug, Args)]
pub(crate) struct LetterArgs {
    /// The S3 bucket where dead letters are archived; without it, the API has nothing for operators.
    #[arg(long, env = "DLQ_BUCKET", value_name = "NAME")]
    dlq_bucket: Option<String>,
    /// The URL of the dead-letter queue, to count what is not archived yet.
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
    /// Batches that are handled at the same time.
    #[arg(long, env = "ORDERS_CONCURRENCY", default_value = "8", value_name = "COUNT")]
    concurrency: String,
    /// How often the queue delivers a message, its maxReceiveCount. A container asks the queue, a function does not.
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
    /// Make the table with its index, for local use: in production it belongs to the deployment.
    Create {
        /// The name of the table.
        #[arg(long, env = "TABLE_NAME", value_name = "NAME")]
        table_name: Option<String>,
    },
}

/// What the API has for operators, if it is told where the dead letters are.
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
    let letters = LetterStore { bucket, table: table.clone(), queue: queue.clone(), default_currency };
    let pipeline = Arc::new(Numbers { queue, dead_letters, table });
    Some(Operations { letters: Arc::new(letters), pipeline, default_currency })
}

/// What stands behind the queue of dead letters.
fn dead_letter_role(sdk: &SdkConfig, settings: &settings::DeadLetterSettings) -> DeadLetterRole {
    let default_currency = settings.common.default_currency;
    let table = adapters::table(sdk, &settings.common.table_name, default_currency);
    let bucket = adapters::bucket(sdk, &settings.bucket);
    DeadLetterRole {
        archive: Arc::new(Archive { bucket, table, default_currency }),
        alerts: Arc::new(adapters::topic(sdk, &settings.topic)),
        clock: infra::now,
        origin: settings.common.queue_url.clone(),
    }
}

/// How the API would authenticate with these arguments, or everything that is wrong with them.
#[cfg(feature = "doctor")]
pub(crate) async fn check_api(args: &ApiArgs) -> Result<crate::auth::Settings, Vec<String>> {
    let sdk = infra::aws::config().await;
    settings::of_api(Faults::default(), args, &sdk).map(|settings| settings.auth).map_err(listed)
}

/// Everything that is wrong with the arguments of what archives dead letters.
#[cfg(feature = "doctor")]
pub(crate) async fn check_dead_letters(args: &DeadLettersArgs) -> Result<(), Vec<String>> {
    let sdk = infra::aws::config().await;
    settings::of_dead_letters(Faults::default(), args, &sdk).map(|_| ()).map_err(listed)
}

/// Everything that is wrong with the arguments of a consumer.
#[cfg(feature = "doctor")]
pub(crate) async fn check_consumer(args: &ConsumerArgs) -> Result<(), Vec<String>> {
    let sdk = infra::aws::config().await;
    settings::of_consumer(Faults::default(), args, &sdk).map(|_| ()).map_err(listed)
}

#[cfg(feature = "doctor")]
fn listed(error: anyhow::Error) -> Vec<String> {
    error.downcast::<settings::Wrong>().map_or_else(|other| vec![format!("{other:#}")], |wrong| wrong.0)
}

/// Tells a person at a terminal what goes on; nobody else.
fn say(text: &str) {
    if std::io::stderr().is_terminal() {
        tracing::info!("{text}");
    }
}

/// The faults of a configuration whose logging was set up with this result.
pub(crate) fn faults_of(logging: Result<(), String>) -> Faults {
    let mut faults = Faults::default();
    faults.check(logging);
    faults
}
