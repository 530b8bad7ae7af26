//! Validates the settings of the roles and reports all errors together. The roles and the doctor call this module.

mod errors;
mod expiry;
mod outputs;
mod relay;
#[cfg(feature = "embedded")]
mod transfer;
mod webhooks;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use consumer::alert::Deployment;
use domain::Currency;
use infra::aws::SdkConfig;

use super::args::{ApiArgs, AwsArgs, ConsumerArgs, DeadLettersArgs};
use crate::auth::{self, RequestOrigin};
use crate::http::HttpSettings;
pub(crate) use errors::ConfigErrors;
#[cfg(feature = "doctor")]
pub(crate) use errors::InvalidConfig;
pub(crate) use expiry::{ExpirySettings, of_expiry};
pub(crate) use outputs::OutputSettings;
pub(crate) use relay::{FeedSettings, RelaySettings, of_relay};
#[cfg(feature = "embedded")]
pub(crate) use transfer::{TransferSettings, of_fill, of_transfer};
pub(crate) use webhooks::{ApiWebhooks, WebhookRoleSettings, of_webhooks};

/// The settings that all roles have.
#[derive(Debug)]
pub(crate) struct CommonSettings {
    pub(crate) queue_url: String,
    pub(crate) table_name: String,
    pub(crate) default_currency: Currency,
}

fn common(errors: &mut ConfigErrors, args: &AwsArgs, sdk: &SdkConfig) -> Option<CommonSettings> {
    errors.region(sdk);
    let queue_url = errors.queue("QUEUE_URL", args.queue_url.as_ref());
    let table_name = errors.table("TABLE_NAME", args.table_name.as_ref());
    let default_currency = errors.currency(&args.default_currency);
    Some(CommonSettings {
        queue_url: queue_url?,
        table_name: table_name?,
        default_currency: default_currency?,
    })
}

/// The settings of `orders api`.
#[derive(Debug)]
pub(crate) struct ApiSettings {
    pub(crate) common: CommonSettings,
    /// Whether a standard queue is shared fairly.
    pub(crate) fair_queue: bool,
    /// Whether the table has the search index.
    pub(crate) search_index: bool,
    pub(crate) listen: SocketAddr,
    pub(crate) http: HttpSettings,
    pub(crate) auth: auth::AuthSettings,
    /// The API refuses events while at least this many messages are queued. `None` means no limit.
    pub(crate) max_queue_depth: Option<NonZeroU64>,
    /// The bucket of archived dead letters. Without a bucket, the API has no operator endpoints.
    pub(crate) bucket: Option<String>,
    /// The dead-letter queue. Its messages are counted as dead letters that are not archived yet.
    pub(crate) dlq_url: Option<String>,
    /// The feed, if there is one.
    pub(crate) feed: Option<FeedSettings>,
    /// The webhooks, if there are any.
    pub(crate) webhooks: Option<ApiWebhooks>,
    /// The address that serves metrics, or `None` to serve none.
    pub(crate) metrics: Option<SocketAddr>,
}

/// The settings of the API in a container.
pub(crate) fn of_api(errors: ConfigErrors, args: &ApiArgs, sdk: &SdkConfig) -> anyhow::Result<ApiSettings> {
    api(errors, args, sdk, RequestOrigin::Listening)
}

