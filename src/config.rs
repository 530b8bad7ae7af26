//! Flags and environment, read once. A flag wins over its variable.
//!
//! One rule holds for all variables: an empty one counts as unset, and switches take `1`, `true`, `yes` and `on`, or `0`,
//! `false`, `no` and `off`. [`program`] applies it to every argument.

mod level;

use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
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
        Self::of(with_command(std::env::args_os().collect())).unwrap_or_else(|error| error.exit())
    }

    /// What these arguments, the first of which is the program's name, and the environment come to.
    pub(crate) fn of(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut program = program();
        let matches = program.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut program))
    }

    /// What to log, or what is wrong with it.
    pub(crate) fn log_level(&self) -> Result<Targets, String> {
        level::parse(&self.log_level).map_err(|error| format!("LOG_LEVEL {:?}: {error}", self.log_level))
    }
}

/// The command line as it is declared, with the rule for variables.
fn program() -> clap::Command {
    follow_rule(Cli::command())
}

fn follow_rule(command: clap::Command) -> clap::Command {
    command.mut_args(argument).mut_subcommands(follow_rule)
}

fn argument(argument: Arg) -> Arg {
    let Some(variable) = argument.get_env() else { return argument };
    let argument = if is_empty(variable) { argument.env(Resettable::Reset) } else { argument };
    match argument.get_action() {
        ArgAction::SetTrue => argument.value_parser(switch),
        _ => argument,
    }
}

fn is_empty(variable: &OsStr) -> bool {
    std::env::var_os(variable).is_some_and(|value| value.to_str().is_some_and(|text| text.trim().is_empty()))
}

/// Reads the value of a switch.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("neither 1, true, yes or on, nor 0, false, no or off".to_owned()),
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
    /// Make a damaged data folder usable again, and report what is lost.
    ///
    /// What cannot be read is cut off; a copy of it is kept in the folder, with a report of every order that it touches
    /// and the events in it that can still be read. Then everything is folded again, as by `rebuild`.
    #[cfg(feature = "embedded")]
    Recover(crate::embedded::RecoverArgs),
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

#[cfg(test)]
mod tests;
