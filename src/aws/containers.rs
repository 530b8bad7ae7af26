//! The roles as long-running processes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use api::AppState;
use api::ports::{EventPublisher, Health};
use consumer::Consumer;
use consumer::poll::{self, PollOptions};
use infra::aws::{self, ArchiveReady, QueuedDeadLetters, Ready};
use infra::sqs::bounded::Bounded;
use infra::sqs::coalesce::Coalescing;
use tokio::sync::watch;

use super::settings::{self, Faults};
use super::{ApiArgs, ConsumerArgs, DeadLettersArgs, TableCommand, say};
use crate::prometheus;
use crate::signals::Hangups;

/// How long a receive waits for messages: as long as SQS allows.
const WAIT: Duration = Duration::from_secs(20);

/// `orders api`: serves HTTP until SIGTERM or Ctrl-C, then finishes the requests in hand.
pub(crate) async fn api(args: &ApiArgs, faults: Faults) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let sdk = aws::config().await;
    let settings = settings::of_api(faults, args, &sdk)?;
    let (common, http, listen) = (&settings.common, &settings.http, settings.listen);
    let queue = aws::queue(&sdk, &common.queue_url);
    let table = aws::table(&sdk, &common.table_name, common.default_currency);
    let health = Ready { queues: vec![queue.clone()], table: table.clone() };
    usable(&health).await?;
    if let Some(name) = &settings.bucket {
        let bucket = aws::bucket(&sdk, name);
        // Clients are served without it, so nothing waits for the answer.
        tokio::spawn(async move {
            if let Err(fault) = bucket.ready().await {
                tracing::error!("operators cannot be shown dead letters: {fault}");
            }
        });
    }
    let operations = super::operations(&sdk, &settings, &queue, &table);
    let pipeline = operations.as_ref().map(|operations| operations.pipeline.clone());
    prometheus::serve(settings.metrics, pipeline).await?;
    let access = settings.auth.access().await?;

    let listener = crate::listen::bind(listen, "--listen").await?;
    tracing::info!(listen = %listener.local_addr()?, queue = common.queue_url, table = common.table_name, "serving");
    let coalescing = Coalescing::new(queue.clone());
    let publisher: Arc<dyn EventPublisher> = match settings.max_queue_depth {
        None => Arc::new(coalescing),
        Some(most) => Arc::new(Bounded::new(coalescing, most, queue)),
    };
    let state = http.apply(AppState::new(publisher, Arc::new(table), Arc::new(health)));
    let state = AppState { operations, ..access.apply(state) };
    let until_asked = async move {
        if let Err(error) = hangups.until_stopped(access.keys()).await {
            tracing::error!(%error, "cannot listen for signals");
        }
        tracing::info!("stopping: finishing what is in hand");
    };
    api::serve(listener, api::router(state), http.serve_options(), until_asked).await
}

/// `orders consumer`: handles messages until SIGTERM or Ctrl-C, then finishes the batches in hand.
pub(crate) async fn consumer(args: &ConsumerArgs, faults: Faults) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
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

    prometheus::serve(settings.metrics, None).await?;
    let max_receives = match settings.max_receives {
        Some(count) => Some(count),
        None => patiently(async || queue.max_receives().await).await?,
    };
    let consumer = Consumer {
        log: Arc::new(table.clone()),
        dead_letters: Arc::new(QueuedDeadLetters {
            queue: dead_letters,
            table: table.clone(),
            origin: common.queue_url.clone(),
            inbox: Some(queue.clone()),
        }),
        clock: infra::now,
        default_currency: common.default_currency,
        max_receives,
        tally: Some(Arc::new(table)),
    };
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: settings.concurrency, batch_size: 10, wait: WAIT };
    let polling = tokio::spawn(poll::run(queue, Arc::new(consumer), options, stopped));
    tracing::info!(queue = common.queue_url, table = common.table_name, "consuming");
    hangups.until_stopped(None).await?;
    tracing::info!("stopping: finishing what is in hand");
    stop.send_replace(true);
    Ok(polling.await?)
}

/// `orders dead-letters`: archives until SIGTERM or Ctrl-C, then finishes the batch in hand.
pub(crate) async fn dead_letters(args: &DeadLettersArgs, faults: Faults) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let sdk = aws::config().await;
    let settings = settings::of_dead_letters(faults, args, &sdk)?;
    let common = &settings.common;
    let queue = Arc::new(aws::queue(&sdk, &settings.dlq_url));
    let table = aws::table(&sdk, &common.table_name, common.default_currency);
    usable(&ArchiveReady {
        ready: Ready { queues: vec![Arc::unwrap_or_clone(queue.clone())], table },
        bucket: aws::bucket(&sdk, &settings.bucket),
        topic: aws::topic(&sdk, &settings.topic),
    })
    .await?;
    prometheus::serve(settings.metrics, None).await?;
    let role = super::dead_letter_role(&sdk, &settings);
    let (stop, stopped) = watch::channel(false);
    // One batch after the other: letters are few, and an alert tells of as many as came together.
    let options = PollOptions { concurrency: 1, batch_size: 10, wait: WAIT };
    let polling = tokio::spawn(poll::run(queue, Arc::new(role), options, stopped));
    tracing::info!(queue = settings.dlq_url, bucket = settings.bucket, "archiving");
    hangups.until_stopped(None).await?;
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
async fn usable(health: &impl Health) -> anyhow::Result<()> {
    let ready = patiently(async || health.accepts().await).await;
    ready.or_else(|faults| bail!("what it works on cannot be used:\n  {}", faults.replace("; ", "\n  ")))
}

/// Asks more than once: a moment of throttling is no reason not to start.
async fn patiently<T, E>(ask: impl AsyncFn() -> Result<T, E>) -> Result<T, E> {
    for pause in [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)] {
        if let Ok(answer) = ask().await {
            return Ok(answer);
        }
        tokio::time::sleep(pause).await;
    }
    ask().await
}
