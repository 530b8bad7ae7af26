//! The webhook sender on AWS as a container. `main` runs the role. `lambda` runs it as a function, with the same [`deliveries`].

use std::sync::Arc;

use consumer::poll::{self, PollOptions};
use consumer::webhooks::queued::{QueuedDeliveries, QueuedParts};
use infra::aws::{self as adapters, AwsHealth, SdkConfig};
use infra::outbound::{JobQueue, TableState};
use infra::webhook_sender::HttpSender;
use tokio::sync::watch;

use super::args::WebhooksArgs;
use super::containers::{WAIT, check_resources, finish};
use super::settings::{self, ConfigErrors, WebhookRoleSettings};
use crate::prometheus::{self, SeriesOf};
use crate::signals::Hangups;

/// The handler for batches of webhook jobs.
pub(super) fn deliveries(sdk: &SdkConfig, settings: &WebhookRoleSettings) -> QueuedDeliveries {
    let log = adapters::table(sdk, &settings.table_name, settings.default_currency);
    QueuedDeliveries(QueuedParts {
        state: Arc::new(TableState::new(adapters::outbound(sdk, &settings.outbound))),
        log: Arc::new(log),
        sender: Arc::new(HttpSender::new(settings.sender)),
        queue: Arc::new(JobQueue(adapters::queue(sdk, &settings.queue))),
        alerts: super::alerts(sdk, &settings.topic, &settings.deployment),
        clock: infra::now,
        options: settings.options.clone(),
    })
}

/// Runs `orders webhook-sender`: delivers webhooks until SIGTERM or Ctrl-C, then finishes the open batches.
pub(crate) async fn container(args: &WebhooksArgs, errors: ConfigErrors) -> anyhow::Result<()> {
    let hangups = Hangups::listen()?;
    let sdk = adapters::config().await;
    let settings = settings::of_webhooks(errors, args, &sdk)?;
    let queue = adapters::queue(&sdk, &settings.queue);
    let table = adapters::table(&sdk, &settings.table_name, settings.default_currency);
    check_resources(&AwsHealth { queues: vec![queue.clone()], table }).await?;
    prometheus::serve(settings.metrics, None, &[SeriesOf::Consumer, SeriesOf::Alerts], None).await?;
    let work = deliveries(&sdk, &settings);
    let (stop, stopped) = watch::channel(false);
    let options = PollOptions { concurrency: settings.concurrency, batch_size: 10, wait: WAIT };
    let polling = tokio::spawn(poll::run(Arc::new(queue), Arc::new(work), options, stopped));
    tracing::info!(queue = settings.queue, outbound = settings.outbound, "delivering");
    finish(hangups, stop, polling).await
}
