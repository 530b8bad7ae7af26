//! Opens a data folder that no service is using, and implements `orders rebuild`.

use std::cell::RefCell;
use std::io::{IsTerminal, stderr};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use infra::embedded::maintenance::{self, RebuildFindings};
use infra::embedded::{BackfillProgress, BackfillTask, Embedded, Options};

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

/// Shows the progress of an upgrade or of a backfill: a bar on a terminal, log lines elsewhere.
#[derive(Default)]
struct UpgradeDisplay {
    shown: RefCell<Option<ShownTask>>,
}

/// The task whose progress is shown.
struct ShownTask {
    task: BackfillTask,
    bar: ProgressBar,
    logged: Instant,
}

impl UpgradeDisplay {
    fn update(&self, BackfillProgress { task, events, about }: BackfillProgress) {
        let mut shown = self.shown.borrow_mut();
        if shown.as_ref().is_some_and(|shown| shown.task != task) {
            shown.take().into_iter().for_each(ShownTask::end);
        }
        let ShownTask { bar, logged, .. } = shown.get_or_insert_with(|| ShownTask::begin(task, about));
        bar.set_position(events);
        if !stderr().is_terminal() && logged.elapsed() >= LOG_EVERY {
            *logged = Instant::now();
            tracing::info!("filling the {}: {events} of about {about} events", name_of(task));
        }
    }
}

impl ShownTask {
    fn begin(task: BackfillTask, about: u64) -> Self {
        let name = name_of(task);
        tracing::info!("filling the {name} of the data folder from about {about} events");
        let template = format!(
            "filling the {name} {{bar:30}} {{pos}} of about {{len}} events, {{per_sec}}, {{eta}} left"
        );
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { task, bar: ProgressBar::new(about).with_style(style), logged: Instant::now() }
    }

    fn end(self) {
        self.bar.finish_and_clear();
        match self.task {
            BackfillTask::Indexes => tracing::info!("the indexes of the data folder are complete"),
            BackfillTask::Feed => tracing::info!("the feed of the data folder is complete"),
        }
    }
}

fn name_of(task: BackfillTask) -> &'static str {
    match task {
        BackfillTask::Indexes => "indexes",
        BackfillTask::Feed => "feed",
    }
}

impl Drop for UpgradeDisplay {
    fn drop(&mut self) {
        self.shown.take().into_iter().for_each(ShownTask::end);
    }
}

/// Like [`open`], but a missing folder is an error.
pub(crate) async fn open_existing(data: &DataArgs) -> anyhow::Result<Embedded> {
    require_existing(data)?;
    open(data, data.options()).await
}

pub(super) fn require_existing(data: &DataArgs) -> anyhow::Result<()> {
    if !data.data.join("FORMAT").exists() {
        bail!("there is no orders data folder at {}", data.data.display());
    }
    Ok(())
}

/// Folds every log again and corrects derived writes that differ. With `--check`, only reports the differences.
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
    report("logs that cannot be folded, not changed", &found.broken)?;
    report(
        if args.check { "differences from the log" } else { "differences corrected" },
        &found.differences,
    )?;
    if found.orphans.count > 0 {
        report("projections or list entries without a log (--remove-orphans removes them)", &found.orphans)?;
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
