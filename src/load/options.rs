//! The flags of `orders load`, and the settings that follow from several flags together.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::lives::Lives;
use super::mix::RequestMix;
use super::webhooks::WebhookArgs;
use crate::base_url::{BaseUrl, LOCAL_SERVICE};

/// The requests per second if `--rate` is absent: enough for a measurement, and few enough to be harmless.
const DEFAULT_RATE: f64 = 100.0;
/// How long the run waits for an answer or an outcome if `--patience` is absent.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);
/// The maximum backoff of an event that arrives too early. Such events are common on an unordered queue.
const LONGEST_DELAY: Duration = Duration::from_secs(300);
/// The number of connections of an open loop if `--connections` is absent.
const DEFAULT_CONNECTIONS: usize = 256;

#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    /// The service's URL, including its base path if it has one.
    #[arg(long, env = variables().0, default_value = LOCAL_SERVICE, value_name = "URL")]
    pub(super) url: BaseUrl,
    /// A bearer token that may read and write orders. Other users of this machine can see flags: prefer the variable or
    /// --token-file.
    #[arg(long, env = variables().1, value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Read the token from this file. Make it readable by you alone (mode 0600).
    #[arg(long, env = variables().2, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Run an open loop with this many requests per second. Their send times are fixed in advance, and latency counts from
    /// these times, however late a request is sent. Default without --connections: 100.
    #[arg(long, value_name = "PER SECOND", value_parser = positive_rate)]
    pub(super) rate: Option<f64>,
    /// Without --rate, run a closed loop with this many connections: each connection sends its next request when the
    /// previous one is answered. With --rate, use at most this many connections. Default with --rate: 256.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) connections: Option<u16>,
    /// How the send times of an open loop are spread.
    #[arg(long, value_enum, default_value_t = ArrivalPattern::Poisson)]
    pub(super) arrivals: ArrivalPattern,
    /// How many seconds of load to measure.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = positive_seconds)]
    pub(super) duration: Duration,
    /// How many seconds of load to send before the measurement. This load is audited, but not measured.
    #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub(super) warm_up: Duration,
    /// The kinds of requests and their weights: `create`, `advance` (the next step of an order's life), `cancel`, `read`,
    /// `retry` (an earlier write with the same idempotency key), `illegal` (an event that the rules forbid now) and
    /// `malformed`. A kind that is not listed has weight 0.
    #[arg(long, default_value_t = RequestMix::default(), value_name = "KIND=WEIGHT,…")]
    pub(super) mix: RequestMix,
    /// The steps that `advance` takes orders through.
    #[arg(long, value_enum, default_value_t)]
    pub(super) lives: Lives,
    /// The seed of all random choices. The same seed gives the same send times and requests, as long as the service gives
    /// the same answers.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// How many customers the orders belong to.
    #[arg(long, default_value_t = 1000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) customers: u32,
    /// How many accepted events per second to follow until they are recorded.
    #[arg(long, default_value_t = 100, value_name = "PER SECOND")]
    pub(super) samples: u32,
    /// How many seconds a request may take. After that it has failed.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = positive_seconds)]
    pub(super) timeout: Duration,
    /// How many seconds to retry a failed request, and to wait for the next outcome. Default: 60. With --unordered the
    /// default for outcomes is 360, because an event that arrives too early may be delayed by 300 seconds. The audit ends
    /// when the service has not answered anything for this long.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    patience: Option<Duration>,
    /// The queue does not preserve order (a standard SQS queue). `illegal` then sends only events that can never become
    /// legal, and the audit does not check the sequence of an order's events.
    #[arg(long)]
    pub(super) unordered: bool,
    /// Other clients use the service too, so its ledger may count more events than this run sent.
    #[arg(long)]
    pub(super) shared: bool,
    #[command(flatten)]
    pub(super) webhooks: WebhookArgs,
    /// How many threads send requests. Default: half of the machine's cores.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Write the report to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write the report to this file as a self-contained web page with plots.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

/// How the send times of an open loop are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ArrivalPattern {
    /// The gaps are random, as with independent clients, so requests sometimes arrive in bursts.
    Poisson,
    /// All gaps are equal.
    Constant,
}

/// What makes a request due.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "loop", rename_all = "snake_case")]
pub(super) enum LoopMode {
    /// A request is due at its send time. The send times are fixed in advance.
    Open { rate: f64, arrivals: ArrivalPattern },
    /// A request is due when the previous request of its connection is answered.
    Closed,
}

