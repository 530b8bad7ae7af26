//! Validates the settings of the roles and reports all errors together. The roles and the doctor call it.

mod expiry;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use domain::Currency;
use infra::aws::SdkConfig;
use infra::sqs::is_fifo;

use super::args::{ApiArgs, AwsArgs, ConsumerArgs, DeadLettersArgs, UnpaidArgs};
use crate::auth::{self, RequestOrigin};
use crate::http::HttpSettings;
pub(crate) use expiry::{ExpirySettings, of_expiry};

/// All errors in the settings of a role.
#[derive(Debug)]
pub(crate) struct InvalidConfig(pub(crate) Vec<String>);

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is invalid:\n  {}", self.0.join("\n  "))
    }
}

impl std::error::Error for InvalidConfig {}

/// Collects the errors in the settings.
#[derive(Debug, Default)]
pub(crate) struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// Returns the value, or adds the error and returns `None`.
    pub(crate) fn check<T>(&mut self, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|error| self.0.push(error)).ok()
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
        let valid = rest.is_some_and(named);
        // Requests to SQS are signed, so credentials in the URL would be useless. They would also appear in logs.
        if rest.is_some_and(|rest| rest.split('/').next().is_some_and(|host| host.contains('@'))) {
            self.0.push(format!("{name} must not have a user name or password"));
            return None;
        }
        self.check(if valid {
            Ok(url)
        } else {
            Err(format!("{name} {url:?} is not a queue URL, such as https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo"))
        })
    }

    fn table(&mut self, value: Option<&String>) -> Option<String> {
        let name = self.required("TABLE_NAME", value)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let valid = (3..=255).contains(&name.len()) && name.bytes().all(allowed);
        self.check(if valid {
            Ok(name)
        } else {
            Err(format!("TABLE_NAME {name:?} is not a table name: 3–255 characters of [A-Za-z0-9_.-]"))
        })
    }

    fn bucket(&mut self, value: Option<&String>) -> Option<String> {
        let name = self.required("DLQ_BUCKET", value)?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
        let valid = (3..=63).contains(&name.len()) && name.bytes().all(allowed);
        self.check(if valid {
            Ok(name)
        } else {
            Err(format!("DLQ_BUCKET {name:?} is not a bucket name: 3–63 characters of [a-z0-9.-]"))
        })
    }

    fn topic(&mut self, value: Option<&String>) -> Option<String> {
        let arn = self.required("ALERTS_TOPIC", value)?;
        let parts: Vec<_> = arn.split(':').collect();
        let valid = matches!(parts[..], ["arn", _, "sns", region, account, name]
            if !region.is_empty() && !account.is_empty() && !name.is_empty() && !name.ends_with(".fifo"));
        self.check(if valid {
            Ok(arn)
        } else {
            Err(format!(
                "ALERTS_TOPIC {arn:?} is not the ARN of a standard SNS topic, such as arn:aws:sns:eu-central-1:123456789012:alerts"
            ))
        })
    }

    /// Checks that the queue and the dead-letter queue are different and both FIFO or both standard.
    fn matching_queues(&mut self, queue: Option<&String>, dlq: Option<&String>) {
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

    fn depth(&mut self, value: &str) -> Option<Option<NonZeroU64>> {
        let depth = value.parse().map_err(|_| format!("ORDERS_MAX_QUEUE_DEPTH {value:?} is not a number"));
        self.check(depth).map(NonZeroU64::new)
    }

    fn unpaid_age(&mut self, args: &UnpaidArgs) -> Option<Duration> {
        let age = args.expire_unpaid.as_ref().filter(|age| !age.is_empty())?;
        let parsed = crate::unpaid_age::parse(age);
        self.check(parsed.map_err(|error| format!("ORDERS_EXPIRE_UNPAID {age:?}: {error}")))
    }

    fn region(&mut self, sdk: &SdkConfig) {
        if sdk.region().is_none() {
            self.0.push("AWS_REGION is not set, and no profile states a region".to_owned());
        }
    }

    fn auth(&mut self, args: &ApiArgs, origin: RequestOrigin) -> Option<auth::AuthSettings> {
        args.auth.settings(origin).map_err(|found| self.0.extend(found)).ok()
    }

    /// The settings, or one error that lists every problem.
    pub(crate) fn finish<T>(self, settings: Option<T>) -> anyhow::Result<T> {
        match settings {
            Some(settings) if self.0.is_empty() => Ok(settings),
            _ => Err(InvalidConfig(self.0).into()),
        }
    }
}

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
    let table_name = errors.table(args.table_name.as_ref());
    let default_currency = errors.currency(args);
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
    /// Whether the table has the search index.
    pub(crate) search_index: bool,
    pub(crate) listen: SocketAddr,
    pub(crate) http: HttpSettings,
    pub(crate) auth: auth::AuthSettings,
    /// The number of queued messages from which on the API refuses events, or `None` for no limit.
    pub(crate) max_queue_depth: Option<NonZeroU64>,
    /// The bucket of archived dead letters. Without a bucket, the API has no operator endpoints.
    pub(crate) bucket: Option<String>,
    /// The dead-letter queue. Its messages are counted as dead letters that are not archived yet.
    pub(crate) dlq_url: Option<String>,
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
    let http = args.http.read().map_err(|found| errors.0.extend(found)).ok();
    let depth = errors.depth(&args.max_queue_depth);
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let bucket = given(&args.letters.dlq_bucket).map(|name| errors.bucket(Some(&name)));
    let dlq_url = given(&args.letters.dlq_url).map(|url| errors.queue("DLQ_URL", Some(&url)));
    let metrics = errors.check(args.metrics.read());
    let auth = listen.and_then(|listen| errors.auth(args, origin(listen)));
    let settings = (|| {
        let (common, listen, http, auth) = (common?, listen?, http?, auth?);
        let (bucket, dlq_url) = (bucket.flatten(), dlq_url.flatten());
        let (max_queue_depth, metrics, search_index) = (depth?, metrics?, args.search.search_index);
        Some(ApiSettings {
            common,
            search_index,
            listen,
            http,
            auth,
            max_queue_depth,
            bucket,
            dlq_url,
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
    /// The address that serves metrics; `None`: no metrics.
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
    let count = &args.concurrency;
    let valid = |count: &usize| (1..=256).contains(count);
    let concurrency =
        count.parse().ok().filter(valid).ok_or_else(|| format!("ORDERS_CONCURRENCY {count:?} is not 1–256"));
    let concurrency = errors.check(concurrency);
    let receives = args.max_receives.as_ref().filter(|count| !count.is_empty());
    let max_receives = receives.map(|count| {
        let valid = |count: &u32| (1..=1000).contains(count);
        let count_or_none = count.parse().ok().filter(valid);
        errors.check(count_or_none.ok_or_else(|| format!("ORDERS_MAX_RECEIVES {count:?} is not 1–1000")))
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

/// The settings of `orders dead-letters`.
#[derive(Debug)]
pub(crate) struct DeadLetterSettings {
    pub(crate) common: CommonSettings,
    pub(crate) dlq_url: String,
    pub(crate) bucket: String,
    pub(crate) topic: String,
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
        Some(DeadLetterSettings { common, dlq_url, bucket, topic, metrics: metrics? })
    })();
    errors.finish(settings)
}

/// The table name of `orders table create`.
pub(crate) fn of_table(
    mut errors: ConfigErrors,
    name: Option<&String>,
    sdk: &SdkConfig,
) -> anyhow::Result<String> {
    errors.region(sdk);
    let name = errors.table(name);
    errors.finish(name)
}
