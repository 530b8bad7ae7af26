//! Checks what the roles are configured with, all of it before the first complaint.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;

use domain::Currency;
use infra::aws::SdkConfig;
use infra::sqs::is_fifo;

use super::{ApiArgs, AwsArgs, ConsumerArgs, DeadLettersArgs};
use crate::auth::{self, Origin};
use crate::http::HttpSettings;

/// Settings that a role cannot start with.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) Vec<String>);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is not right:\n  {}", self.0.join("\n  "))
    }
}

impl std::error::Error for Wrong {}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    /// The value, or `None` with one more fault.
    pub(crate) fn check<T>(&mut self, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|fault| self.0.push(fault)).ok()
    }

    fn required(&mut self, name: &str, value: Option<&String>) -> Option<String> {
        let value = value.filter(|value| !value.is_empty()).cloned();
        self.check(value.ok_or_else(|| format!("{name} is not set")))
    }

    fn queue(&mut self, name: &str, value: Option<&String>) -> Option<String> {
        let url = self.required(name, value)?;
        let named = |rest: &str| {
            rest.split_once('/').is_some_and(|(host, path)| !host.is_empty() && !path.is_empty())
        };
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let right = rest.is_some_and(named);
        // SQS knows who asks by the signature; what stands here would only be logged.
        if rest.is_some_and(|rest| rest.split('/').next().is_some_and(|host| host.contains('@'))) {
            self.0.push(format!("{name} must not have a name or a password"));
            return None;
        }
        self.check(if right {
            Ok(url)
        } else {
            Err(format!("{name} {url:?} is not the URL of a queue, such as https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo"))
        })
    }

    fn table(&mut self, value: Option<&String>) -> Option<String> {
        let name = self.required("TABLE_NAME", value)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let right = (3..=255).contains(&name.len()) && name.bytes().all(allowed);
        self.check(if right {
            Ok(name)
        } else {
            Err(format!("TABLE_NAME {name:?} is not the name of a table: 3–255 characters of [A-Za-z0-9_.-]"))
        })
    }

    fn bucket(&mut self, value: Option<&String>) -> Option<String> {
        let name = self.required("DLQ_BUCKET", value)?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
        let right = (3..=63).contains(&name.len()) && name.bytes().all(allowed);
        self.check(if right {
            Ok(name)
        } else {
            Err(format!("DLQ_BUCKET {name:?} is not the name of a bucket: 3–63 characters of [a-z0-9.-]"))
        })
    }

    fn topic(&mut self, value: Option<&String>) -> Option<String> {
        let arn = self.required("ALERTS_TOPIC", value)?;
        let parts: Vec<_> = arn.split(':').collect();
        let right = matches!(parts[..], ["arn", _, "sns", region, account, name]
            if !region.is_empty() && !account.is_empty() && !name.is_empty() && !name.ends_with(".fifo"));
        self.check(if right {
            Ok(arn)
        } else {
            Err(format!(
                "ALERTS_TOPIC {arn:?} is not the ARN of a standard SNS topic, such as arn:aws:sns:eu-central-1:123456789012:alerts"
            ))
        })
    }

    /// Checks that a queue and its dead letters are two queues of one kind.
    fn two_of_a_kind(&mut self, queue: Option<&String>, dlq: Option<&String>) {
        let (Some(queue), Some(dlq)) = (queue, dlq) else { return };
        if queue == dlq {
            self.0.push("QUEUE_URL and DLQ_URL are the same queue".to_owned());
        } else if is_fifo(queue) != is_fifo(dlq) {
            self.0.push("QUEUE_URL and DLQ_URL must both be FIFO queues, or neither".to_owned());
        }
    }

    fn currency(&mut self, args: &AwsArgs) -> Option<Currency> {
        let code = &args.default_currency;
        self.check(
            Currency::parse(code).map_err(|error| format!("ORDERS_DEFAULT_CURRENCY {code:?}: {error}")),
        )
    }

    fn region(&mut self, sdk: &SdkConfig) {
        if sdk.region().is_none() {
            self.0.push("AWS_REGION is not set, and no profile states a region".to_owned());
        }
    }

    fn auth(&mut self, args: &ApiArgs, origin: Origin) -> Option<auth::Settings> {
        args.auth.settings(origin).map_err(|faults| self.0.extend(faults)).ok()
    }

    /// An error that lists every fault, if there is any.
    pub(crate) fn finish<T>(self, settings: Option<T>) -> anyhow::Result<T> {
        match settings {
            Some(settings) if self.0.is_empty() => Ok(settings),
            _ => Err(Wrong(self.0).into()),
        }
    }
}

/// What every role needs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) queue_url: String,
    pub(crate) table_name: String,
    pub(crate) default_currency: Currency,
}

fn common(faults: &mut Faults, args: &AwsArgs, sdk: &SdkConfig) -> Option<Settings> {
    faults.region(sdk);
    let queue_url = faults.queue("QUEUE_URL", args.queue_url.as_ref());
    let table_name = faults.table(args.table_name.as_ref());
    let default_currency = faults.currency(args);
    Some(Settings { queue_url: queue_url?, table_name: table_name?, default_currency: default_currency? })
}

/// What the API needs.
#[derive(Debug)]
pub(crate) struct ApiSettings {
    pub(crate) common: Settings,
    pub(crate) listen: SocketAddr,
    pub(crate) http: HttpSettings,
    pub(crate) auth: auth::Settings,
    /// Messages on the queue at which no event is accepted, if there is such a bound.
    pub(crate) max_queue_depth: Option<NonZeroU64>,
    /// Where the dead letters are archived, if operators are served.
    pub(crate) bucket: Option<String>,
    /// Where those are that are not archived yet, if that is known.
    pub(crate) dlq_url: Option<String>,
    /// Where metrics are served, if anywhere.
    pub(crate) metrics: Option<SocketAddr>,
}

