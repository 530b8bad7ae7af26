//! Runs `orders api`, `consumer`, `dead-letters` and `expiry` on SQS and DynamoDB outside of Lambda, as processes that
//! run until they are stopped. Also runs `orders table create`. `main` calls this module.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use api::AppState;
use api::ports::{EventPublisher, Health};
use consumer::Consumer;
use consumer::poll::{self, PollOptions};
use consumer::relay::shards::{ShardOptions, ShardRelay};
use domain::Currency;
use infra::aws::{self, ArchiverHealth, AwsHealth, SqsDeadLetters};
use infra::outbound::Leases;
use infra::sqs::coalesce::CoalescingPublisher;
use infra::sqs::depth_limit::DepthLimitedPublisher;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::args::{ApiArgs, ConsumerArgs, DeadLettersArgs, ExpiryArgs, RelayArgs, TableCommand};
use super::log_progress;
use super::settings::{self, ConfigErrors};
use crate::prometheus::{self, SeriesOf};
use crate::signals::Hangups;

/// How long a receive call waits for messages: the maximum that SQS allows.
pub(super) const WAIT: Duration = Duration::from_secs(20);

/// How long a relay's lease on a shard lasts without a renewal. If a relay crashes, another relay continues with its
/// shards after this time.
const SHARD_LEASE: Duration = Duration::from_secs(15);
/// How often a relay looks for shards that no relay reads.
const SHARD_TICK: Duration = Duration::from_secs(3);
/// The longest pause between two reads of a shard without changes. A longer pause costs less, because each read is
/// billed.
const STREAM_PAUSE: Duration = Duration::from_secs(1);

/// Runs `orders api`: serves HTTP until SIGTERM or Ctrl-C, then finishes the open requests.
pub(crate) async fn api(args: &ApiArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let sdk = aws::config().await;
    let settings = settings::of_api(errors, args, &sdk)?;
    let (common, http, listen) = (&settings.common, &settings.http, settings.listen);
    let queue = aws::queue(&sdk, &common.queue_url).with_fair_groups(settings.fair_queue);
    let table = aws::table(&sdk, &common.table_name, common.default_currency)
        .with_search_index(settings.search_index);
    let health = AwsHealth { queues: vec![queue.clone()], table: table.clone() };
    check_resources(&health).await?;
    if let Some(name) = &settings.bucket {
        let bucket = aws::bucket(&sdk, name);
        // The service starts without waiting for the bucket's answer, because clients do not need the bucket.
        tokio::spawn(async move {
            if let Err(error) = bucket.ready().await {
                tracing::error!("operators cannot see dead letters: {error}");
            }
        });
    }
    let operations = super::operations(&sdk, &settings, &queue, &table);
    let feed = super::feed(&sdk, &settings, &table);
    let webhooks = super::webhook_store::store(&sdk, &settings, &table);
    let pipeline = operations.as_ref().map(|operations| operations.pipeline.clone());
    prometheus::serve(settings.metrics, pipeline, &[SeriesOf::Api, SeriesOf::Publishing], None).await?;
    let access = settings.auth.access().await?;

    let listener = crate::listen::bind(listen, "--listen").await?;
    tracing::info!(listen = %listener.local_addr()?, queue = common.queue_url, table = common.table_name, "serving");
    let coalescing = CoalescingPublisher::new(queue.clone());
    let publisher: Arc<dyn EventPublisher> = match settings.max_queue_depth {
        None => Arc::new(coalescing),
        Some(most) => Arc::new(DepthLimitedPublisher::new(coalescing, most, queue)),
    };
    let state = http.apply(AppState::new(publisher, Arc::new(table), Arc::new(health)));
    let (stop, stopping) = watch::channel(false);
    let state = AppState { operations, feed, webhooks, stopping: Some(stopping), ..access.apply(state) };
    let until_stopped = async move {
        if let Err(error) = hangups.until_stopped(access.keys()).await {
            tracing::error!(%error, "cannot listen for signals");
        }
        tracing::info!("stopping: finishing open work");
        stop.send_replace(true);
    };
    api::serve(listener, api::router(state), http.serve_options(), until_stopped).await
}

