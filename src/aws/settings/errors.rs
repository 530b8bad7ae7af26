//! Checks single settings and collects their errors. The modules that read the settings of the roles use this module.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use domain::Currency;
use infra::aws::SdkConfig;
use infra::sqs::is_fifo;

use crate::auth::{self, RequestOrigin};
use crate::aws::args::{ApiArgs, UnpaidArgs};

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
pub(crate) struct ConfigErrors(pub(super) Vec<String>);

impl ConfigErrors {
    /// Returns the value, or adds the error and returns `None`.
    pub(crate) fn check<T>(&mut self, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|error| self.0.push(error)).ok()
    }

    /// Like `check`, for a value that can have several errors.
    pub(crate) fn check_all<T>(&mut self, checked: Result<T, Vec<String>>) -> Option<T> {
        checked.map_err(|errors| self.0.extend(errors)).ok()
    }

    pub(super) fn required(&mut self, name: &str, value: Option<&String>) -> Option<String> {
        let value = value.filter(|value| !value.is_empty()).cloned();
        self.check(value.ok_or_else(|| format!("{name} is not set")))
    }

    pub(super) fn queue(&mut self, name: &str, value: Option<&String>) -> Option<String> {
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

    pub(super) fn table(&mut self, variable: &str, value: Option<&String>) -> Option<String> {
        let name = self.required(variable, value)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let valid = (3..=255).contains(&name.len()) && name.bytes().all(allowed);
        self.check(if valid {
            Ok(name)
        } else {
            Err(format!("{variable} {name:?} is not a table name: 3–255 characters of [A-Za-z0-9_.-]"))
        })
    }

    pub(super) fn bucket(&mut self, value: Option<&String>) -> Option<String> {
        let name = self.required("DLQ_BUCKET", value)?;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
        let valid = (3..=63).contains(&name.len()) && name.bytes().all(allowed);
        self.check(if valid {
            Ok(name)
        } else {
            Err(format!("DLQ_BUCKET {name:?} is not a bucket name: 3–63 characters of [a-z0-9.-]"))
        })
    }

    pub(super) fn topic(&mut self, value: Option<&String>) -> Option<String> {
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
    pub(super) fn matching_queues(&mut self, queue: Option<&String>, dlq: Option<&String>) {
        let (Some(queue), Some(dlq)) = (queue, dlq) else { return };
        if queue == dlq {
            self.0.push("QUEUE_URL and DLQ_URL are the same queue".to_owned());
        } else if is_fifo(queue) != is_fifo(dlq) {
            self.0.push("QUEUE_URL and DLQ_URL must both be FIFO queues, or neither".to_owned());
        }
    }

    pub(super) fn currency(&mut self, code: &str) -> Option<Currency> {
        self.check(
            Currency::parse(code).map_err(|error| format!("ORDERS_DEFAULT_CURRENCY {code:?}: {error}")),
        )
    }

    pub(super) fn depth(&mut self, value: &str) -> Option<Option<NonZeroU64>> {
        let depth = value.parse().map_err(|_| format!("ORDERS_MAX_QUEUE_DEPTH {value:?} is not a number"));
        self.check(depth).map(NonZeroU64::new)
    }

    pub(super) fn unpaid_age(&mut self, args: &UnpaidArgs) -> Option<Duration> {
        let age = args.expire_unpaid.as_ref().filter(|age| !age.is_empty())?;
        let parsed = crate::unpaid_age::parse(age);
        self.check(parsed.map_err(|error| format!("ORDERS_EXPIRE_UNPAID {age:?}: {error}")))
    }

    pub(super) fn region(&mut self, sdk: &SdkConfig) {
        if sdk.region().is_none() {
            self.0.push("AWS_REGION is not set, and no profile has a region".to_owned());
        }
    }

    pub(super) fn auth(&mut self, args: &ApiArgs, origin: RequestOrigin) -> Option<auth::AuthSettings> {
        self.check_all(args.auth.settings(origin))
    }

    /// Returns the settings if there are no errors. Otherwise returns one error that lists every problem.
    pub(crate) fn finish<T>(self, settings: Option<T>) -> anyhow::Result<T> {
        match settings {
            Some(settings) if self.0.is_empty() => Ok(settings),
            _ => Err(InvalidConfig(self.0).into()),
        }
    }
}