/// The settings of the API as a Lambda function.
pub(crate) fn of_api_function(
    errors: ConfigErrors,
    args: &ApiArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<ApiSettings> {
    api(errors, args, sdk, |_| RequestOrigin::Lambda)
}

fn api(
    mut errors: ConfigErrors,
    args: &ApiArgs,
    sdk: &SdkConfig,
    origin: impl Fn(SocketAddr) -> RequestOrigin,
) -> anyhow::Result<ApiSettings> {
    let common = common(&mut errors, &args.aws, sdk);
    let listen = &args.listen;
    let listen = crate::listen::address(listen).map_err(|error| format!("ORDERS_LISTEN {listen:?} {error}"));
    let listen = errors.check(listen);
    let http = errors.check_all(args.http.read());
    let depth = errors.depth(&args.max_queue_depth);
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let bucket = given(&args.letters.dlq_bucket).map(|name| errors.bucket(Some(&name)));
    let dlq_url = given(&args.letters.dlq_url).map(|url| errors.queue("DLQ_URL", Some(&url)));
    let feed = relay::feed(&mut errors, &args.feed);
    let webhooks = webhooks::of_api(&mut errors, args);
    let metrics = errors.check(args.metrics.read());
    let auth = listen.and_then(|listen| errors.auth(args, origin(listen)));
    let settings = (|| {
        let (common, listen, http, auth) = (common?, listen?, http?, auth?);
        let (bucket, dlq_url) = (bucket.flatten(), dlq_url.flatten());
        let (feed, webhooks) = (feed?, webhooks?);
        let (max_queue_depth, metrics, search_index) = (depth?, metrics?, args.search.search_index);
        Some(ApiSettings {
            common,
            fair_queue: args.fair.fair_queue,
            search_index,
            listen,
            http,
            auth,
            max_queue_depth,
            bucket,
            dlq_url,
            feed,
            webhooks,
            metrics,
        })
    })();
    errors.finish(settings)
}

/// The settings of `orders consumer`.
#[derive(Debug)]
pub(crate) struct ConsumerSettings {
    pub(crate) common: CommonSettings,
    /// Whether the table has the search index.
    pub(crate) search_index: bool,
    pub(crate) dlq_url: String,
    pub(crate) concurrency: usize,
    /// The queue's `maxReceiveCount`, if set.
    pub(crate) max_receives: Option<u32>,
    /// The age at which unpaid orders expire.
    pub(crate) unpaid_age: Option<Duration>,
    /// The address that serves metrics, or `None` to serve none.
    pub(crate) metrics: Option<SocketAddr>,
}

pub(crate) fn of_consumer(
    mut errors: ConfigErrors,
    args: &ConsumerArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<ConsumerSettings> {
    let common = common(&mut errors, &args.aws, sdk);
    let dlq_url = errors.queue("DLQ_URL", args.dlq_url.as_ref());
    errors.matching_queues(args.aws.queue_url.as_ref(), dlq_url.as_ref());
    let concurrency = concurrency(&mut errors, &args.concurrency);
    let receives = args.max_receives.as_ref().filter(|count| !count.is_empty());
    let max_receives = receives.map(|count| {
        let valid = |count: &u32| (1..=1000).contains(count);
        let count_or_none = count.parse().ok().filter(valid);
        errors.check(
            count_or_none
                .ok_or_else(|| format!("ORDERS_MAX_RECEIVES {count:?} is not a number from 1 to 1000")),
        )
    });
    let unpaid_age = errors.unpaid_age(&args.unpaid);
    let metrics = errors.check(args.metrics.read());
    let settings = (|| {
        let (common, dlq_url, concurrency, metrics) = (common?, dlq_url?, concurrency?, metrics?);
        let (max_receives, search_index) = (max_receives.flatten(), args.search.search_index);
        Some(ConsumerSettings {
            common,
            search_index,
            dlq_url,
            concurrency,
            max_receives,
            unpaid_age,
            metrics,
        })
    })();
    errors.finish(settings)
}

/// Parses the number of batches that are handled concurrently, from 1 to 256.
fn concurrency(errors: &mut ConfigErrors, count: &str) -> Option<usize> {
    let valid = |count: &usize| (1..=256).contains(count);
    let parsed = count.parse().ok().filter(valid);
    errors.check(parsed.ok_or_else(|| format!("ORDERS_CONCURRENCY {count:?} is not a number from 1 to 256")))
}

/// The settings of `orders dead-letters`.
#[derive(Debug)]
pub(crate) struct DeadLetterSettings {
    pub(crate) common: CommonSettings,
    pub(crate) dlq_url: String,
    pub(crate) bucket: String,
    pub(crate) topic: String,
    pub(crate) deployment: Deployment,
    /// The address that serves metrics, or `None` to serve none.
    pub(crate) metrics: Option<SocketAddr>,
}

pub(crate) fn of_dead_letters(
    mut errors: ConfigErrors,
    args: &DeadLettersArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<DeadLetterSettings> {
    let common = common(&mut errors, &args.aws, sdk);
    let dlq_url = errors.queue("DLQ_URL", args.dlq_url.as_ref());
    errors.matching_queues(args.aws.queue_url.as_ref(), dlq_url.as_ref());
    let bucket = errors.bucket(args.dlq_bucket.as_ref());
    let topic = errors.topic(args.alerts_topic.as_ref());
    let metrics = errors.check(args.metrics.read());
    let settings = (|| {
        let (common, dlq_url, bucket, topic) = (common?, dlq_url?, bucket?, topic?);
        let deployment = args.deployment.or_named(|| common.table_name.clone());
        Some(DeadLetterSettings { common, dlq_url, bucket, topic, deployment, metrics: metrics? })
    })();
    errors.finish(settings)
}

/// The table name of `orders table create`, and the name of the outbound table if there is one.
pub(crate) fn of_table(
    mut errors: ConfigErrors,
    name: Option<&String>,
    outbound: Option<&String>,
    sdk: &SdkConfig,
) -> anyhow::Result<(String, Option<String>)> {
    errors.region(sdk);
    let name = errors.table("TABLE_NAME", name);
    let outbound = outbound.filter(|name| !name.is_empty());
    let outbound = outbound.map(|name| errors.table("OUTBOUND_TABLE", Some(name)));
    errors.finish((|| Some((name?, outbound.map_or(Some(None), |name| name.map(Some))?)))())
}
