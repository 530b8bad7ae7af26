//! Creates the target of a fill from its flags, shows the progress of the fill, and describes its result. `orders
//! restore --aws` and `orders move` use this module.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::Currency;
use indicatif::{ProgressBar, ProgressStyle};
use infra::aws as adapters;
use infra::aws::fill::{FillProgress, FillReport, FillStep, FillTarget};
use infra::outbound::JobQueue;

use super::args::{FillArgs, OperatedTableArgs};
use super::settings::{self, ConfigErrors};

/// The time between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// The target that the flags in `table` and `args` describe.
pub(crate) async fn target(
    table: &OperatedTableArgs,
    args: &FillArgs,
    default_currency: Currency,
) -> anyhow::Result<FillTarget> {
    let sdk = adapters::config().await;
    let settings = settings::of_fill(ConfigErrors::default(), table, args, &sdk)?;
    Ok(FillTarget {
        table: super::operated_table(&sdk, &settings.table, default_currency),
        queue: adapters::queue(&sdk, &settings.queue_url),
        bucket: settings.bucket.map(|name| adapters::bucket(&sdk, &name)),
        outbound: settings.outbound.map(|name| adapters::outbound(&sdk, &name)),
        webhook_queue: settings.webhook_queue.map(|url| JobQueue(adapters::queue(&sdk, &url))),
        default_currency,
    })
}

/// Shows the progress of a fill on standard error: a bar on a terminal, log lines elsewhere.
pub(crate) struct FillDisplay(Mutex<ShownStep>);

struct ShownStep {
    step: Option<FillStep>,
    bar: ProgressBar,
    logged: Instant,
}

impl FillDisplay {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::hidden();
        Self(Mutex::new(ShownStep { step: None, bar, logged: Instant::now() }))
    }

    /// Removes the progress from the terminal, before other text is printed.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bar.finish_and_clear();
    }

    pub(crate) fn show(&self, progress: FillProgress) {
        let FillProgress { step, done, all } = progress;
        let what = match step {
            FillStep::Events => "copying events",
            FillStep::State => "writing receipts",
            FillStep::Audit => "comparing events",
            FillStep::Queue => "sending messages",
        };
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !stderr().is_terminal() {
            if shown.logged.elapsed() >= LOG_EVERY {
                shown.logged = Instant::now();
                tracing::info!("{what}: {done} of {all}");
            }
            return;
        }
        if shown.step != Some(step) {
            shown.bar.finish_and_clear();
            let style = ProgressStyle::with_template("{prefix} {bar:30} {pos} of {len}, {eta} left");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            (shown.step, shown.bar) = (Some(step), ProgressBar::new(all).with_style(style).with_prefix(what));
        }
        shown.bar.set_length(all.max(done));
        shown.bar.set_position(done);
    }
}

impl Drop for FillDisplay {
    fn drop(&mut self) {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).bar.finish_and_clear();
    }
}

/// The report as names and values.
pub(crate) fn describe(report: &FillReport) -> Vec<[String; 2]> {
    let FillReport { position, events, ledger, .. } = report;
    let mut rows = vec![
        ("on AWS", format!("{events} events, up to position {position}; each was compared with the source")),
        ("receipts", format!("{} of events that were not recorded", report.receipts)),
        ("queue", format!("{} messages sent", report.queued)),
        ("dead letters", format!("{} archived", report.dead_letters)),
        ("webhooks", format!("{} subscriptions, {} held orders", report.subscriptions, report.held_orders)),
    ];
    if report.parked_messages > 0 {
        let parked = format!("{} messages that SQS does not accept", report.parked_messages);
        rows.push(("parked", parked));
    }
    let settled =
        format!("{} recorded, {} rejected, {} parked", ledger.recorded, ledger.rejected, ledger.parked);
    rows.push(("ledger", format!("{} accepted, {settled}; it agrees with the source", ledger.accepted)));
    rows.extend(report.left_out.iter().map(|what| ("left out", what.clone())));
    rows.into_iter().map(|(name, value)| [name.to_owned(), value]).collect()
}
