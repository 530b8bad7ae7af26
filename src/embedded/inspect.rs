//! Implements `orders inspect`, which describes a data folder and changes nothing.

use std::path::PathBuf;

use clap::Args;
use domain::Timestamp;
use indicatif::HumanBytes;
use infra::embedded::inspect::{ContentSummary, Inspection, NextStart};

use crate::table::{aligned, fields};

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The data folder.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let path = args.folder.clone();
    let found = tokio::task::spawn_blocking(move || infra::embedded::inspect::inspect(&path)).await??;
    if args.json {
        return crate::print(&serde_json::to_string_pretty(&found)?);
    }
    let mut sections = vec![summary(&found)];
    if !found.journals.is_empty() {
        sections.push(journals(&found));
        sections.push(keyspaces(&found));
    }
    let text: Vec<_> = sections.into_iter().map(|lines| lines.join("\n")).collect();
    crate::print(&text.join("\n\n"))
}

/// The facts about the whole folder, one in a line.
fn summary(found: &Inspection) -> Vec<String> {
    let mut rows = Vec::new();
    let mut add = |name: &str, value: String| rows.push([name.to_owned(), value]);
    add("format", found.format.clone().unwrap_or_else(|| "none: nothing was written yet".to_owned()));
    add("in use", if found.in_use { "by a running process" } else { "no" }.to_owned());
    if let Some(synced) = &found.synced {
        let at = synced.at.map(|at| format!(" at {at}")).unwrap_or_default();
        add("synced", format!("up to commit {}, in journal {}.jnl{at}", synced.commit, synced.journal));
    }
    match &found.content {
        Some(content) => describe_content(content, &mut add),
        None if found.in_use => {
            add("content", "not read, because a process uses the folder: see GET /v1/pipeline".to_owned());
        }
        None => {}
    }
    add("next start", describe_start(&found.next_start));
    fields(rows)
}

fn describe_content(content: &ContentSummary, add: &mut impl FnMut(&str, String)) {
    let ledger = &content.ledger;
    add("name", content.folder_name.clone().unwrap_or_default());
    add("commit", content.commit.to_string());
    add(
        "ledger",
        format!(
            "{} accepted = {} recorded + {} rejected + {} duplicate + {} parked + {} in flight",
            ledger.accepted,
            ledger.recorded,
            ledger.rejected,
            ledger.duplicate,
            ledger.parked,
            ledger.missing()
        ),
    );
    let agrees = if content.agrees() { "agrees with the ledger" } else { "DIFFERS from the ledger" };
    let (events, orders, queued) = (content.events, content.orders, content.queued);
    add("log", format!("{events} events of {orders} orders, {queued} messages queued: {agrees}"));
    add("dead letters", content.dead_letters.to_string());
    add("feed", format!("up to position {}", content.position));
    let time = |at: Option<Timestamp>| at.map_or("none".to_owned(), |at| at.to_string());
    add("oldest event", time(content.oldest_event));
    add("newest event", time(content.newest_event));
}

fn describe_start(start: &NextStart) -> String {
    match start {
        NextStart::Open => "would use the folder as it is".to_owned(),
        NextStart::Create => "would create a new store".to_owned(),
        NextStart::Upgrade => "would convert the folder to the current format".to_owned(),
        NextStart::Continue { fill } => format!("would continue to fill {fill}"),
        NextStart::Refuse { reason } => format!("would fail: {reason}"),
    }
}

fn journals(found: &Inspection) -> Vec<String> {
    let rows = found.journals.iter().map(|journal| {
        [
            journal.name.clone(),
            HumanBytes(journal.allocated_bytes).to_string(),
            HumanBytes(journal.used_bytes).to_string(),
            journal.commits.to_string(),
            journal.latest_commit.map(|commit| commit.to_string()).unwrap_or_default(),
        ]
    });
    aligned(["JOURNAL", "ON DISK", "USED", "COMMITS", "LATEST COMMIT"], rows)
}

fn keyspaces(found: &Inspection) -> Vec<String> {
    let rows = found.keyspaces.iter().map(|keyspace| {
        [
            keyspace.name.to_owned(),
            keyspace.tables.to_string(),
            HumanBytes(keyspace.table_bytes).to_string(),
            keyspace.about_rows.map(|rows| rows.to_string()).unwrap_or_default(),
        ]
    });
    aligned(["KEYSPACE", "TABLES", "SIZE", "ROWS, ABOUT"], rows)
}
