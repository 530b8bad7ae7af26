//! The settings of webhooks, for the webhook sender and for the API, which manages subscriptions. The roles and the doctor read
//! these settings.

use std::net::SocketAddr;

use consumer::alert::Deployment;
use consumer::webhooks::queued::QueuedOptions;
use domain::Currency;
use infra::aws::SdkConfig;
use infra::webhook_sender::SenderOptions;

use super::relay::webhook_queue;
use super::{ConfigErrors, concurrency};
use crate::aws::args::{ApiArgs, WebhooksArgs};
use crate::webhook_values::{RetryValues, SendingValues};

/// The webhooks of the API.
#[derive(Debug)]
pub(crate) struct ApiWebhooks {
    /// The outbound table.
    pub(crate) table: String,
    /// The queue of deliveries.
    pub(crate) queue: String,
    pub(crate) sender: SenderOptions,
    /// The `source` of events.
    pub(crate) source: String,
}

/// The webhooks of the API, or `Some(None)` if there are none. `None` after an error.
pub(super) fn of_api(errors: &mut ConfigErrors, args: &ApiArgs) -> Option<Option<ApiWebhooks>> {
    let Some(queue) = webhook_queue(errors, &args.webhooks)? else { return Some(None) };
    let table = errors.table("OUTBOUND_TABLE", args.feed.outbound_table.as_ref());
    let SendingValues { sender, source } = errors.check_all(args.sending.read())?;
    Some(Some(ApiWebhooks { table: table?, queue, sender, source }))
}

/// The settings of `orders webhook-sender`.
#[derive(Debug)]
pub(crate) struct WebhookRoleSettings {
    pub(crate) table_name: String,
    pub(crate) default_currency: Currency,
    /// The outbound table.
    pub(crate) outbound: String,
    /// The queue of deliveries.
    pub(crate) queue: String,
    /// The topic for alerts.
    pub(crate) topic: String,
    pub(crate) deployment: Deployment,
    pub(crate) sender: SenderOptions,
    pub(crate) options: QueuedOptions,
    pub(crate) concurrency: usize,
    /// The address that serves metrics, or `None` to serve none.
    pub(crate) metrics: Option<SocketAddr>,
}

pub(crate) fn of_webhooks(
    mut errors: ConfigErrors,
    args: &WebhooksArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<WebhookRoleSettings> {
    errors.region(sdk);
    let table_name = errors.table("TABLE_NAME", args.table_name.as_ref());
    let default_currency = errors.currency(&args.default_currency);
    let outbound = errors.table("OUTBOUND_TABLE", args.outbound_table.as_ref());
    errors.required("WEBHOOK_QUEUE_URL", args.queue.webhook_queue_url.as_ref());
    let queue = webhook_queue(&mut errors, &args.queue).flatten();
    let topic = errors.topic(args.alerts_topic.as_ref());
    let (sending, retries) = (errors.check_all(args.sending.read()), errors.check_all(args.retries.read()));
    let concurrency = concurrency(&mut errors, &args.concurrency);
    let metrics = errors.check(args.metrics.read());
    let settings = (|| {
        let (SendingValues { sender, source }, RetryValues { schedule, disable_after }) =
            (sending?, retries?);
        let options = QueuedOptions { source, schedule, disable_after, ..QueuedOptions::default() };
        let table_name = table_name?;
        Some(WebhookRoleSettings {
            deployment: args.deployment.or_named(|| table_name.clone()),
            table_name,
            default_currency: default_currency?,
            outbound: outbound?,
            queue: queue?,
            topic: topic?,
            sender,
            options,
            concurrency: concurrency?,
            metrics: metrics?,
        })
    })();
    errors.finish(settings)
}
