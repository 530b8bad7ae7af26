//! The flags of `orders load`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::mix::RequestMix;
use super::target::BaseUrl;

/// Arrivals that no `--rate` says otherwise of: enough to see something, little enough to harm nobody.
const DEFAULT_RATE: f64 = 100.0;
/// For how long the pipeline may come to no outcome, unless told.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);
/// The longest that a consumer puts off an event that came too early, as it happens all the time without order.
const LONGEST_DELAY: Duration = Duration::from_secs(300);
/// Connections of an open loop that no `--connections` says otherwise of.
const DEFAULT_CONNECTIONS: usize = 256;

#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    /// The service, with the path that its API is under, if any.
    #[arg(long, env = "ORDERS_LOAD_URL", default_value = "http://127.0.0.1:8080")]
    pub(super) url: BaseUrl,
    /// A bearer token that may read and write orders. Other users of this machine can see flags: use the
    /// variable, or a file.
    #[arg(long, env = "ORDERS_LOAD_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the token, which other users of this machine need not be able to read.
    #[arg(long, env = "ORDERS_LOAD_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Open loop: requests per second, at times that are fixed in advance. Latency counts from there, however late the
    /// request is sent. Without --connections and --rate: 100.
    #[arg(long, value_name = "PER SECOND", value_parser = positive)]
    pub(super) rate: Option<f64>,
    /// Connections. Without --rate a closed loop: each sends the next request when the one before is answered. With
    /// --rate the most at the same time, 256 unless told.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) connections: Option<u16>,
    /// How the times of an open loop are spread.
    #[arg(long, value_enum, default_value_t = ArrivalPattern::Poisson)]
    pub(super) arrivals: ArrivalPattern,
    /// Seconds of load that are measured.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = some_seconds)]
    pub(super) duration: Duration,
    /// Seconds of the same load before that, audited but not measured.
    #[arg(long, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub(super) warm_up: Duration,
    /// What the requests are, by weight: `create`, `advance` (the next step of an order's life), `cancel`, `read`,
    /// `retry` (an earlier request under its key), `illegal` (an event that the rules forbid now) and `malformed`. What
    /// is not named does not happen.
    #[arg(long, default_value_t = RequestMix::default(), value_name = "KIND=WEIGHT,…")]
    pub(super) mix: RequestMix,
    /// Chooses the times and the requests: the same seed, the same choices, as far as the service answers alike.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Customers that the orders are spread over.
    #[arg(long, default_value_t = 1000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) customers: u32,
    /// Accepted events of a second for which somebody waits until they are recorded.
    #[arg(long, default_value_t = 100, value_name = "PER SECOND")]
    pub(super) samples: u32,
    /// Seconds until a request without an answer has failed.
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = some_seconds)]
    pub(super) timeout: Duration,
    /// Seconds for which a request that failed is sent again, and for which the pipeline may come to no outcome: 60
    /// unless told. With --unordered the pipeline has 360 by default, as an event that came too early may wait for 300.
    /// When the service has given no answer at all for so long, the audit ends.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    patience: Option<Duration>,
    /// The queue keeps no order (a standard SQS queue): only events that can never become legal are sent as illegal, and
    /// the order of an order's events is not audited.
    #[arg(long)]
    pub(super) unordered: bool,
    /// Others use the service as well: its ledger may count more than this run did.
    #[arg(long)]
    pub(super) shared: bool,
    /// Threads that send. Half of the machine's cores, unless told.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Write the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write the report to this file, as a page with plots that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

/// How the arrivals of an open loop are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ArrivalPattern {
    /// As independent clients come: at random, sometimes many at once.
    Poisson,
    /// One after the other, at the same distance.
    Constant,
}

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "loop", rename_all = "snake_case")]
pub(super) enum LoopMode {
    /// At times that are fixed in advance.
    Open { rate: f64, arrivals: ArrivalPattern },
    /// Each connection sends when it can.
    Closed,
}

impl LoadArgs {
    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(|| (cores / 2).max(1), usize::from)
    }

    /// The token to show, if there is one.
    pub(super) fn token(&self) -> anyhow::Result<Option<String>> {
        crate::secret::read("ORDERS_LOAD_TOKEN", self.token.as_ref(), self.token_file.as_deref())
    }

    /// For how long a request that failed is sent again, and the service may give no answer at all.
    pub(super) fn patience(&self) -> Duration {
        self.patience.unwrap_or(DEFAULT_PATIENCE)
    }

    /// For how long the pipeline may come to no outcome.
    pub(super) fn outcome_patience(&self) -> Duration {
        let delay = if self.unordered { LONGEST_DELAY } else { Duration::ZERO };
        self.patience.unwrap_or(DEFAULT_PATIENCE + delay)
    }

    pub(super) fn pace(&self) -> LoopMode {
        match (self.rate, self.connections) {
            (None, Some(_)) => LoopMode::Closed,
            (rate, _) => LoopMode::Open { rate: rate.unwrap_or(DEFAULT_RATE), arrivals: self.arrivals },
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.map_or(DEFAULT_CONNECTIONS, usize::from)
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let rate =
        text.parse().ok().filter(|rate: &f64| rate.is_finite() && (0.001..=10_000_000.0).contains(rate));
    rate.ok_or_else(|| "it is not a number from 0.001 to 10000000".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok();
    let seconds = seconds.filter(|seconds: &f64| (0.0..=1_000_000.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "it is not a number of seconds".to_owned())
}

/// As [`seconds`], but more than none: nothing can be learned in no time.
fn some_seconds(text: &str) -> Result<Duration, String> {
    let seconds = seconds(text)?;
    if seconds.is_zero() { Err("it must be more than 0 seconds".to_owned()) } else { Ok(seconds) }
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

    fn pace(flags: &[&str]) -> (LoopMode, usize) {
        let args = TestCli::parse_from(["load"].iter().chain(flags)).args;
        (args.pace(), args.connections())
    }

    #[test]
    fn a_rate_is_an_open_loop_and_connections_alone_a_closed_one() {
        let open = |rate| LoopMode::Open { rate, arrivals: ArrivalPattern::Poisson };
        assert_eq!(pace(&[]), (open(100.0), 256));
        assert_eq!(pace(&["--rate", "2000"]), (open(2000.0), 256));
        assert_eq!(pace(&["--rate", "2000", "--connections", "8"]), (open(2000.0), 8));
        assert_eq!(pace(&["--connections", "8"]), (LoopMode::Closed, 8));
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
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
    fn patience_covers_the_longest_delay_of_a_queue_without_order() {
        let patience = |flags: &[&str]| {
            let args = TestCli::parse_from(["load"].iter().chain(flags)).args;
            (args.patience().as_secs(), args.outcome_patience().as_secs())
        };
        assert_eq!(patience(&[]), (60, 60));
        assert_eq!(patience(&["--unordered"]), (60, 360));
        assert_eq!(patience(&["--unordered", "--patience", "5"]), (5, 5));
    }
}
