//! The command line: its commands, and how flags, variables and the configuration file are combined into one set of
//! values. `main` and the Lambda roles use it.
//!
//! A flag takes precedence over its variable, the variable over the [configuration file](mod@file), and the file over
//! the default.

mod config;
mod file;
mod level;
mod pages;
mod settings;
mod version;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::filter::Targets;

use crate::variables;
use file::ConfigFile;

pub(crate) use config::{ConfigArgs, show as show_config};
pub(crate) use pages::{CompletionsArgs, ManArgs, completions, man};
#[cfg(any(feature = "aws", feature = "embedded"))]
pub(crate) use version::{commit, features};

/// An event-sourced order service. Without a command, `orders` is `orders serve`.
#[derive(Debug, Parser)]
#[command(version, long_version = version::text())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// A TOML file with settings. Its keys are the names of flags, as in `listen = "127.0.0.1:9000"`. Flags and
    /// variables take precedence over the file.
    #[arg(long, global = true, env = "ORDERS_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to log: off, error, warn, info, debug or trace. Levels can differ by target, as in `warn,consumer=info`.
    #[arg(
        long,
        global = true,
        env = "LOG_LEVEL",
        default_value = "info,fjall=warn,lsm_tree=warn,aws_config=error",
        value_name = "LEVEL"
    )]
    log_level: String,
}

/// The flags of the program itself. They may precede the command, and each of them takes a value.
const GLOBAL_FLAGS: [&str; 2] = ["--config", "--log-level"];

impl Cli {
    /// Parses the arguments of this process. Arguments without a command get the command `serve`, if this build has it.
    ///
    /// The flags of `serve` are not declared on the program itself. Otherwise every other command would also read their
    /// variables, and report errors in these variables.
    pub(crate) fn of_process() -> Self {
        Self::of(with_command(std::env::args_os().collect())).unwrap_or_else(|error| error.exit())
    }

    /// Parses arguments, the first of which is the program's name, with the environment and the configuration file.
    pub(crate) fn of(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Self, clap::Error> {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let (matches, _) = parse(&arguments, |program| program)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut Self::command()))
    }

    /// The levels to log, or the reason why the setting is invalid.
    pub(crate) fn log_level(&self) -> Result<Targets, String> {
        level::parse(&self.log_level).map_err(|error| format!("LOG_LEVEL {:?}: {error}", self.log_level))
    }
}

/// Parses the command line. If it names a configuration file, parses twice: first to find the file's name, then with
/// the file's values as defaults. A file cannot set required flags, so a command line that fails without the file also
/// fails with it. `--help` never needs the file.
fn parse(
    arguments: &[OsString],
    adapt: impl Fn(clap::Command) -> clap::Command,
) -> Result<(ArgMatches, Option<ConfigFile>), clap::Error> {
    let declared = Cli::command();
    let matches = adapt(variables::follow_rules(declared.clone())).try_get_matches_from(arguments)?;
    let Some(path) = matches.get_raw(settings::CONFIG).and_then(|mut values| values.next()) else {
        return Ok((matches, None));
    };
    let file = ConfigFile::read(path.as_ref(), &declared);
    let file = file.map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
    let program = adapt(variables::follow_rules(file.apply(declared)));
    Ok((program.try_get_matches_from(arguments)?, Some(file)))
}

/// Adds `serve` to arguments without a command. Adds nothing if the first argument is a word, because that word may be
/// a misspelt command.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let program = Cli::command();
    let names_command = |argument: &OsString| {
        let named = argument.to_str().and_then(|name| program.find_subcommand(name));
        named.is_some() || ["help", "-h", "--help", "-V", "--version"].iter().any(|own| argument == own)
    };
    let has_command = arguments.iter().skip(1).any(names_command);
    if cfg!(feature = "embedded") && !has_command && first_word(&arguments).is_none() {
        arguments.insert(arguments.len().min(1), "serve".into());
    }
    arguments
}

