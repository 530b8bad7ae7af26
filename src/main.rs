//! `orders`: an event-sourced order service in one binary.
//!
//! This package is the only place where the crates meet: [`cli`] reads flags, variables and the configuration file once,
//! and each command wires the adapters that it needs. The crates: `domain` (the rules), `api` (HTTP), `consumer`
//! (recording), `infra` (adapters).

#[cfg(feature = "dlq")]
mod api_client;
mod auth;
#[cfg(feature = "aws")]
mod aws;
#[cfg(all(feature = "dlq", feature = "embedded"))]
mod backup;
#[cfg(any(feature = "dlq", feature = "doctor", feature = "load"))]
mod base_url;
mod cli;
#[cfg(feature = "dlq")]
mod confirm;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod deployment;
#[cfg(feature = "dlq")]
mod dlq;
#[cfg(feature = "doctor")]
mod doctor;
#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "dlq")]
mod health;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod http;
#[cfg(any(feature = "dlq", feature = "doctor"))]
mod http_client;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod listen;
#[cfg(feature = "load")]
mod load;
#[cfg(all(feature = "aws", feature = "dlq", feature = "embedded"))]
mod moving;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod prometheus;
mod redact;
#[cfg(any(feature = "dlq", feature = "embedded", feature = "load"))]
mod secret;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod service_manager;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod signals;
mod style;
#[cfg(any(feature = "dlq", feature = "embedded"))]
mod table;
#[cfg(feature = "dlq")]
mod tail;
mod telemetry;
#[cfg(feature = "embedded")]
mod transfer;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod unpaid_age;
mod variables;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod webhook_values;
#[cfg(feature = "dlq")]
mod webhooks;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;

use cli::{Cli, Command};
#[cfg(all(feature = "dlq", feature = "embedded"))]
use infra::embedded::priority;
use telemetry::LogWriting;

/// mimalloc is fast for a pattern that is common in this program: one thread allocates memory, and another thread frees it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let _flushed = telemetry::FlushAtEnd;
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The message is printed and not logged, because its reader is the person who typed the command.
            telemetry::print(&format!("{} {error:#}", style::on_stderr(style::ERROR, "error:")));
            ExitCode::FAILURE
        }
    }
}

/// The levels to log. A consumer on AWS logs less by default.
fn log_level(cli: &Cli) -> Result<Targets, String> {
    #[cfg(feature = "aws")]
    if matches!(cli.command, Command::Consumer(_)) {
        return cli.log_level().map(aws::quiet_log_level);
    }
    cli.log_level()
}

fn run() -> anyhow::Result<()> {
    #[cfg(feature = "aws")]
    if let Some(role) = aws::role() {
        let cli = aws::command_line(&role)?;
        let level = cli.log_level().map(aws::quiet_log_level);
        let errors = aws::errors_of(telemetry::init(level, LogWriting::Direct));
        // A Lambda function has a fraction of a core, and handles one invocation at a time. One thread is enough.
        let runtime =
            Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        return runtime.block_on(aws::run_lambda(&cli, errors));
    }
    let cli = Cli::of_process();
    let logging = telemetry::init(log_level(&cli), LogWriting::Queued);
    let runtime = runtime_of(&cli.command).context("cannot start the runtime")?;
    match cli.command {
        Command::Openapi => print(&serde_json::to_string_pretty(&api::openapi())?),
        Command::Asyncapi => print(&serde_json::to_string_pretty(&api::asyncapi())?),
        Command::Config(args) => print(&cli::show_config(&args).unwrap_or_else(|error| error.exit())),
        Command::Completions(args) => print(cli::completions(&args, Cli::command())?.trim_end()),
        Command::Man(args) => match cli::man(&args, Cli::command())? {
            Some(page) => print(page.trim_end()),
            None => Ok(()),
        },
        #[cfg(feature = "doctor")]
        Command::Doctor(args) => {
            logging.map_err(anyhow::Error::msg)?;
            runtime.block_on(doctor::doctor(&args, cli.config.as_deref()))
        }
        #[cfg(feature = "aws")]
        Command::Api(args) => runtime.block_on(aws::api(&args, aws::errors_of(logging))),
        #[cfg(feature = "aws")]
        Command::Consumer(args) => runtime.block_on(aws::consumer(&args, aws::errors_of(logging))),
        #[cfg(feature = "aws")]
        Command::DeadLetters(args) => runtime.block_on(aws::dead_letters(&args, aws::errors_of(logging))),
        #[cfg(feature = "aws")]
        Command::Expiry(args) => runtime.block_on(aws::expiry(&args, aws::errors_of(logging))),
        #[cfg(feature = "aws")]
        Command::Relay(args) => runtime.block_on(aws::relay_container(&args, aws::errors_of(logging))),
        #[cfg(feature = "aws")]
        Command::WebhookSender(args) => runtime.block_on(aws::webhook_sender(&args, aws::errors_of(logging))),
        #[cfg(feature = "aws")]
        Command::Table(command) => runtime.block_on(aws::create_table(&command, aws::errors_of(logging))),
        #[cfg(feature = "dlq")]
        command @ (Command::Dlq(_) | Command::Health(_) | Command::Tail(_) | Command::Webhooks(_)) => {
            logging.map_err(anyhow::Error::msg)?;
            runtime.block_on(run_client(command))
        }
        #[cfg(feature = "load")]
        Command::Load(args) => {
            logging.map_err(anyhow::Error::msg)?;
            runtime.block_on(load::run(&args))
        }
        #[cfg(feature = "embedded")]
        command => {
            logging.map_err(anyhow::Error::msg)?;
            runtime.block_on(run_embedded(command))
        }
    }
}

/// The runtime for this command.
fn runtime_of(command: &Command) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    match command {
        #[cfg(feature = "load")]
        Command::Load(args) => {
            builder.worker_threads(args.threads());
        }
        // A backup takes minutes, and usually shares the machine with the service.
        #[cfg(all(feature = "dlq", feature = "embedded"))]
        Command::Backup(_) => {
            priority::lower(priority::BACKUP_COMMAND);
            builder.on_thread_start(|| priority::lower(priority::BACKUP_COMMAND));
        }
        _ => {}
    }
    builder.enable_all().build()
}

#[cfg(feature = "dlq")]
async fn run_client(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Dlq(command) => dlq::run(*command).await,
        Command::Health(args) => health::check(&args).await,
        Command::Tail(args) => tail::run(*args).await,
        Command::Webhooks(command) => webhooks::run(*command).await,
        other => unreachable!("{other:?} does not call a running service, and is handled before this match"),
    }
}

#[cfg(feature = "embedded")]
async fn run_embedded(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => embedded::serve(&args).await,
        #[cfg(feature = "dlq")]
        Command::Backup(args) => backup::run(*args).await,
        #[cfg(all(feature = "aws", feature = "dlq"))]
        Command::Move(args) => moving::run(*args).await,
        Command::Export(args) => transfer::export(&args).await,
        Command::Import(args) => transfer::import(&args).await,
        Command::Rebuild(args) => embedded::rebuild(&args).await,
        Command::Recover(args) => embedded::recover(&args).await,
        Command::Restore(args) => embedded::restore(&args).await,
        Command::Inspect(args) => embedded::inspect(&args).await,
        other => unreachable!("{other:?} needs no data folder, and is handled before this match"),
    }
}

/// Completes when SIGTERM or Ctrl-C asks this process to stop.
async fn asked_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

/// Prints a line. A reader that closes the pipe early, as in `orders openapi | head`, is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
