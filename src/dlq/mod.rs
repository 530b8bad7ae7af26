//! `orders dlq`: what operators do with dead letters. All but `import` is asked of a running service, which has the data
//! folder, or the tables, in its hands; so it is the same for every shape.

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

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::api_client::{ApiClient, ApiClientArgs, segment};

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters, newest first.
    List {
        #[command(flatten)]
        client: ApiClientArgs,
        #[command(flatten)]
        filter: FilterArgs,
        /// Only letters that stand here: parked, replaying or discarded. Those that are not discarded if absent.
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// The most letters to list.
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
        /// A line of JSON for each, and nothing else.
        #[arg(long)]
        json: bool,
    },
    /// Show everything that is known of a dead letter, and what a redrive would do with it.
    Show {
        #[command(flatten)]
        client: ApiClientArgs,
        /// The letter.
        id: String,
        /// As JSON.
        #[arg(long, conflicts_with = "body")]
        json: bool,
        /// The body alone, as it is: to be changed, and given to `repair`.
        #[arg(long)]
        body: bool,
    },
    /// Send dead letters back to the queue, whole lines of orders in order, and tell what becomes of them.
    Redrive(redrive::RedriveArgs),
    /// Replace what a redrive sends of a dead letter.
    Repair {
        #[command(flatten)]
        client: ApiClientArgs,
        /// The letter.
        id: String,
        /// A file with the new body; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        body: PathBuf,
    },
    /// Decide that the event of a dead letter is not to happen; the reason is kept, and told by the event's receipt.
    Discard {
        #[command(flatten)]
        client: ApiClientArgs,
        /// The letter.
        id: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not ask whether to.
        #[arg(long)]
        yes: bool,
    },
    /// Write dead letters into a folder, a file each, as `import` reads them.
    Export {
        #[command(flatten)]
        client: ApiClientArgs,
        #[command(flatten)]
        filter: FilterArgs,
        /// The folder; it is made if need be.
        folder: PathBuf,
    },
    /// Load an archive of dead letters into a local data folder that no service uses, to replay a failure there. Letters
    /// that are there already get the bodies that the archive has; what only has the name of one replaces nothing.
    #[cfg(feature = "embedded")]
    Import(import::ImportArgs),
}

/// Which letters.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only letters of this order.
    #[arg(long, value_name = "ORDER")]
    order: Option<String>,
    /// Only letters put aside for this reason: malformed, unknown_type, unknown_schema, invalid, tries_exhausted or
    /// behind_parked.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only letters put aside at this time (RFC 3339) or later.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only letters put aside before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
}

impl FilterArgs {
    /// The filter as members of a query or a body.
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

/// Runs a command.
pub(crate) async fn run(command: DlqCommand) -> anyhow::Result<()> {
    match command {
        DlqCommand::List { client, filter, state, limit, json } => {
            display::list(&ApiClient::new(&client)?, &filter, state, limit, json).await
        }
        DlqCommand::Show { client, id, json: false, body: true } => {
            display::body_of(&ApiClient::new(&client)?, &id).await
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

/// Prints a text that has parts of messages in it.
fn print_untrusted(text: &str) -> anyhow::Result<()> {
    crate::print(&display::without_controls(text))
}

async fn repair(client: &ApiClient, id: &str, body: &PathBuf) -> anyhow::Result<()> {
    let bytes = if body.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("reading standard input")?;
        bytes
    } else {
        std::fs::read(body).with_context(|| format!("reading {}", body.display()))?
    };
    let body = serde_json::to_value(domain::MessageBody(bytes))?;
    let letter: api::DeadLetterDetails =
        client.post(&format!("/v1/dead-letters/{}/repair", segment(id)), &body).await?;
    print_untrusted(&format!(
        "{} is repaired; a redrive would: {}",
        letter.summary.id,
        letter.prediction.told()
    ))
}

async fn discard(client: &ApiClient, id: &str, reason: &str, yes: bool) -> anyhow::Result<()> {
    if !yes && !std::io::stdin().is_terminal() {
        bail!("there is nobody to ask whether to: say --yes");
    }
    if !yes {
        let letter: api::DeadLetterDetails = client.get(&format!("/v1/dead-letters/{}", segment(id))).await?;
        let kind = letter.summary.event_type.as_deref().unwrap_or("a message");
        let order = letter.summary.order_id.as_deref().unwrap_or("an order that cannot be told");
        // Not a log line: it is a question to whoever typed the command.
        let question = format!("{kind} of {order} is not to happen, ever. Discard it? [y/N] ");
        let _ = write!(std::io::stderr(), "{}", display::without_controls(&question));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if !answer.trim().eq_ignore_ascii_case("y") {
            bail!("nothing was discarded");
        }
    }
    let path = format!("/v1/dead-letters/{}/discard", segment(id));
    let letter: api::DeadLetterDetails = client.post(&path, &json!({ "reason": reason })).await?;
    print_untrusted(&format!("{} is discarded", letter.summary.id))?;
    match letter.summary.order_id {
        Some(order) => print_untrusted(&format!(
            "what stands behind it goes on with: orders dlq redrive --order {order}"
        )),
        None => Ok(()),
    }
}
