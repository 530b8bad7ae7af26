//! Implements `orders dlq`, the commands for dead letters. All except `import` call the API of a running service, so
//! they work the same with every backend. `import` writes into a data folder that no service uses.

mod api;
#[cfg(feature = "embedded")]
mod archive;
mod display;
mod export;
mod files;
mod ids;
#[cfg(feature = "embedded")]
mod import;
mod redrive;

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::api_client::{ApiClient, ApiClientArgs};
use crate::confirm::confirm;
use crate::style::without_controls;

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters, newest first.
    List {
        #[command(flatten)]
        client: ApiClientArgs,
        #[command(flatten)]
        filter: FilterArgs,
        /// List only dead letters in this state: parked, replaying or discarded. By default, all but the discarded ones
        /// are listed.
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// List at most this many dead letters.
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
        /// Print one line of JSON for each dead letter.
        #[arg(long)]
        json: bool,
    },
    /// Show a dead letter with its body, and predict the result of a redrive.
    Show {
        #[command(flatten)]
        client: ApiClientArgs,
        /// The id of the dead letter.
        id: String,
        /// Print JSON.
        #[arg(long, conflicts_with = "body")]
        json: bool,
        /// Print only the body, byte for byte, to edit it and pass it to `repair`.
        #[arg(long)]
        body: bool,
    },
    /// Send dead letters back to the queue, each parked sequence in order, and report their outcomes.
    Redrive(redrive::RedriveArgs),
    /// Replace the body of a dead letter. A redrive then sends the new body; the original is kept.
    Repair {
        #[command(flatten)]
        client: ApiClientArgs,
        /// The id of the dead letter.
        id: String,
        /// The file with the new body; `-` reads standard input.
        #[arg(long, value_name = "FILE")]
        body: PathBuf,
    },
    /// Remove a dead letter for good. Its event is rejected, and the receipt shows the reason.
    Discard {
        #[command(flatten)]
        client: ApiClientArgs,
        /// The id of the dead letter.
        id: String,
        /// The reason why the event is rejected.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
    /// Write each dead letter to a file in a folder, in the format that `import` reads.
    Export {
        #[command(flatten)]
        client: ApiClientArgs,
        #[command(flatten)]
        filter: FilterArgs,
        /// The folder. It is created if it does not exist.
        folder: PathBuf,
    },
    /// Load an archive of dead letters into a local data folder, to reproduce a failure there. No service may use the
    /// folder meanwhile. A dead letter that already exists gets the body from the archive. A different dead letter with
    /// the same file name is reported and not imported.
    #[cfg(feature = "embedded")]
    Import(import::ImportArgs),
}

/// Selects dead letters.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Select only dead letters of this order.
    #[arg(long, value_name = "ORDER")]
    order: Option<String>,
    /// Select only dead letters that were parked for this reason: malformed, unknown_type, unknown_schema, invalid,
    /// tries_exhausted or behind_parked.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Select only dead letters that were parked at this time (RFC 3339) or later.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Select only dead letters that were parked before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
}

impl FilterArgs {
    /// The filter as names and values, for the query or the body of a request.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let named = [
            ("order_id", &self.order),
            ("reason", &self.reason),
            ("parked_from", &self.from),
            ("parked_before", &self.before),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

pub(crate) async fn run(command: DlqCommand) -> anyhow::Result<()> {
    match command {
        DlqCommand::List { client, filter, state, limit, json } => {
            display::list(&ApiClient::new(&client)?, &filter, state, limit, json).await
        }
        DlqCommand::Show { client, id, json: false, body: true } => {
            display::print_body(&ApiClient::new(&client)?, &id).await
        }
        DlqCommand::Show { client, id, json, .. } => {
            display::show(&ApiClient::new(&client)?, &id, json).await
        }
        DlqCommand::Redrive(args) => redrive::redrive(&args).await,
        DlqCommand::Repair { client, id, body } => repair(&ApiClient::new(&client)?, &id, &body).await,
        DlqCommand::Discard { client, id, reason, yes } => {
            discard(&ApiClient::new(&client)?, &id, &reason, yes).await
        }
        DlqCommand::Export { client, filter, folder } => {
            export::export(&ApiClient::new(&client)?, &filter, &folder).await
        }
        #[cfg(feature = "embedded")]
        DlqCommand::Import(args) => import::import(&args).await,
    }
}

/// Prints text that contains parts of messages, after removing control characters.
fn print_untrusted(text: &str) -> anyhow::Result<()> {
    crate::print(&without_controls(text))
}

async fn repair(client: &ApiClient, id: &str, body: &PathBuf) -> anyhow::Result<()> {
    let bytes = if body.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        bytes
    } else {
        std::fs::read(body).with_context(|| format!("cannot read {}", body.display()))?
    };
    let body = serde_json::to_value(domain::MessageBody(bytes))?;
    let path = format!("{}/repair", api::dead_letter_path(id)?);
    let letter: api::DeadLetterDetails = client.post(&path, &body).await?;
    let prediction = letter.prediction.describe();
    print_untrusted(&format!("{} is repaired; predicted redrive: {prediction}", letter.summary.id))
}

async fn discard(client: &ApiClient, id: &str, reason: &str, yes: bool) -> anyhow::Result<()> {
    let question = async || {
        let letter: api::DeadLetterDetails = client.get(&api::dead_letter_path(id)?).await?;
        let kind = letter.summary.event_type.as_deref().unwrap_or("a message");
        let order = letter.summary.order_id.as_deref().unwrap_or("an unknown order");
        Ok(format!("{kind} of {order} will be rejected for good. Discard it?"))
    };
    confirm(yes, question, "nothing was discarded").await?;
    let path = format!("{}/discard", api::dead_letter_path(id)?);
    let letter: api::DeadLetterDetails = client.post(&path, &json!({ "reason": reason })).await?;
    print_untrusted(&format!("{} is discarded", letter.summary.id))?;
    match letter.summary.order_id {
        Some(order) => print_untrusted(&format!(
            "to redrive the dead letters that follow it, run: orders dlq redrive --order {order}"
        )),
        None => Ok(()),
    }
}
