//! The roles on SQS and DynamoDB, in containers and in Lambda functions, and their flags. `main` runs them.

pub(crate) mod args;
mod containers;
mod emf;
#[cfg(feature = "embedded")]
pub(crate) mod fill;
mod lambda;
mod outputs;
mod ping;
mod settings;
mod webhook_store;
mod webhooks;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use api::expiry::ExpiryRole;
use api::operations::Operations;
use api::ports::EventPublisher;
use api::ports::feed::EventFeed;
use consumer::DeadLetterRole;
use consumer::alert::{CountedAlerts, Deployment};
use consumer::ports::Alerts;
use consumer::relay::Relay;
use domain::Currency;
use infra::aws::{self as adapters, AwsDeadLetterStore, S3Archive, SdkConfig, SqsPipeline};
use infra::dynamodb::Table;
use infra::outbound::{FeedWriter, JobQueue, Outbox, TableFeed};
use infra::sqs::Queue;
use infra::sqs::depth_limit::DepthLimitedPublisher;

#[cfg(feature = "doctor")]
use args::{ApiArgs, ConsumerArgs, DeadLettersArgs, ExpiryArgs, RelayArgs, WebhooksArgs};
pub(crate) use containers::{api, consumer, create_table, dead_letters, expiry, relay as relay_container};
pub(crate) use lambda::{command_line, quiet_log_level, role, run as run_lambda};
use settings::ConfigErrors;
pub(crate) use webhooks::container as webhook_sender;

/// The ports of the API's operator endpoints, if the bucket of dead letters is set.
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
        alerts: alerts(sdk, &settings.topic, &settings.deployment),
        clock: infra::now,
        origin: settings.common.queue_url.clone(),
    }
}

/// The topic for alerts.
fn alerts(sdk: &SdkConfig, topic: &str, deployment: &Deployment) -> Arc<dyn Alerts> {
    Arc::new(CountedAlerts(Arc::new(adapters::alert_topic(sdk, topic, deployment.clone()))))
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

/// The feed, if there is one.
fn feed(sdk: &SdkConfig, settings: &settings::ApiSettings, table: &Table) -> Option<Arc<dyn EventFeed>> {
    let settings::FeedSettings { table: name, partitions } = settings.feed.as_ref()?;
    Some(Arc::new(TableFeed::new(adapters::outbound(sdk, name), table.clone(), *partitions)))
}

/// The relay, which fills the feed, sends webhook jobs and publishes to outputs, as far as each is configured. Stores the
/// number of partitions of the feed, unless it is stored already.
async fn relay(sdk: &SdkConfig, settings: &settings::RelaySettings) -> anyhow::Result<Relay> {
    let outbound = adapters::outbound(sdk, &settings.outbound);
    // The currency is not used here, because the relay does not read events from the table.
    let log = adapters::table(sdk, &settings.table_name, Currency::parse("USD")?);
    let mut relay = Relay::new(Arc::new(log), infra::now);
    if let Some(settings::FeedSettings { partitions, .. }) = &settings.feed {
        outbound.fix_partitions(*partitions).await?;
        let feed = FeedWriter::new(outbound.clone(), *partitions, settings.retention);
        relay = relay.with_feed(Arc::new(feed));
    }
    if let Some(url) = &settings.webhook_queue {
        let queue = JobQueue(adapters::queue(sdk, url));
        relay = relay.with_webhooks(Arc::new(Outbox { table: outbound, queue }));
    }
    if let Some(configured) = &settings.outputs {
        relay = relay.with_outputs(outputs::outputs(sdk, configured).await?);
    }
    Ok(relay)
}

/// How the API would authenticate with `args`, or all errors in `args`.
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

/// All errors in the arguments of `orders webhook-sender`.
#[cfg(feature = "doctor")]
pub(crate) async fn check_webhooks(args: &WebhooksArgs) -> Result<(), Vec<String>> {
    let sdk = infra::aws::config().await;
    settings::of_webhooks(ConfigErrors::default(), args, &sdk).map(|_| ()).map_err(listed)
}

/// All errors in the arguments of `orders relay`.
#[cfg(feature = "doctor")]
pub(crate) async fn check_relay(args: &RelayArgs) -> Result<(), Vec<String>> {
    let sdk = infra::aws::config().await;
    settings::of_relay(ConfigErrors::default(), args, &sdk).map(|_| ()).map_err(listed)
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

/// The table of `orders export --aws` and `orders import --aws`.
#[cfg(feature = "embedded")]
pub(crate) async fn transfer_table(
    args: &args::TransferTableArgs,
    default_currency: Currency,
) -> anyhow::Result<Table> {
    let sdk = adapters::config().await;
    let settings = settings::of_transfer(ConfigErrors::default(), &args.table, &sdk)?;
    let table = operated_table(&sdk, &settings, default_currency);
    containers::check_resources(&table).await?;
    Ok(table)
}

#[cfg(feature = "embedded")]
fn operated_table(sdk: &SdkConfig, settings: &settings::TransferSettings, currency: Currency) -> Table {
    let table = adapters::table(sdk, &settings.table_name, currency);
    table.with_search_index(settings.search_index).expiring_unpaid(settings.unpaid_age)
}

/// Logs the progress if standard error is a terminal.
fn log_progress(text: &str) {
    if std::io::stderr().is_terminal() {
        tracing::info!("{text}");
    }
}

/// Begins to collect configuration errors. The first one is the error from setting up the log, if there is one.
pub(crate) fn errors_of(logging: Result<(), String>) -> ConfigErrors {
    let mut errors = ConfigErrors::default();
    errors.check(logging);
    errors
}
