//! Implements `orders export` and `orders rebuild`, which work on a data folder that no service is using.

use std::cell::RefCell;
use std::io::{BufWriter, ErrorKind, IsTerminal, stderr, stdout};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use infra::embedded::maintenance::{self, RebuildFindings};
use infra::embedded::{BackfillProgress, Embedded, Options};

use super::{DataArgs, RebuildArgs};

/// Opens the data folder without blocking the runtime.
pub(crate) async fn open(data: &DataArgs, options: Options) -> anyhow::Result<Embedded> {
    let path = data.data.clone();
    let open = move || {
        let shown = UpgradeDisplay::default();
        Embedded::open_showing(&path, options, &|progress| {
            shown.update(progress);
            ControlFlow::Continue(())
        })
    };
    Ok(tokio::task::spawn_blocking(open).await??)
}

/// The time between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Shows how far the indexes of a data folder are filled: a bar on a terminal, log lines elsewhere.
#[derive(Default)]
struct UpgradeDisplay {
    /// The bar, and the time of the latest log line.
    shown: RefCell<Option<(ProgressBar, Instant)>>,
}

impl UpgradeDisplay {
    fn update(&self, BackfillProgress { events, about }: BackfillProgress) {
        let mut shown = self.shown.borrow_mut();
        let (bar, logged) = shown.get_or_insert_with(|| {
            tracing::info!("filling the indexes of the data folder from about {about} events");
            let template = "filling the indexes {bar:30} {pos} of about {len} events, {per_sec}, {eta} left";
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            (ProgressBar::new(about).with_style(style), Instant::now())
        });
        bar.set_position(events);
        if !stderr().is_terminal() && logged.elapsed() >= LOG_EVERY {
            *logged = Instant::now();
            tracing::info!("filling the indexes: {events} of about {about} events");
        }
    }
}

impl Drop for UpgradeDisplay {
    fn drop(&mut self) {
        if let Some((bar, _)) = self.shown.take() {
            bar.finish_and_clear();
            tracing::info!("the indexes of the data folder are complete");
        }
    }
}

/// Like [`open`], but a missing folder is an error.
async fn open_existing(data: &DataArgs) -> anyhow::Result<Embedded> {
    require_existing(data)?;
    open(data, data.options()).await
}

pub(super) fn require_existing(data: &DataArgs) -> anyhow::Result<()> {
    if !data.data.join("FORMAT").exists() {
        bail!("there is no orders data folder at {}", data.data.display());
    }
    Ok(())
}

/// Writes every recorded event to standard output.
pub(crate) async fn export(args: &DataArgs) -> anyhow::Result<()> {
    let engine = open_existing(args).await?;
    match engine.export(&mut BufWriter::new(stdout().lock())) {
        Ok(events) => tracing::info!(events, "exported"),
        Err(error) if is_broken_pipe(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Folds every log again and corrects derived writes that differ. With `--check` it only reports the differences.
pub(crate) async fn rebuild(args: &RebuildArgs) -> anyhow::Result<()> {
    if args.check {
        verify_tables(&args.data).await?;
    }
    let engine = open_existing(&args.data).await?;
    let style = ProgressStyle::with_template("{bar:40} {pos} of about {len} events, {per_sec}, {eta} left")?;
    let bar = ProgressBar::new(engine.approximate_events()).with_style(style);
    let found = engine.rebuild(args.options(), &|events| bar.set_position(events)).await?;
    bar.finish_and_clear();

    let (orders, events) = (found.orders, found.events);
    crate::print(&format!("{events} events of {orders} orders read"))?;
    report("cannot be folded, and are left as they are", &found.broken)?;
    report(if args.check { "differ from the log" } else { "corrected" }, &found.differences)?;
    if found.orphans.count > 0 {
        report("have no log, and are left as they are (--remove-orphans removes them)", &found.orphans)?;
    }
    if found.broken.count + found.orphans.count > 0 || (args.check && found.differences.count > 0) {
        bail!("the projections do not agree with the log");
    }
    Ok(())
}

/// Verifies the checksum of every table.
async fn verify_tables(data: &DataArgs) -> anyhow::Result<()> {
    require_existing(data)?;
    let path = data.data.clone();
    let style = ProgressStyle::with_template("{spinner} {binary_bytes} of tables verified")?;
    let bar = ProgressBar::new_spinner().with_style(style);
    let shown = bar.clone();
    let verify = move || maintenance::verify(&path, &|bytes| shown.set_position(bytes));
    tokio::task::spawn_blocking(verify).await??;
    bar.finish_and_clear();
    Ok(())
}

fn report(what: &str, findings: &RebuildFindings) -> anyhow::Result<()> {
    crate::print(&format!("{} {what}", findings.count))?;
    findings.examples.iter().try_for_each(|example| crate::print(&format!("  {example}")))?;
    let more = findings.count - findings.examples.len() as u64;
    if more > 0 { crate::print(&format!("  … and {more} more")) } else { Ok(()) }
}
