//! Flags and environment, read once. A flag wins over its variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use domain::Currency;
use infra::embedded::Options;
use tracing_subscriber::filter::Targets;

/// An event-sourced order service. Without a command, `orders` is `orders serve`.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// What to log: off, error, warn, info, debug or trace, also by target, as in `warn,consumer=info`.
    #[arg(
        long,
        global = true,
        env = "LOG_LEVEL",
        default_value = "info,fjall=warn,lsm_tree=warn",
        value_name = "LEVEL"
    )]
    pub(crate) log_level: Targets,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the API and the consumer on one data folder.
    Serve(ServeArgs),
    /// Write every recorded event to standard output, a line of JSON each, order by order.
    Export(DataArgs),
    /// Fold every order's log again, and put right what was projected differently.
    Rebuild(RebuildArgs),
    /// Print the OpenAPI document of the API.
    Openapi,
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// The data folder.
    #[arg(long, env = "ORDERS_DATA", default_value = "./orders-data", value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// The currency (ISO 4217) of orders whose producer states none.
    #[arg(long, env = "ORDERS_DEFAULT_CURRENCY", default_value = "USD", value_name = "CODE", value_parser = Currency::parse)]
    pub(crate) default_currency: Currency,
}

#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Only compare, change nothing; fails if anything differs.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen.
    #[arg(long, env = "ORDERS_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Seconds until a message that was received and not finished is received again.
    #[arg(long, env = "ORDERS_VISIBILITY_TIMEOUT", default_value_t = 30, value_name = "SECONDS")]
    pub(crate) visibility_timeout: u64,
    /// How often a message is tried before it goes to the dead letters.
    #[arg(long, env = "ORDERS_MAX_RECEIVES", default_value_t = 5, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_receives: u32,
    /// Free disk space, in MiB, below which no new order is accepted; what is accepted is still processed.
    #[arg(long, env = "ORDERS_MIN_FREE_DISK", default_value_t = 256, value_name = "MIB")]
    pub(crate) min_free_disk: u64,
}

impl DataArgs {
    pub(crate) fn options(&self) -> Options {
        Options::new(self.default_currency)
    }
}

impl ServeArgs {
    pub(crate) fn options(&self) -> Options {
        Options {
            visibility_timeout: Duration::from_secs(self.visibility_timeout),
            max_receives: self.max_receives,
            min_free_bytes: self.min_free_disk.saturating_mul(1 << 20),
            ..self.data.options()
        }
    }
}
