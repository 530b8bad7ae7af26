//! Shows the progress of the load and of the audit: a bar on a terminal, log lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::LoadRun;
use super::latency_text::latency_text;

/// The time between two drawings of the bar.
const REDRAW_EVERY: Duration = Duration::from_millis(250);
/// The time between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Shows the progress of the load until the task is aborted.
pub(super) async fn show(run: Arc<LoadRun>) {
    let length = run.args.warm_up + run.args.duration;
    let progress = ProgressDisplay::new("load", "{elapsed_precise} {bar:30} {msg}", millis(length));
    loop {
        progress.bar.set_position(millis(run.start.elapsed().min(length)));
        progress.update(line(&run));
        tokio::time::sleep(REDRAW_EVERY).await;
    }
}

/// The figures of the latest interval as one line.
fn line(run: &LoadRun) -> String {
    let measure = run.measure();
    let Some(point) = measure.points.last() else { return "starting".to_owned() };
    let quantile = |of: Option<u64>| of.map_or_else(|| "–".to_owned(), latency_text);
    let mut line = format!(
        "{:.0} requests/s, {:.0} events/s, accepted in p50 {} p99 {}, recorded in p99 {}",
        point.requests,
        point.accepted,
        quantile(point.accept_p50),
        quantile(point.accept_p99),
        quantile(point.recorded_p99),
    );
    if let Some(depth) = measure.depth {
        line.push_str(&format!(", {depth} in flight"));
    }
    let errors = measure.errors.sum();
    if errors > 0 {
        line.push_str(&format!(", {errors} errors"));
    }
    line
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A progress bar, or log lines without a terminal.
#[derive(Debug)]
pub(super) struct ProgressDisplay {
    bar: ProgressBar,
    what: &'static str,
    logged: Mutex<Instant>,
}

impl ProgressDisplay {
    fn new(what: &'static str, template: &str, length: u64) -> Self {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(length).with_style(style).with_prefix(what);
        Self { bar, what, logged: Mutex::new(Instant::now()) }
    }

    /// A progress bar for work of unknown length.
    pub(super) fn of_unknown_length(what: &'static str) -> Self {
        Self::new(what, "{elapsed_precise} {prefix}: {msg}", 0)
    }

    pub(super) fn of_orders(what: &'static str, count: usize) -> Self {
        let template = "{elapsed_precise} {prefix} {bar:30} {pos} of {len} orders, {per_sec}, {eta} left";
        Self::new(what, template, count as u64)
    }

    pub(super) fn update(&self, line: String) {
        if stderr().is_terminal() {
            self.bar.set_message(line);
        } else {
            self.log(&line);
        }
    }

    /// Counts one finished order.
    pub(super) fn step(&self) {
        self.bar.inc(1);
        if !stderr().is_terminal() {
            self.log(&format!("{} of {}", self.bar.position(), self.bar.length().unwrap_or(0)));
        }
    }

    fn log(&self, line: &str) {
        let mut logged = self.logged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if logged.elapsed() >= LOG_EVERY {
            *logged = Instant::now();
            tracing::info!("{}: {line}", self.what);
        }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