/// The index of the first argument that is neither a flag of the program itself nor the value of such a flag. Returns
/// `None` if there is no such argument, or if that argument is a flag of a command.
fn first_word(arguments: &[OsString]) -> Option<usize> {
    let mut rest = arguments.iter().enumerate().skip(1);
    while let Some((place, argument)) = rest.next() {
        let text = argument.to_string_lossy();
        if GLOBAL_FLAGS.contains(&&*text) {
            rest.next();
        } else if !GLOBAL_FLAGS
            .iter()
            .any(|flag| text.strip_prefix(flag).is_some_and(|it| it.starts_with('=')))
        {
            return (!text.starts_with('-')).then_some(place);
        }
    }
    None
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the API and the consumer on one data folder.
    #[cfg(feature = "embedded")]
    Serve(Box<crate::embedded::ServeArgs>),
    /// Write every recorded event to standard output, order by order, as lines of JSON; or the orders as CSV.
    ///
    /// Exports a data folder that no service is using, a running service (--url), or a table on AWS (--aws). The last line
    /// shows that the export is whole: it counts the orders and the events, and has the hash of the lines before it.
    #[cfg(feature = "embedded")]
    Export(Box<crate::transfer::ExportArgs>),
    /// Import the lines of an export into a data folder that no service is using, or into a table on AWS (--aws).
    ///
    /// Events keep their ids, versions and times. Events that the target has already are compared and skipped, so an import
    /// that was interrupted can run again. At the end, every imported order is read and compared with the lines.
    #[cfg(feature = "embedded")]
    Import(Box<crate::transfer::ImportArgs>),
    /// Fold every order's log again, and correct projections that differ.
    #[cfg(feature = "embedded")]
    Rebuild(crate::embedded::RebuildArgs),
    /// Make a damaged data folder usable again, and report what is lost.
    ///
    /// The command cuts off data that cannot be read, and keeps a copy of it in the folder. Beside the copy it writes a
    /// report of the affected orders and of the events in the copy that can still be read. Then it folds every log
    /// again, like `rebuild`.
    #[cfg(feature = "embedded")]
    Recover(crate::embedded::RecoverArgs),
    /// Write an increment of a backup, from a running service or from a data folder.
    ///
    /// The first increment contains everything, and each later one what has changed. Each can be restored by itself. The
    /// backup contains the secrets of webhook subscriptions: protect it like the data folder.
    #[cfg(all(feature = "dlq", feature = "embedded"))]
    Backup(Box<crate::backup::BackupArgs>),
    /// Restore a data folder from a backup, to the end of the backup or to an earlier moment. Or restore to AWS (--aws).
    ///
    /// The restored log contains exactly the events up to the moment. The rest, such as the queue and the dead letters, is
    /// that of the latest increment at or before the moment. At the end, the folder is compared with the backup.
    ///
    /// With --aws, the table and the queue must be empty. If the command is killed, the same command goes on.
    #[cfg(feature = "embedded")]
    Restore(Box<crate::embedded::RestoreArgs>),
    /// Move a running service to AWS, with a short time in which it accepts no writes.
    ///
    /// Copies the recorded events while the service goes on, follows it, closes it for writes, waits until its queue is empty, and
    /// brings along the rest: receipts, dead letters, subscriptions and the ledger. At the end, every event is compared. Clients
    /// that repeat a request with its idempotency key get the first answer on the new side. If the command is killed, the same
    /// command goes on.
    #[cfg(all(feature = "aws", feature = "dlq", feature = "embedded"))]
    Move(Box<crate::moving::MoveArgs>),
    /// Show what a data folder contains and what a start would do with it. The command changes nothing.
    ///
    /// While a service uses the folder, only the sizes of the files, the journals and the synced extent are shown. Ask
    /// the service for the rest: GET /v1/pipeline.
    #[cfg(feature = "embedded")]
    Inspect(crate::embedded::InspectArgs),
    /// Run the API on SQS and DynamoDB.
    #[cfg(feature = "aws")]
    Api(Box<crate::aws::args::ApiArgs>),
    /// Run the consumer on SQS and DynamoDB.
    #[cfg(feature = "aws")]
    Consumer(crate::aws::args::ConsumerArgs),
    /// Archive dead letters from their SQS queue to S3, and publish alerts to SNS.
    #[cfg(feature = "aws")]
    DeadLetters(crate::aws::args::DeadLettersArgs),
    /// Propose to cancel orders that are unpaid at their deadline, on SQS and DynamoDB.
    #[cfg(feature = "aws")]
    Expiry(crate::aws::args::ExpiryArgs),
    /// Append recorded events to the feed, send webhook jobs, and publish events to outputs, from the change stream of the
    /// DynamoDB table.
    #[cfg(feature = "aws")]
    Relay(crate::aws::args::RelayArgs),
    /// Deliver webhooks from their SQS queue.
    #[cfg(feature = "aws")]
    WebhookSender(crate::aws::args::WebhooksArgs),
    /// Manage the DynamoDB table.
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Table(crate::aws::args::TableCommand),
    /// Manage dead letters: list, show, redrive, repair, discard, export, import.
    #[cfg(feature = "dlq")]
    #[command(subcommand)]
    Dlq(Box<crate::dlq::DlqCommand>),
    /// Ask a running service whether it is ready. The exit code is 0 if it is, and 1 if it is not or does not answer.
    #[cfg(feature = "dlq")]
    Health(crate::health::HealthArgs),
    /// Print the recorded events of all orders from a running service, and follow them.
    ///
    /// A line has the time, the order, its version, the type of the event, and the beginning of its data. With
    /// --follow, every event is printed exactly once, even if the service is restarted.
    #[cfg(feature = "dlq")]
    Tail(Box<crate::tail::TailArgs>),
    /// Manage webhook subscriptions and their deliveries. The service posts recorded events to the URL of each
    /// subscription.
    #[cfg(feature = "dlq")]
    #[command(subcommand)]
    Webhooks(Box<crate::webhooks::WebhooksCommand>),
    /// Put a running service under load, wait until it has handled everything, and audit the outcome.
    ///
    /// The load goes over HTTP, to either backend. At the end, every accepted event must be recorded, rejected or
    /// parked exactly once, and every order's log must be complete and in order. Otherwise the exit code is not 0.
    /// Ctrl-C ends the load early; the audit still runs.
    #[cfg(feature = "load")]
    Load(Box<crate::load::LoadArgs>),
    /// Check a deployment, or the environment of this process, for faults that would lose, duplicate or stop orders.
    #[cfg(feature = "doctor")]
    Doctor(crate::doctor::args::DoctorArgs),
    /// Print the OpenAPI document of the API.
    Openapi,
    /// Print the AsyncAPI document of the queue's messages.
    Asyncapi,
    /// Show every setting, its value, and where the value comes from. Secrets are masked.
    Config(ConfigArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Print the man page of the program or of a command, or write all pages to a folder.
    Man(ManArgs),
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
