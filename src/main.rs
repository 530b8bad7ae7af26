//! `orders`: an event-sourced order service in one binary.
//!
//! This package is the only place where the parts meet: [`config`] reads flags and environment once, and each
//! command wires the adapters it needs. The parts themselves: `domain` (the rules), `api` (HTTP), `consumer`
//! (recording), `infra` (adapters).

#[cfg(feature = "embedded")]
mod archive;
mod config;
#[cfg(feature = "embedded")]
mod serve;
mod telemetry;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use config::{Cli, Command};

/// Much of what one thread allocates here another one frees, which is what this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init(&cli.log_level);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not a log line: this is for whoever typed the command.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    if let Some(Command::Openapi) = cli.command {
        return print(&serde_json::to_string_pretty(&api::openapi())?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    #[cfg(feature = "embedded")]
    runtime.block_on(async {
        match cli.command {
            None => serve::serve(&cli.serve).await,
            Some(Command::Serve(args)) => serve::serve(&args).await,
            Some(Command::Export(args)) => archive::export(&args).await,
            Some(Command::Rebuild(args)) => archive::rebuild(&args).await,
            Some(Command::Openapi) => Ok(()),
        }
    })?;
    Ok(())
}

/// Prints a line; a reader that has seen enough (`orders openapi | head`) is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