/// Runs `orders consumer`: handles messages until SIGTERM or Ctrl-C, then finishes the open batches.
pub(crate) async fn consumer(args: &ConsumerArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let sdk = aws::config().await;
    let settings = settings::of_consumer(errors, args, &sdk)?;
    let common = &settings.common;
    let queue = Arc::new(aws::queue(&sdk, &common.queue_url));
    let table = aws::table(&sdk, &common.table_name, common.default_currency)
        .with_search_index(settings.search_index)
        .expiring_unpaid(settings.unpaid_age);
    let dead_letters = aws::queue(&sdk, &settings.dlq_url);
    check_resources(&AwsHealth {
        queues: vec![Arc::unwrap_or_clone(queue.clone()), dead_letters.clone()],
        table: table.clone(),
    })
    .await?;

    prometheus::serve(settings.metrics, None, &[SeriesOf::Consumer], None).await?;
    let max_receives = match settings.max_receives {
        Some(count) => Some(count),
        None => with_retries(async || queue.max_receives().await).await?,
    };
    let consumer = Consumer {
        log: Arc::new(table.clone()),
        dead_letters: Arc::new(SqsDeadLetters {
            queue: dead_letters,
            table: table.clone(),
            origin: common.queue_url.clone(),
            inbox: Some(queue.clone()),
        }),
        clock: infra::now,
        default_currency: common.default_currency,
        max_receives,
        ledger: Some(Arc::new(table)),
    };
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: settings.concurrency, batch_size: 10, wait: WAIT };
    let polling = tokio::spawn(poll::run(queue, Arc::new(consumer), options, stopped));
    tracing::info!(queue = common.queue_url, table = common.table_name, "consuming");
    finish(hangups, stop, polling).await
}

/// Runs `orders dead-letters`: archives until SIGTERM or Ctrl-C, then finishes the open batch.
pub(crate) async fn dead_letters(args: &DeadLettersArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let sdk = aws::config().await;
    let settings = settings::of_dead_letters(errors, args, &sdk)?;
    let common = &settings.common;
    let queue = Arc::new(aws::queue(&sdk, &settings.dlq_url));
    let table = aws::table(&sdk, &common.table_name, common.default_currency);
    check_resources(&ArchiverHealth {
        ready: AwsHealth { queues: vec![Arc::unwrap_or_clone(queue.clone())], table },
        bucket: aws::bucket(&sdk, &settings.bucket),
        topic: aws::topic(&sdk, &settings.topic),
    })
    .await?;
    prometheus::serve(settings.metrics, None, &[SeriesOf::Consumer, SeriesOf::Alerts], None).await?;
    let role = super::dead_letter_role(&sdk, &settings);
    let (stop, stopped) = watch::channel(false);
    // Archives one batch at a time. Dead letters are rare, and a larger batch means fewer alerts.
    let options = PollOptions { concurrency: 1, batch_size: 10, wait: WAIT };
    let polling = tokio::spawn(poll::run(queue, Arc::new(role), options, stopped));
    tracing::info!(queue = settings.dlq_url, bucket = settings.bucket, "archiving");
    finish(hangups, stop, polling).await
}

/// Runs `orders expiry`: proposes to cancel orders that are unpaid at their deadline, until SIGTERM or Ctrl-C.
pub(crate) async fn expiry(args: &ExpiryArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let sdk = aws::config().await;
    let settings = settings::of_expiry(errors, args, &sdk)?;
    let common = &settings.common;
    let queue = aws::queue(&sdk, &common.queue_url).with_fair_groups(settings.fair_queue);
    let table = aws::table(&sdk, &common.table_name, common.default_currency);
    check_resources(&AwsHealth { queues: vec![queue.clone()], table: table.clone() }).await?;
    prometheus::serve(settings.metrics, None, &[SeriesOf::Publishing, SeriesOf::Expiry], None).await?;
    let role = super::expiry_role(&settings, &queue, &table);
    let (stop, stopped) = watch::channel(false);
    let expiring = tokio::spawn(async move { role.run(stopped).await });
    tracing::info!(queue = common.queue_url, table = common.table_name, "expiring");
    finish(hangups, stop, expiring).await
}

