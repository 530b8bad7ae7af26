//! The AWS roles as Lambda functions. They run the same binary, named `bootstrap`, with the role in `_HANDLER`. When an
//! execution environment starts, it reads the settings and creates the clients once, for all its invocations.

use std::sync::Arc;

use anyhow::bail;
use api::AppState;
use consumer::Consumer;
use futures_util::future::BoxFuture;
use infra::aws::{self, AwsHealth, SqsDeadLetters};
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::args::{ApiArgs, ConsumerArgs, DeadLettersArgs, ExpiryArgs, RelayArgs, WebhooksArgs};
use super::emf;
use super::ping::is_ping;
use super::settings::{self, ConfigErrors};
use crate::cli::{Cli, Command};

/// The role that Lambda started this process for, or `None` outside of Lambda.
pub(crate) fn role() -> Option<String> {
    std::env::var_os("AWS_LAMBDA_RUNTIME_API").filter(|address| !address.is_empty())?;
    Some(std::env::var("_HANDLER").unwrap_or_default())
}

/// The command line that runs a role. It has no flags, because the environment contains all settings.
pub(crate) fn command_line(role: &str) -> anyhow::Result<Cli> {
    match role {
        "api" | "consumer" | "dead-letters" | "expiry" | "relay" | "webhook-sender" => {
            Ok(Cli::of(["orders", role])?)
        }
        other => {
            bail!(
                "the handler {other:?} is not a role of this program; it must be `api`, `consumer`, `dead-letters`, \
                 `expiry`, `relay` or `webhook-sender`"
            )
        }
    }
}

/// The log level of a consumer on AWS, where every byte is billed. At `info` it writes no line for an event that was recorded,
/// or that was a duplicate: metrics count them, and the log of the order has them. At `debug` it writes all lines.
pub(crate) fn quiet_log_level(level: Targets) -> Targets {
    let target = consumer::ROUTINE_LOG_TARGET;
    if is_detailed(&level) { level } else { level.with_target(target, LevelFilter::WARN) }
}

/// Whether a function reports everything: a line for each event, and all metrics.
fn is_detailed(level: &Targets) -> bool {
    level.would_enable(consumer::ROUTINE_LOG_TARGET, &Level::DEBUG)
}

/// Writes the metrics and exports the spans of an invocation.
pub(super) fn after_each() -> BoxFuture<'static, ()> {
    emf::flush();
    Box::pin(async {
        #[cfg(feature = "otlp")]
        if let Err(error) = tokio::task::spawn_blocking(crate::telemetry::flush).await {
            tracing::warn!(%error, "cannot export spans; the next invocation will try again");
        }
    })
}

/// Serves invocations until Lambda ends the process.
pub(crate) async fn run(cli: &Cli, errors: ConfigErrors) -> anyhow::Result<()> {
    let choice = match cli.log_level() {
        Ok(level) if is_detailed(&level) => emf::Choice::All,
        _ => emf::Choice::Watched,
    };
    emf::install(&role().unwrap_or_default(), choice)?;
    match &cli.command {
        Command::Api(args) => api(args, errors).await,
        Command::Consumer(args) => consumer(args, errors).await,
        Command::DeadLetters(args) => dead_letters(args, errors).await,
        Command::Expiry(args) => expiry(args, errors).await,
        Command::Relay(args) => relay(args, errors).await,
        Command::WebhookSender(args) => webhooks(args, errors).await,
        _ => bail!(
            "only `api`, `consumer`, `dead-letters`, `expiry`, `relay` and `webhook-sender` run as Lambda functions"
        ),
    }
}

async fn api(args: &ApiArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    let settings = settings::of_api_function(errors, args, &sdk)?;
    let common = &settings.common;
    let queue = aws::queue(&sdk, &common.queue_url).with_fair_groups(settings.fair_queue);
    let table = aws::table(&sdk, &common.table_name, common.default_currency)
        .with_search_index(settings.search_index);
    let health = AwsHealth { queues: vec![queue.clone()], table: table.clone() };
    let operations = super::operations(&sdk, &settings, &queue, &table);
    let feed = super::feed(&sdk, &settings, &table);
    let webhooks = super::webhook_store::store(&sdk, &settings, &table);
    // A Lambda function handles one request at a time, so it never has several requests to coalesce.
    let state = AppState::new(Arc::new(queue), Arc::new(table), Arc::new(health));
    let state = AppState { operations, feed, webhooks, ..settings.auth.access().await?.apply(state) };
    let router = api::router(settings.http.apply_behind_gateway(state));
    api::lambda::serve(router, is_ping, after_each).await
}

async fn consumer(args: &ConsumerArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    let settings = settings::of_consumer(errors, args, &sdk)?;
    let (common, dlq_url, max_receives) = (settings.common, settings.dlq_url, settings.max_receives);
    let (unpaid_age, search_index) = (settings.unpaid_age, settings.search_index);
    let queue = Arc::new(aws::queue(&sdk, &common.queue_url));
    let table = aws::table(&sdk, &common.table_name, common.default_currency).with_search_index(search_index);
    let table = table.expiring_unpaid(unpaid_age);
    let dead_letters = SqsDeadLetters {
        queue: aws::queue(&sdk, &dlq_url),
        table: table.clone(),
        origin: common.queue_url,
        // The event source mapping deletes every message that is not reported as failed.
        inbox: None,
    };
    let consumer = Consumer {
        log: Arc::new(table.clone()),
        dead_letters: Arc::new(dead_letters),
        clock: infra::now,
        default_currency: common.default_currency,
        max_receives,
        ledger: Some(Arc::new(table)),
    };
    consumer::lambda::run(Arc::new(consumer), queue, is_ping, after_each).await
}

async fn dead_letters(args: &DeadLettersArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    // The event source mapping receives and deletes the messages. The function needs the URL of the queue only to
    // change the visibility timeout of failed messages.
    let settings = settings::of_dead_letters(errors, args, &sdk)?;
    let inbox = Arc::new(aws::queue(&sdk, &settings.dlq_url));
    let work = Arc::new(super::dead_letter_role(&sdk, &settings));
    consumer::lambda::run(work, inbox, is_ping, after_each).await
}

async fn expiry(args: &ExpiryArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    let settings = settings::of_expiry(errors, args, &sdk)?;
    let common = &settings.common;
    let queue = aws::queue(&sdk, &common.queue_url).with_fair_groups(settings.fair_queue);
    let table = aws::table(&sdk, &common.table_name, common.default_currency);
    let role = super::expiry_role(&settings, &queue, &table);
    api::expiry::lambda::run(&role, after_each).await
}

async fn relay(args: &RelayArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    let settings = settings::of_relay(errors, args, &sdk)?;
    let relay = super::relay(&sdk, &settings).await?;
    consumer::relay::lambda::run(Arc::new(relay), is_ping, after_each).await
}

/// The webhook sender as a Lambda function behind the queue.
async fn webhooks(args: &WebhooksArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    let settings = settings::of_webhooks(errors, args, &sdk)?;
    // The event source mapping receives and deletes the messages. The function only delays retries.
    let inbox = Arc::new(aws::queue(&sdk, &settings.queue));
    let work = Arc::new(super::webhooks::deliveries(&sdk, &settings));
    consumer::lambda::run(work, inbox, is_ping, after_each).await
}
