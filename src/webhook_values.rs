//! The flags of webhook deliveries and their values. `serve` and the roles on AWS that send webhooks use them.
//!
//! The flags are text, so that each command can report all invalid values together.

use std::time::Duration;

use clap::Args;
use consumer::webhooks::Schedule;
use consumer::webhooks::payload::DEFAULT_SOURCE;
use infra::webhook_sender::SenderOptions;

/// The maximum of every duration here. A longer value is refused, because it is probably a typo.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 3600);
const MAX_DELAYS: usize = 50;
const DEFAULT_DELAYS: &str = "5s,5m,30m,2h,5h,10h,14h,20h,24h";

/// How a command sends webhooks.
#[derive(Debug, Args)]
pub(crate) struct SendingArgs {
    /// Also deliver to private, loopback and link-local addresses, and to http URLs. Whoever may create subscriptions
    /// can then send requests into the network of this service.
    #[arg(long, env = "ORDERS_WEBHOOKS_ALLOW_PRIVATE")]
    webhooks_allow_private: bool,
    /// How long a receiver may take to answer.
    #[arg(long, env = "ORDERS_WEBHOOKS_TIMEOUT", default_value = "15s", value_name = "DURATION")]
    webhooks_timeout: String,
    #[command(flatten)]
    source: SourceArgs,
}

/// How events name this service. The relay on AWS also needs it, to publish events.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The `source` of delivered and published events: a URI that identifies this service, or a part of a URI such as
    /// `/orders`.
    #[arg(long, env = "ORDERS_WEBHOOKS_SOURCE", default_value = DEFAULT_SOURCE, value_name = "URI")]
    webhooks_source: String,
}

/// How a command repeats deliveries that fail.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The delays between the attempts of a delivery, separated by commas. Each delay is lengthened at random, by up to
    /// a fifth. After the last attempt, the delivery is given up.
    #[arg(long, env = "ORDERS_WEBHOOKS_RETRY_DELAYS", default_value = DEFAULT_DELAYS, value_name = "DURATIONS")]
    webhooks_retry_delays: String,
    /// Disable a subscription when all its deliveries have failed for this long.
    #[arg(long, env = "ORDERS_WEBHOOKS_DISABLE_AFTER", default_value = "5d", value_name = "DURATION")]
    webhooks_disable_after: String,
}

/// The values of [`SendingArgs`].
#[derive(Debug)]
pub(crate) struct SendingValues {
    pub(crate) sender: SenderOptions,
    /// The `source` of delivered events.
    pub(crate) source: String,
}

/// The values of [`RetryArgs`].
#[derive(Debug)]
pub(crate) struct RetryValues {
    pub(crate) schedule: Schedule,
    pub(crate) disable_after: Duration,
}

impl SendingArgs {
    /// The values, or one error for each invalid value.
    pub(crate) fn read(&self) -> Result<SendingValues, Vec<String>> {
        let allow_private = self.webhooks_allow_private;
        let timeout = named("ORDERS_WEBHOOKS_TIMEOUT", &self.webhooks_timeout, duration);
        both(timeout, self.source.read(), |timeout, source| SendingValues {
            sender: SenderOptions { allow_private, timeout },
            source,
        })
    }
}

impl SourceArgs {
    /// The source, or an error.
    pub(crate) fn read(&self) -> Result<String, String> {
        named("ORDERS_WEBHOOKS_SOURCE", &self.webhooks_source, source)
    }
}

impl RetryArgs {
    /// The values, or one error for each invalid value.
    pub(crate) fn read(&self) -> Result<RetryValues, Vec<String>> {
        let schedule = named("ORDERS_WEBHOOKS_RETRY_DELAYS", &self.webhooks_retry_delays, delays);
        let disable_after = named("ORDERS_WEBHOOKS_DISABLE_AFTER", &self.webhooks_disable_after, duration);
        both(schedule, disable_after, |schedule, disable_after| RetryValues { schedule, disable_after })
    }
}

/// Parses the value of a variable. The error names the variable and shows the value.
fn named<T>(name: &str, text: &str, parse: fn(&str) -> Result<T, String>) -> Result<T, String> {
    parse(text).map_err(|error| format!("{name} {text:?} {error}"))
}

/// Joins two values, or returns the errors of both.
fn both<A, B, T>(
    a: Result<A, String>,
    b: Result<B, String>,
    join: impl FnOnce(A, B) -> T,
) -> Result<T, Vec<String>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok(join(a, b)),
        (a, b) => Err(a.err().into_iter().chain(b.err()).collect()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("is not a duration such as 15s, 30m or 5d: {error}"))?;
    if duration.is_zero() || duration > MAX_DURATION {
        return Err("must be longer than 0, and at most a year".to_owned());
    }
    Ok(duration)
}

fn delays(text: &str) -> Result<Schedule, String> {
    let delays: Vec<_> = text.split(',').map(|delay| duration(delay.trim())).collect::<Result<_, _>>()?;
    if delays.len() > MAX_DELAYS {
        return Err(format!("must have at most {MAX_DELAYS} delays"));
    }
    Ok(Schedule::new(delays))
}

/// Checks that the text can be the `source` of a CloudEvent, which is a URI reference and not empty.
fn source(text: &str) -> Result<String, String> {
    let is_valid =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !r#"<>"\^`{|}"#.contains(c));
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err("must be a URI, or a part of a URI such as /orders".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_delays_are_those_of_the_schedule() {
        assert_eq!(delays(DEFAULT_DELAYS), Ok(Schedule::default()));
        assert!(delays("5s,").is_err() && delays("0s").is_err());
        let too_many = vec!["5s"; MAX_DELAYS + 1].join(",");
        assert_eq!(delays(&too_many), Err("must have at most 50 delays".to_owned()));
    }

    #[test]
    fn a_source_is_part_of_a_uri() {
        assert!(source("https://shop.example/orders").is_ok() && source("urn:shop").is_ok());
        for wrong in ["", "my shop", "a\"b", "ü"] {
            assert!(source(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_invalid_values_are_reported_with_their_variables() {
        let [webhooks_timeout, webhooks_source] = ["soon", "my shop"].map(str::to_owned);
        let source = SourceArgs { webhooks_source };
        let sending = SendingArgs { webhooks_allow_private: false, webhooks_timeout, source };
        let errors = sending.read().unwrap_err();
        assert!(errors[0].starts_with("ORDERS_WEBHOOKS_TIMEOUT \"soon\" is not a duration"), "{errors:?}");
        assert!(errors[1].starts_with("ORDERS_WEBHOOKS_SOURCE \"my shop\" must be a URI"), "{errors:?}");
        let [webhooks_retry_delays, webhooks_disable_after] = ["5s,0s", "2years"].map(str::to_owned);
        let errors = RetryArgs { webhooks_retry_delays, webhooks_disable_after }.read().unwrap_err();
        assert!(errors[0].starts_with("ORDERS_WEBHOOKS_RETRY_DELAYS \"5s,0s\" must be longer"), "{errors:?}");
        assert!(errors[1].starts_with("ORDERS_WEBHOOKS_DISABLE_AFTER \"2years\" must be"), "{errors:?}");
    }
}
