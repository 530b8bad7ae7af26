//! Flags and environment, read once. A flag wins over its variable.

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::filter::Targets;

/// An event-sourced order service. Without a command, `orders` is `orders serve`.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What to log: off, error, warn, info, debug or trace, also by target, as in `warn,consumer=info`.
    #[arg(
        long,
        global = true,
        env = "LOG_LEVEL",
        default_value = "info,fjall=warn,lsm_tree=warn,aws_config=error",
        value_name = "LEVEL"
    )]
    log_level: String,
}

impl Cli {
    /// The command line of this process. What names no command means `serve`, where there is one; a word that is no command
    /// stays one, so that it is met with the command that was meant.
    ///
    /// Not by flags of `serve` on the program itself: then its variables would be read, and complained about, for every
    /// other command as well.
    pub(crate) fn of_process() -> Self {
        Self::parse_from(with_command(std::env::args_os().collect()))
    }

    /// What to log, or what is wrong with it.
    pub(crate) fn log_level(&self) -> Result<Targets, String> {
        self.log_level
            .parse()
            .map_err(|error| format!("LOG_LEVEL {:?} cannot be read: {error}", self.log_level))
    }
}

/// The arguments with `serve`, if they have no command and begin with no word that may be meant as one.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let program = Cli::command();
    let ends_here = |argument: &OsString| {
        let named = argument.to_str().and_then(|name| program.find_subcommand(name));
        named.is_some() || ["help", "-h", "--help", "-V", "--version"].iter().any(|own| argument == own)
    };
    let own = arguments.iter().skip(1);
    if cfg!(feature = "embedded") && !own.clone().any(ends_here) && !begins_with_word(own) {
        arguments.insert(arguments.len().min(1), "serve".into());
    }
    arguments
}

/// Whether the first argument that is neither the program's own flag nor its value is a word, not a flag.
fn begins_with_word<'a>(mut arguments: impl Iterator<Item = &'a OsString>) -> bool {
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--log-level" {
            arguments.next();
        } else if !text.starts_with("--log-level=") {
            return !text.starts_with('-');
        }
    }
    false
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the API and the consumer on one data folder.
    #[cfg(feature = "embedded")]
    Serve(Box<crate::embedded::ServeArgs>),
    /// Write every recorded event to standard output, a line of JSON each, order by order.
    #[cfg(feature = "embedded")]
    Export(crate::embedded::DataArgs),
    /// Fold every order's log again, and put right what was projected differently.
    #[cfg(feature = "embedded")]
    Rebuild(crate::embedded::RebuildArgs),
    /// Run the API on SQS and DynamoDB.
    #[cfg(feature = "aws")]
    Api(Box<crate::aws::ApiArgs>),
    /// Run the consumer on SQS and DynamoDB.
    #[cfg(feature = "aws")]
    Consumer(crate::aws::ConsumerArgs),
    /// Archive what comes by the dead-letter queue, to S3, and raise alerts, by SNS.
    #[cfg(feature = "aws")]
    DeadLetters(crate::aws::DeadLettersArgs),
    /// Look after the DynamoDB table.
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Table(crate::aws::TableCommand),
    /// Look after dead letters: list, show, redrive, repair, discard, export, import.
    #[cfg(feature = "dlq")]
    #[command(subcommand)]
    Dlq(Box<crate::dlq::DlqCommand>),
    /// Put a running service under load, wait until all of it is handled, and audit the outcome.
    ///
    /// Drives any shape of the service over HTTP. At the end every accepted event must be recorded, rejected or parked
    /// exactly once, and every order's log must be whole and in order; otherwise the exit code is not 0. Ctrl-C ends the
    /// load early, and still audits it.
    #[cfg(feature = "load")]
    Load(Box<crate::load::LoadArgs>),
    /// Check a deployment, or the environment of this process: what would lose orders, double them or stop them?
    #[cfg(feature = "doctor")]
    Doctor(crate::doctor::DoctorArgs),
    /// Print the OpenAPI document of the API.
    Openapi,
    /// Print the AsyncAPI document of the queue's messages.
    Asyncapi,
}
