//! The settings of the feed and of the relay that fills it. The roles and the doctor read them.

use std::net::SocketAddr;
use std::time::Duration;

use infra::aws::SdkConfig;
use infra::outbound::MAX_PARTITIONS;
use infra::sqs::is_fifo;

use super::ConfigErrors;
use super::outputs::{OutputSettings, of_relay as outputs};
use crate::aws::args::{FeedArgs, RelayArgs, WebhookQueueArgs};

/// The shortest and the longest retention of the feed. The relay may read a change again for up to a day. It recognises
/// the repetition because the event is already in the feed. So the feed must keep events for at least a day.
const RETENTION: [Duration; 2] = [Duration::from_secs(24 * 3600), Duration::from_secs(10 * 366 * 24 * 3600)];

/// The location of the feed.
#[derive(Debug, Clone)]
pub(crate) struct FeedSettings {
    /// The outbound table.
    pub(crate) table: String,
    /// The number of partitions.
    pub(crate) partitions: u32,
}

/// The settings of `orders relay`.
#[derive(Debug)]
pub(crate) struct RelaySettings {
    /// The table of orders.
    pub(crate) table_name: String,
    /// The outbound table.
    pub(crate) outbound: String,
    /// The feed, if there is one.
    pub(crate) feed: Option<FeedSettings>,
    /// The queue of webhook deliveries, if there are webhooks.
    pub(crate) webhook_queue: Option<String>,
    /// The outputs, if there are any.
    pub(crate) outputs: Option<OutputSettings>,
    /// How long the feed keeps events.
    pub(crate) retention: Duration,
    /// The address that serves metrics, or `None` to serve none.
    pub(crate) metrics: Option<SocketAddr>,
}

pub(crate) fn of_relay(
    mut errors: ConfigErrors,
    args: &RelayArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<RelaySettings> {
    errors.region(sdk);
    let table_name = errors.table("TABLE_NAME", args.table_name.as_ref());
    let webhook_queue = webhook_queue(&mut errors, &args.webhooks);
    let outputs = outputs(&mut errors, &args.outputs);
    if !args.feed.feed && matches!((&webhook_queue, &outputs), (Some(None), Some(None))) {
        let nothing = "neither ORDERS_FEED is on nor WEBHOOK_QUEUE_URL, EVENT_BUS or EVENTS_TOPIC is set, so the relay has \
                       nothing to do";
        errors.0.push(nothing.to_owned());
    }
    // The settings of a feed already contain the outbound table. Without a feed, the name of the table is checked here.
    let feed = feed(&mut errors, &args.feed);
    let outbound = match &feed {
        Some(Some(feed)) => Some(feed.table.clone()),
        Some(None) => errors.table("OUTBOUND_TABLE", args.feed.outbound_table.as_ref()),
        None => None,
    };
    let retention = &args.feed_retention;
    let parsed = humantime::parse_duration(retention).map_err(|error| error.to_string());
    let is_valid = |time: &Duration| (RETENTION[0]..=RETENTION[1]).contains(time);
    let valid = parsed.and_then(|time| {
        Some(time).filter(is_valid).ok_or("the retention must be 1 day to 10 years".to_owned())
    });
    let retention =
        errors.check(valid.map_err(|error| format!("ORDERS_FEED_RETENTION {retention:?}: {error}")));
    let metrics = errors.check(args.metrics.read());
    let settings = (|| {
        let (table_name, outbound, feed) = (table_name?, outbound?, feed?);
        let (webhook_queue, outputs, retention) = (webhook_queue?, outputs?, retention?);
        Some(RelaySettings {
            table_name,
            outbound,
            feed,
            webhook_queue,
            outputs,
            retention,
            metrics: metrics?,
        })
    })();
    errors.finish(settings)
}

/// The URL of the queue of webhook deliveries. `Some(None)` if webhooks are not configured, and `None` if the URL is
/// invalid.
pub(super) fn webhook_queue(errors: &mut ConfigErrors, args: &WebhookQueueArgs) -> Option<Option<String>> {
    let Some(url) = args.webhook_queue_url.as_ref().filter(|url| !url.is_empty()) else { return Some(None) };
    let url = errors.queue("WEBHOOK_QUEUE_URL", Some(url))?;
    let fifo = if is_fifo(&url) { Ok(url) } else { Err("WEBHOOK_QUEUE_URL is not a FIFO queue".to_owned()) };
    errors.check(fifo).map(Some)
}

/// The settings of the feed, or `Some(None)` if there is no feed. `None` after an error.
pub(super) fn feed(errors: &mut ConfigErrors, args: &FeedArgs) -> Option<Option<FeedSettings>> {
    if !args.feed {
        return Some(None);
    }
    let table = errors.table("OUTBOUND_TABLE", args.outbound_table.as_ref());
    let count = &args.feed_partitions;
    let is_valid = |count: &u32| (1..=MAX_PARTITIONS).contains(count);
    let partitions = count.parse().ok().filter(is_valid);
    let partitions = partitions
        .ok_or_else(|| format!("ORDERS_FEED_PARTITIONS {count:?} is not 1–{MAX_PARTITIONS} partitions"));
    let partitions = errors.check(partitions);
    Some(Some(FeedSettings { table: table?, partitions: partitions? }))
}
