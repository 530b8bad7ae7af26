//! The roles on SQS and DynamoDB, in containers and in Lambda functions, and their flags. `main` runs them.

pub(crate) mod args;
mod containers;
mod emf;
mod lambda;
mod ping;
mod settings;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use api::expiry::ExpiryRole;
use api::operations::Operations;
use api::ports::EventPublisher;
use consumer::DeadLetterRole;
use infra::aws::{self as adapters, AwsDeadLetterStore, S3Archive, SdkConfig, SqsPipeline};
use infra::dynamodb::Table;
use infra::sqs::Queue;
use infra::sqs::depth_limit::DepthLimitedPublisher;

#[cfg(feature = "doctor")]
use args::{ApiArgs, ConsumerArgs, DeadLettersArgs, ExpiryArgs};
pub(crate) use containers::{api, consumer, create_table, dead_letters, expiry};
pub(crate) use lambda::{command_line, role, run as run_lambda};
use settings::ConfigErrors;

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

/// How often the role looks for orders that are due.
const EXPIRY_TICK: Duration = Duration::from_secs(5);

/// The role that proposes to cancel unpaid orders.
fn expiry_role(settings: &settings::ExpirySettings, queue: &Queue, table: &Table) -> ExpiryRole {
    let publisher: Arc<dyn EventPublisher> = match settings.max_queue_depth {
        None => Arc::new(queue.clone()),
        Some(most) => Arc::new(DepthLimitedPublisher::new(queue.clone(), most, queue.clone())),
    };
    ExpiryRole {
        due: Arc::new(table.clone()),
        reader: Arc::new(table.clone()),
        publisher,
        clock: infra::now,
        unpaid_age: settings.unpaid_age,
        tick: EXPIRY_TICK,
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

/// All errors in the arguments of `orders expiry`.
#[cfg(feature = "doctor")]
pub(crate) async fn check_expiry(args: &ExpiryArgs) -> Result<(), Vec<String>> {
    let sdk = infra::aws::config().await;
    settings::of_expiry(ConfigErrors::default(), args, &sdk).map(|_| ()).map_err(listed)
}

#[cfg(feature = "doctor")]
fn listed(error: anyhow::Error) -> Vec<String> {
    error
        .downcast::<settings::InvalidConfig>()
        .map_or_else(|other| vec![format!("{other:#}")], |invalid| invalid.0)
}

/// Sets up logging, with progress if stderr is a terminal.
fn log_progress(text: &str) {
    if std::io::stderr().is_terminal() {
        tracing::info!("{text}");
    }
}

/// The configuration errors, starting with any error from setting up the log.
pub(crate) fn errors_of(logging: Result<(), String>) -> ConfigErrors {
    let mut errors = ConfigErrors::default();
    errors.check(logging);
    errors
}
