//! Implements `orders restore`, which restores a data folder from a backup. [`restore_aws`](super::restore_aws) restores to
//! AWS.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueEnum};
use domain::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use infra::backup::target::Target;
use infra::embedded::restore::{
    QueuedMessages, RestoreOptions, RestoreProgress, RestoreReport, RestoreStep, Until,
    restore as restore_folder,
};
use tokio::runtime::Handle;

use super::DataArgs;
#[cfg(feature = "aws")]
use crate::aws::args::{FillArgs, TransferTableArgs};
use crate::table::fields;

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup: a folder, or s3://BUCKET/PREFIX.
    #[arg(value_name = "SOURCE")]
    source: String,
    #[command(flatten)]
    pub(super) data: DataArgs,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub(super) table: TransferTableArgs,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    pub(super) fill: FillArgs,
    /// With --aws: where to make the scratch folder into which the backup is restored first. It needs as much space as the
    /// data folder. The default is the folder for temporary files.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "FOLDER")]
    pub(super) scratch: Option<PathBuf>,
    /// Restore to this moment: a time such as 2026-11-30T09:00:00Z, or a position of the feed. The default is the end of
    /// the backup.
    #[arg(long, value_name = "MOMENT", value_parser = moment, default_value = "end", hide_default_value = true)]
    until: Until,
    /// What happens to the messages that were on the queue: they are queued again, or listed as lines of JSON.
    #[arg(long, value_enum, value_name = "CHOICE", default_value_t = QueueChoice::Again)]
    pub(super) queue: QueueChoice,
    /// Print the report as JSON.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum QueueChoice {
    /// Queue the messages again.
    Again,
    /// Print the messages, and do not queue them.
    List,
}

fn moment(text: &str) -> Result<Until, String> {
    if text == "end" {
        return Ok(Until::End);
    }
    if let Ok(position) = text.parse() {
        return Ok(Until::Position(position));
    }
    let time = Timestamp::parse_with_offset(text).map(Until::Time);
    time.map_err(|_| {
        "is neither a position nor a time with an offset, such as 2026-11-30T09:00:00Z".to_owned()
    })
}

/// Runs `orders restore`: restores to a data folder or to AWS, and prints what was restored.
pub(crate) async fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    #[cfg(feature = "aws")]
    if args.table.aws {
        return super::restore_aws::restore(args).await;
    }
    let report = restore_to(args, args.data.data.clone()).await?;
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { describe(&report) };
    print_report(args, &text)
}

/// Restores the folder at `path`.
pub(super) async fn restore_to(args: &RestoreArgs, path: PathBuf) -> anyhow::Result<RestoreReport> {
    let source = Target::parse(&args.source)?;
    let queue = match args.queue {
        QueueChoice::Again => QueuedMessages::Again,
        QueueChoice::List => QueuedMessages::List,
    };
    let options = RestoreOptions { until: args.until, queue, default_currency: args.data.default_currency };
    let runtime = Handle::current();
    let work = move |stop: &AtomicBool| {
        let display = Display::new();
        let mut list = |line: &[u8]| {
            let mut out = stdout().lock();
            out.write_all(line).and_then(|()| out.write_all(b"\n"))
        };
        restore_folder(&runtime, &source, &path, options, &mut list, &|progress| {
            display.update(progress, stop)
        })
    };
    Ok(stoppable(work).await??)
}

pub(super) fn print_report(args: &RestoreArgs, text: &str) -> anyhow::Result<()> {
    match args.queue {
        QueueChoice::Again => crate::print(text),
        // Standard output is reserved for the listed messages.
        QueueChoice::List => {
            crate::telemetry::print(text);
            Ok(())
        }
    }
}

/// Runs `work` on a thread where it may block. SIGTERM and Ctrl-C set the flag that `work` gets. `work` must then
/// return soon.
pub(super) async fn stoppable<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
) -> anyhow::Result<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let mut running = tokio::task::spawn_blocking(move || work(&flag));
    tokio::select! {
        ended = &mut running => Ok(ended?),
        asked = crate::asked_to_stop() => {
            asked?;
            stop.store(true, Ordering::Relaxed);
            Ok(running.await?)
        }
    }
}

/// Returns `Break` once `stop` is set.
pub(super) fn flow(stop: &AtomicBool) -> ControlFlow<()> {
    if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

pub(super) fn describe(report: &RestoreReport) -> String {
    let mut rows = Vec::new();
    let mut add = |name: &str, value: String| rows.push([name.to_owned(), value]);
    let newest = report.newest_event.map(|at| format!(", recorded at {at}")).unwrap_or_default();
    add("restored", format!("{} events of {} orders", report.events, report.orders));
    add("up to", format!("position {}{newest}", report.position));
    add("hash", report.hash.to_string());
    add(
        "state",
        match &report.state {
            Some(state) => {
                format!(
                    "of increment {}, at position {}, from {}",
                    state.increment, state.position, state.time
                )
            }
            None => {
                "none: the oldest increment is later, so queue, dead letters, subscriptions and the receipts \
                     of refused events are missing"
                    .to_owned()
            }
        },
    );
    let listed = if report.listed > 0 { format!(", {} listed", report.listed) } else { String::new() };
    add("queue", format!("{} messages{listed}", report.queued));
    add("dead letters", report.dead_letters.to_string());
    let finished = report.finished_messages + report.finished_dead_letters;
    if finished > 0 {
        add(
            "left out",
            format!(
                "{} messages and {} dead letters whose events are in the log",
                report.finished_messages, report.finished_dead_letters
            ),
        );
    }
    let ledger = &report.ledger;
    add(
        "ledger",
        format!("{} accepted, {} recorded, {} rejected", ledger.accepted, ledger.recorded, ledger.rejected),
    );
    add("audit", "log, feed, ledger and queue agree with the backup".to_owned());
    fields(rows).join("\n")
}

/// Shows the progress as a bar on a terminal.
pub(super) struct Display {
    is_terminal: bool,
    bar: Mutex<Option<(RestoreStep, ProgressBar)>>,
}

impl Display {
    pub(super) fn new() -> Self {
        Self { is_terminal: stderr().is_terminal(), bar: Mutex::default() }
    }

    /// Shows the progress. Ends the restore if `stop` is set.
    pub(super) fn update(&self, progress: RestoreProgress, stop: &AtomicBool) -> ControlFlow<()> {
        if !self.is_terminal {
            return flow(stop);
        }
        let RestoreProgress { step, done, all } = progress;
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_ref().is_some_and(|(shown, _)| *shown != step) {
            shown.take().into_iter().for_each(|(_, bar)| bar.finish_and_clear());
        }
        let (_, bar) = shown.get_or_insert_with(|| (step, begin(step, all)));
        bar.set_position(done);
        flow(stop)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let shown = self.bar.get_mut().unwrap_or_else(PoisonError::into_inner);
        shown.take().into_iter().for_each(|(_, bar)| bar.finish_and_clear());
    }
}

fn begin(step: RestoreStep, all: u64) -> ProgressBar {
    let what = match step {
        RestoreStep::Log => "writing the log",
        RestoreStep::Indexes => "filling the indexes",
        RestoreStep::Audit => "comparing",
        RestoreStep::Fold => "folding",
    };
    let template = format!("{what} {{bar:30}} {{pos}} of {{len}} events, {{per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(all).with_style(style)
}