/// As a container.
pub(crate) fn of_api(faults: Faults, args: &ApiArgs, sdk: &SdkConfig) -> anyhow::Result<ApiSettings> {
    api(faults, args, sdk, Origin::Listening)
}

/// As a function.
pub(crate) fn of_api_function(
    faults: Faults,
    args: &ApiArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<ApiSettings> {
    api(faults, args, sdk, |_| Origin::Lambda)
}

fn api(
    mut faults: Faults,
    args: &ApiArgs,
    sdk: &SdkConfig,
    origin: impl Fn(SocketAddr) -> Origin,
) -> anyhow::Result<ApiSettings> {
    let common = common(&mut faults, &args.aws, sdk);
    let listen = &args.listen;
    let listen = crate::listen::address(listen).map_err(|fault| format!("ORDERS_LISTEN {listen:?} {fault}"));
    let listen = faults.check(listen);
    let http = args.http.read().map_err(|wrong| faults.0.extend(wrong)).ok();
    let depth = &args.max_queue_depth;
    let depth = depth.parse().map_err(|_| format!("ORDERS_MAX_QUEUE_DEPTH {depth:?} is not a count"));
    let depth = faults.check(depth).map(NonZeroU64::new);
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let bucket = given(&args.letters.dlq_bucket).map(|name| faults.bucket(Some(&name)));
    let dlq_url = given(&args.letters.dlq_url).map(|url| faults.queue("DLQ_URL", Some(&url)));
    let metrics = faults.check(args.metrics.read());
    let auth = listen.and_then(|listen| faults.auth(args, origin(listen)));
    let settings = (|| {
        let (common, listen, http, auth) = (common?, listen?, http?, auth?);
        let (bucket, dlq_url) = (bucket.flatten(), dlq_url.flatten());
        let (max_queue_depth, metrics) = (depth?, metrics?);
        Some(ApiSettings { common, listen, http, auth, max_queue_depth, bucket, dlq_url, metrics })
    })();
    faults.finish(settings)
}

/// What the consumer needs.
#[derive(Debug)]
pub(crate) struct ConsumerSettings {
    pub(crate) common: Settings,
    pub(crate) dlq_url: String,
    pub(crate) concurrency: usize,
    /// How often the queue delivers a message, if that is told.
    pub(crate) max_receives: Option<u32>,
    /// Where metrics are served, if anywhere.
    pub(crate) metrics: Option<SocketAddr>,
}

pub(crate) fn of_consumer(
    mut faults: Faults,
    args: &ConsumerArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<ConsumerSettings> {
    let common = common(&mut faults, &args.aws, sdk);
    let dlq_url = faults.queue("DLQ_URL", args.dlq_url.as_ref());
    faults.two_of_a_kind(args.aws.queue_url.as_ref(), dlq_url.as_ref());
    let count = &args.concurrency;
    let right = |count: &usize| (1..=256).contains(count);
    let concurrency =
        count.parse().ok().filter(right).ok_or_else(|| format!("ORDERS_CONCURRENCY {count:?} is not 1–256"));
    let concurrency = faults.check(concurrency);
    let receives = args.max_receives.as_ref().filter(|count| !count.is_empty());
    let max_receives = receives.map(|count| {
        let right = |count: &u32| (1..=1000).contains(count);
        let right = count.parse().ok().filter(right);
        faults.check(right.ok_or_else(|| format!("ORDERS_MAX_RECEIVES {count:?} is not 1–1000")))
    });
    let metrics = faults.check(args.metrics.read());
    let settings = (|| {
        let (common, dlq_url, concurrency, metrics) = (common?, dlq_url?, concurrency?, metrics?);
        let max_receives = max_receives.flatten();
        Some(ConsumerSettings { common, dlq_url, concurrency, max_receives, metrics })
    })();
    faults.finish(settings)
}

/// What looking after the dead letters needs.
#[derive(Debug)]
pub(crate) struct DeadLetterSettings {
    pub(crate) common: Settings,
    pub(crate) dlq_url: String,
    pub(crate) bucket: String,
    pub(crate) topic: String,
    /// Where metrics are served, if anywhere.
    pub(crate) metrics: Option<SocketAddr>,
}

pub(crate) fn of_dead_letters(
    mut faults: Faults,
    args: &DeadLettersArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<DeadLetterSettings> {
    let common = common(&mut faults, &args.aws, sdk);
    let dlq_url = faults.queue("DLQ_URL", args.dlq_url.as_ref());
    faults.two_of_a_kind(args.aws.queue_url.as_ref(), dlq_url.as_ref());
    let bucket = faults.bucket(args.dlq_bucket.as_ref());
    let topic = faults.topic(args.alerts_topic.as_ref());
    let metrics = faults.check(args.metrics.read());
    let settings = (|| {
        let (common, dlq_url, bucket, topic) = (common?, dlq_url?, bucket?, topic?);
        Some(DeadLetterSettings { common, dlq_url, bucket, topic, metrics: metrics? })
    })();
    faults.finish(settings)
}

/// What making the table needs.
pub(crate) fn of_table(mut faults: Faults, name: Option<&String>, sdk: &SdkConfig) -> anyhow::Result<String> {
    faults.region(sdk);
    let name = faults.table(name);
    faults.finish(name)
}
