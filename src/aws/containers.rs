//! The roles as long-running processes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use api::AppState;
use api::ports::Health;
use consumer::Consumer;
use consumer::poll::{self, PollOptions};
use infra::aws::{self, QueuedDeadLetters, Ready};
use infra::sqs::coalesce::Coalescing;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::settings::{self, Faults};
use super::{ApiArgs, ConsumerArgs, TableCommand, say};

/// How long a receive waits for messages: as long as SQS allows.
const WAIT: Duration = Duration::from_secs(20);

/// `orders api`: serves HTTP until SIGTERM or Ctrl-C, then finishes the requests in hand.
pub(crate) async fn api(args: &ApiArgs, faults: Faults) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    let (settings, listen, auth) = settings::of_api(faults, args, &sdk)?;
    let queue = aws::queue(&sdk, &settings.queue_url);
    let table = aws::table(&sdk, &settings.table_name, settings.default_currency);
    let health = Ready { queues: vec![queue.clone()], table: table.clone() };
    usable(&health).await?;
    let auth = auth.auth().await?;

    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(listen = %listener.local_addr()?, queue = settings.queue_url, table = settings.table_name, "serving");
    let state = AppState::new(Arc::new(Coalescing::new(queue)), Arc::new(table), Arc::new(health));
    let state = AppState { auth, ..state };
    let until_asked = async {
        if let Err(error) = crate::asked_to_stop().await {
            tracing::error!(%error, "cannot listen for signals");
        }
        tracing::info!("stopping: finishing what is in hand");
    };
    api::serve(listener, api::router(state), until_asked).await
}

/// `orders consumer`: handles messages until SIGTERM or Ctrl-C, then finishes the batches in hand.
pub(crate) async fn consumer(args: &ConsumerArgs, faults: Faults) -> anyhow::Result<()> {
    let sdk = aws::config().await;
    let settings = settings::of_consumer(faults, args, &sdk)?;
    let common = &settings.common;
    let queue = Arc::new(aws::queue(&sdk, &common.queue_url));
    let table = aws::table(&sdk, &common.table_name, common.default_currency);
    let dead_letters = aws::queue(&sdk, &settings.dlq_url);
    usable(&Ready {
        queues: vec![Arc::unwrap_or_clone(queue.clone()), dead_letters.clone()],
        table: table.clone(),
    })
    .await?;

    let consumer = Consumer {
        log: Arc::new(table.clone()),
        dead_letters: Arc::new(QueuedDeadLetters {
            queue: dead_letters,
            table,
            default_currency: common.default_currency,
            origin: common.queue_url.clone(),
            inbox: Some(queue.clone()),
        }),
        clock: infra::now,
        default_currency: common.default_currency,
    };
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: settings.concurrency, batch_size: 10, wait: WAIT };
    let polling = tokio::spawn(poll::run(queue, consumer, options, stopped));
    tracing::info!(queue = common.queue_url, table = common.table_name, "consuming");
    crate::asked_to_stop().await?;
    tracing::info!("stopping: finishing what is in hand");
    stop.send_replace(true);
    Ok(polling.await?)
}

/// `orders table create`.
pub(crate) async fn create_table(command: &TableCommand, faults: Faults) -> anyhow::Result<()> {
    let TableCommand::Create { table_name } = command;
    let sdk = aws::config().await;
    let name = settings::of_table(faults, table_name.as_ref(), &sdk)?;
    say(&format!("making the table {name}; this may take a while"));
    // The currency is for reading logs, and there are none to read.
    let table = aws::table(&sdk, &name, domain::Currency::parse("USD")?);
    let made = table.create().await?;
    let what = if made { "is made, and can be used" } else { "was there, and is as it has to be" };
    crate::print(&format!("the table {name} {what}"))
}

/// Fails, with everything that is wrong, if this process could not do its work.
async fn usable(health: &Ready) -> anyhow::Result<()> {
    match health.ready().await {
        Ok(()) => Ok(()),
        Err(faults) => bail!("what it works on cannot be used:\n  {}", faults.replace("; ", "\n  ")),
    }
}