/// `orders relay`: reads the change stream of the table, appends to the feed, sends webhook jobs and publishes to outputs, until
/// SIGTERM or Ctrl-C.
pub(crate) async fn relay(args: &RelayArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let sdk = aws::config().await;
    let settings = settings::of_relay(errors, args, &sdk)?;
    // The currency is not used here, because the relay does not read events from the table.
    let table = aws::table(&sdk, &settings.table_name, Currency::parse("USD")?);
    let stream = with_retries(async || table.stream().await).await?;
    let relay = with_retries(async || super::relay(&sdk, &settings).await).await?;
    if let Some(arn) = settings.outputs.as_ref().and_then(|outputs| outputs.topic.as_ref()) {
        with_retries(async || aws::topic(&sdk, arn).exists().await).await?;
    }
    prometheus::serve(settings.metrics, None, &[SeriesOf::Relay], None).await?;
    let role = ShardRelay {
        stream: Arc::new(aws::stream(&sdk, &stream)),
        leases: Arc::new(Leases::new(aws::outbound(&sdk, &settings.outbound), &stream)),
        relay: Arc::new(relay),
        options: ShardOptions {
            owner: uuid::Uuid::now_v7().to_string(),
            lease: SHARD_LEASE,
            tick: SHARD_TICK,
            max_pause: STREAM_PAUSE,
        },
    };
    let (stop, stopped) = watch::channel(false);
    let relaying = tokio::spawn(Arc::new(role).run(stopped));
    tracing::info!(table = settings.table_name, outbound = settings.outbound, "relaying");
    finish(hangups, stop, relaying).await
}

/// Runs `orders table create`.
pub(crate) async fn create_table(command: &TableCommand, errors: ConfigErrors) -> anyhow::Result<()> {
    let TableCommand::Create { table_name, search, outbound_table } = command;
    let sdk = aws::config().await;
    let (name, outbound) = settings::of_table(errors, table_name.as_ref(), outbound_table.as_ref(), &sdk)?;
    log_progress(&format!("creating the table {name}; this may take a while"));
    // The currency is not used here, because it matters only when log entries are read.
    let table = aws::table(&sdk, &name, Currency::parse("USD")?);
    let table = table.with_search_index(search.search_index).with_stream(outbound.is_some());
    let created = table.create().await?;
    if let Some(outbound) = outbound {
        aws::outbound(&sdk, &outbound).create().await?;
    }
    let result = if created { "was created" } else { "exists already and has the right keys and indexes" };
    crate::print(&format!("the table {name} {result}"))
}

/// Waits for SIGTERM or Ctrl-C, and then until the role has finished its open work.
pub(super) async fn finish(
    hangups: Hangups,
    stop: watch::Sender<bool>,
    role: JoinHandle<()>,
) -> anyhow::Result<()> {
    hangups.until_stopped(None).await?;
    tracing::info!("stopping: finishing open work");
    stop.send_replace(true);
    Ok(role.await?)
}

/// Fails with all errors if any resource that this process needs cannot be used.
pub(super) async fn check_resources(health: &impl Health) -> anyhow::Result<()> {
    let ready = with_retries(async || health.accepts().await).await;
    ready.or_else(|errors| bail!("not ready to start:\n  {}", errors.replace("; ", "\n  ")))
}

/// Retries up to three times, so that brief throttling does not prevent the start.
async fn with_retries<T, E>(ask: impl AsyncFn() -> Result<T, E>) -> Result<T, E> {
    for pause in [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(2)] {
        if let Ok(answer) = ask().await {
            return Ok(answer);
        }
        tokio::time::sleep(pause).await;
    }
    ask().await
}
