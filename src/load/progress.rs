//! How it goes: a bar on a terminal, and a line from time to time elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::LoadRun;
use super::report::took;

/// Between two drawings of the bar.
const REDRAW: Duration = Duration::from_millis(250);
/// Between two lines of a log.
const LINES: Duration = Duration::from_secs(5);

/// Shows how the load goes, until it is dropped.
pub(super) async fn show(run: Arc<LoadRun>) {
    let length = run.args.warm_up + run.args.duration;
    let progress = ProgressDisplay::new("load", "{elapsed_precise} {bar:30} {msg}", millis(length));
    loop {
        progress.bar.set_position(millis(run.start.elapsed().min(length)));
        progress.tell(line(&run));
        tokio::time::sleep(REDRAW).await;
    }
}

/// What has happened lately, in a line.
fn line(run: &LoadRun) -> String {
    let measure = run.measure();
    let Some(point) = measure.points.last() else { return "starting".to_owned() };
    let quantile = |of: Option<u64>| of.map_or_else(|| "–".to_owned(), took);
    let mut line = format!(
        "{:.0} requests/s, {:.0} events/s, accepted in p50 {} p99 {}, recorded in p99 {}",
        point.requests,
        point.accepted,
        quantile(point.accept_p50),
        quantile(point.accept_p99),
        quantile(point.recorded_p99),
    );
    if let Some(depth) = measure.depth {
        line.push_str(&format!(", {depth} waiting"));
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

/// A bar, or lines where there is no terminal.
#[derive(Debug)]
pub(super) struct ProgressDisplay {
    bar: ProgressBar,
    what: &'static str,
    told: Mutex<Instant>,
}

impl ProgressDisplay {
    fn new(what: &'static str, template: &str, length: u64) -> Self {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(length).with_style(style).with_prefix(what);
        Self { bar, what, told: Mutex::new(Instant::now()) }
    }

    /// Of something that takes as long as it takes.
    pub(super) fn waiting(what: &'static str) -> Self {
        Self::new(what, "{elapsed_precise} {prefix}: {msg}", 0)
    }

    pub(super) fn of_orders(what: &'static str, count: usize) -> Self {
        let template = "{elapsed_precise} {prefix} {bar:30} {pos} of {len} orders, {per_sec}, {eta} left";
        Self::new(what, template, count as u64)
    }

    pub(super) fn tell(&self, line: String) {
        if stderr().is_terminal() {
            self.bar.set_message(line);
        } else {
            self.log(&line);
        }
    }

    /// One more is done.
    pub(super) fn step(&self) {
        self.bar.inc(1);
        if !stderr().is_terminal() {
            self.log(&format!("{} of {}", self.bar.position(), self.bar.length().unwrap_or(0)));
        }
    }

    fn log(&self, line: &str) {
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.elapsed() >= LINES {
            *told = Instant::now();
            tracing::info!("{}: {line}", self.what);
        }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