impl LoadArgs {
    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(|| (cores / 2).max(1), usize::from)
    }

    /// The token from --token, its variable or --token-file.
    pub(super) fn token(&self) -> anyhow::Result<Option<String>> {
        crate::secret::read(variables().1, self.token.as_ref(), self.token_file.as_deref())
    }

    /// How long a failed request is retried, and for how long every request may fail before the run gives up.
    pub(super) fn patience(&self) -> Duration {
        self.patience.unwrap_or(DEFAULT_PATIENCE)
    }

    /// How long the run waits for the next outcome.
    pub(super) fn outcome_patience(&self) -> Duration {
        let delay = if self.unordered { LONGEST_DELAY } else { Duration::ZERO };
        self.patience.unwrap_or(DEFAULT_PATIENCE + delay)
    }

    pub(super) fn loop_mode(&self) -> LoopMode {
        match (self.rate, self.connections) {
            (None, Some(_)) => LoopMode::Closed,
            (rate, _) => LoopMode::Open { rate: rate.unwrap_or(DEFAULT_RATE), arrivals: self.arrivals },
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.map_or(DEFAULT_CONNECTIONS, usize::from)
    }
}

/// The environment variables of the URL, the token and the token file. `ORDERS_LOAD_*` are their former names. A
/// variable with a former name takes precedence, because `ORDERS_URL` may be set for `orders dlq`.
fn variables() -> (&'static str, &'static str, &'static str) {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    let url = if is_set("ORDERS_LOAD_URL") { "ORDERS_LOAD_URL" } else { "ORDERS_URL" };
    match ["ORDERS_LOAD_TOKEN", "ORDERS_LOAD_TOKEN_FILE"].into_iter().any(is_set) {
        true => (url, "ORDERS_LOAD_TOKEN", "ORDERS_LOAD_TOKEN_FILE"),
        false => (url, "ORDERS_TOKEN", "ORDERS_TOKEN_FILE"),
    }
}

fn positive_rate(text: &str) -> Result<f64, String> {
    let rate =
        text.parse().ok().filter(|rate: &f64| rate.is_finite() && (0.001..=10_000_000.0).contains(rate));
    rate.ok_or_else(|| "the rate must be a number from 0.001 to 10000000".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
    let seconds = seconds.filter(|seconds: &f64| (0.0..=1_000_000.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "the time must be 0 to 1000000 seconds".to_owned())
}

/// Like [`seconds`], but refuses 0.
fn positive_seconds(text: &str) -> Result<Duration, String> {
    let seconds = seconds(text)?;
    if seconds.is_zero() { Err("the time must be more than 0 seconds".to_owned()) } else { Ok(seconds) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct TestCli {
        #[command(flatten)]
        args: LoadArgs,
    }

    fn loop_mode(flags: &[&str]) -> (LoopMode, usize) {
        let args = TestCli::parse_from(["load"].iter().chain(flags)).args;
        (args.loop_mode(), args.connections())
    }

    #[test]
    fn a_rate_is_an_open_loop_and_connections_alone_a_closed_one() {
        let open = |rate| LoopMode::Open { rate, arrivals: ArrivalPattern::Poisson };
        assert_eq!(loop_mode(&[]), (open(100.0), 256));
        assert_eq!(loop_mode(&["--rate", "2000"]), (open(2000.0), 256));
        assert_eq!(loop_mode(&["--rate", "2000", "--connections", "8"]), (open(2000.0), 8));
        assert_eq!(loop_mode(&["--connections", "8"]), (LoopMode::Closed, 8));
    }

    #[test]
    fn zero_negative_and_non_numeric_values_are_refused() {
        for flags in [
            ["--rate", "0"],
            ["--rate", "NaN"],
            ["--duration", "-1"],
            ["--duration", "0"],
            ["--duration", "0.0000000001"],
            ["--timeout", "0s"],
            ["--connections", "0"],
        ] {
            assert!(TestCli::try_parse_from(["load"].iter().chain(&flags)).is_err(), "{flags:?}");
        }
    }

    #[test]
    fn patience_covers_the_longest_backoff_on_an_unordered_queue() {
        let patience = |flags: &[&str]| {
            let args = TestCli::parse_from(["load"].iter().chain(flags)).args;
            (args.patience().as_secs(), args.outcome_patience().as_secs())
        };
        assert_eq!(patience(&[]), (60, 60));
        assert_eq!(patience(&["--unordered"]), (60, 360));
        assert_eq!(patience(&["--unordered", "--patience", "5"]), (5, 5));
    }
}
