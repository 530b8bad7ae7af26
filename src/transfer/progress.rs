//! Shows the progress of an export or an import on standard error: a bar on a terminal, log lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// The time between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    what: &'static str,
    bar: ProgressBar,
    started: Instant,
    logged: Instant,
    is_logged: bool,
}

impl Progress {
    /// Shows the progress of `what`. `length` is the final position, if it is known. [`Progress::show`] gets the
    /// current position.
    pub(super) fn new(what: &'static str, length: Option<u64>) -> Self {
        let (bar, template) = match length {
            Some(length) => (ProgressBar::new(length), "{prefix} {bar:30} {percent} %, {msg}, {eta} left"),
            None => (ProgressBar::new_spinner(), "{prefix} {spinner} {msg}"),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let now = Instant::now();
        Self {
            what,
            bar: bar.with_style(style).with_prefix(what),
            started: now,
            logged: now,
            is_logged: !stderr().is_terminal(),
        }
    }

    /// Updates the number of events and the position.
    pub(super) fn show(&mut self, events: u64, position: u64) {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let rate = events as f64 / seconds;
        self.bar.set_position(position);
        self.bar.set_message(format!("{} events, {rate:.0} events/s", HumanCount(events)));
        if self.is_logged && self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            tracing::info!("{}: {events} events, {rate:.0} events/s", self.what);
        }
    }

    /// Removes the bar, and returns the elapsed time.
    pub(super) fn end(self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}
