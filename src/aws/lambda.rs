//! The roles as Lambda functions: the same binary, called `bootstrap`, with its role in `_HANDLER`. The environment
//! is read and clients are made once, when the execution environment starts, and serve all of its invocations.

use std::sync::Arc;

use anyhow::bail;
use api::AppState;
use consumer::Consumer;
use futures_util::future::BoxFuture;
use infra::aws::{self, QueuedDeadLetters, Ready};

use super::emf;
use super::ping::is_ping;
use super::settings::{self, Faults};
use super::{ApiArgs, ConsumerArgs, DeadLettersArgs};
use crate::config::{Cli, Command};

/// The role that Lambda starts this process for, or `None` if it is not Lambda that starts it.
pub(crate) fn role() -> Option<String> {
    std::env::var_os("AWS_LAMBDA_RUNTIME_API").filter(|address| !address.is_empty())?;
    Some(std::env::var("_HANDLER").unwrap_or_default())
}

/// The command line that a role stands for; everything else is in the environment.
pub(crate) fn command_line(role: &str) -> anyhow::Result<Cli> {
    match role {
        "api" | "consumer" | "dead-letters" => Ok(Cli::of(["orders", role])?),
        other => {
            bail!(
                "the handler {other:?} is no role of this program: it must be `api`, `consumer` or `dead-letters`"
            )
        }
    }
}

/// Writes out what was found out during an invocation.
fn after_each() -> BoxFuture<'static, ()> {
    emf::flush();
    Box::pin(async {
        #[cfg(feature = "otlp")]
        if let Err(error) = tokio::task::spawn_blocking(crate::telemetry::flush).await {
            tracing::warn!(%error, "spans are left for the next invocation");
        }
    })
}

/// Serves invocations for as long as Lambda has any.
pub(crate) async fn run(cli: &Cli, faults: Faults) -> anyhow::Result<()> {
    emf::install(&role().unwrap_or_default())?;
    match &cli.command {
        Command::Api(args) => api(args, faults).await,
        Command::Consumer(args) => consumer(args, faults).await,
        Command::DeadLetters(args) => dead_letters(args, faults).await,
        _ => bail!("only the API, the consumer and what is behind the dead letters are Lambda functions"),
    }
}

async fn api(args: &ApiArgs, faults: Faults) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    let settings = settings::of_api_function(faults, args, &sdk)?;
    let common = &settings.common;
    let queue = aws::queue(&sdk, &common.queue_url);
    let table = aws::table(&sdk, &common.table_name, common.default_currency);
    let health = Ready { queues: vec![queue.clone()], table: table.clone() };
    let operations = super::operations(&sdk, &settings, &queue, &table);
    // One request at a time: there is nothing to coalesce.
    let state = AppState::new(Arc::new(queue), Arc::new(table), Arc::new(health));
    let state = AppState { operations, ..settings.auth.access().await?.apply(state) };
    let router = api::router(settings.http.apply_behind_gateway(state));
    api::lambda::serve(router, is_ping, after_each).await
}

async fn consumer(args: &ConsumerArgs, faults: Faults) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    let settings = settings::of_consumer(faults, args, &sdk)?;
    let (common, dlq_url, max_receives) = (settings.common, settings.dlq_url, settings.max_receives);
    let queue = Arc::new(aws::queue(&sdk, &common.queue_url));
    let table = aws::table(&sdk, &common.table_name, common.default_currency).counting_ahead();
    let dead_letters = QueuedDeadLetters {
        queue: aws::queue(&sdk, &dlq_url),
        table: table.clone(),
        origin: common.queue_url,
        // The event source mapping deletes what is not reported as failed.
        inbox: None,
    };
    let consumer = Consumer {
        log: Arc::new(table.clone()),
        dead_letters: Arc::new(dead_letters),
        clock: infra::now,
        default_currency: common.default_currency,
        max_receives,
        tally: Some(Arc::new(table)),
    };
    consumer::lambda::run(Arc::new(consumer), queue, is_ping, after_each).await
}

async fn dead_letters(args: &DeadLettersArgs, faults: Faults) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    // The event source mapping receives and deletes; only when letters come back is for us to say, by the queue's URL.
    let settings = settings::of_dead_letters(faults, args, &sdk)?;
    let inbox = Arc::new(aws::queue(&sdk, &settings.dlq_url));
    let work = Arc::new(super::dead_letter_role(&sdk, &settings));
    consumer::lambda::run(work, inbox, is_ping, after_each).await
}
