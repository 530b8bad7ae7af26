//! Logs, on standard error: for people on a terminal, as JSON lines otherwise. And traces, if they are exported.
//!
//! [`init`] is called once, by `main`, before anything is logged. Log lines never block: see [`log_queue`].

mod json;
mod log_queue;
#[cfg(feature = "otlp")]
mod traces;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{IsTerminal, stderr};
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::time::Duration;

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use json::JsonLines;
use log_queue::{Lines, Output};

/// How long the end of the process waits for a reader of standard error that does not read.
const LAST_WORDS: Duration = Duration::from_secs(2);

static OUTPUT: OnceLock<Output> = OnceLock::new();

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// By a thread of its own. Nobody waits for it but [`flush`].
    Queued,
    /// By whoever logs. For functions, which may be frozen as soon as they have answered.
    #[cfg(feature = "aws")]
    Direct,
}

/// Sets up logging for this process, unless `level` is the error about the level. Call once, and not within a runtime.
pub(crate) fn init(level: Result<Targets, String>, writing: Writing) -> Result<(), String> {
    let level = level?;
    let output = OUTPUT.get_or_init(|| match writing {
        // Without a descriptor or a thread the log is as good as it can be.
        Writing::Queued => Lines::to_stderr().map_or(Output::Direct, Output::Queued),
        #[cfg(feature = "aws")]
        Writing::Direct => Output::Direct,
    });
    let registry = tracing_subscriber::registry();
    #[cfg(feature = "otlp")]
    let registry = registry.with(traces::exported()?);
    if stderr().is_terminal() {
        let layer = tracing_subscriber::fmt::layer().with_writer(output.clone());
        let layer = layer.map_event_format(WithCorrelationId);
        registry.with(layer.with_filter(level)).init();
    } else {
        registry.with(JsonLines(output.clone()).with_filter(level)).init();
    }
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs a panic. Rust's own hook writes to standard error itself, and blocks where nobody reads that.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(tracing::field::display);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // Captured where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(thread, location, backtrace, "panicked: {message}");
    } else {
        print(&format!("thread {thread} panicked: {message}"));
    }
}

/// Adds the correlation id of the request that is being answered to each line that is written meanwhile, for people.
struct WithCorrelationId<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithCorrelationId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let write = |id: &domain::CorrelationId| write!(writer, "request{{correlation_id={}}} ", id.as_str());
        api::with_correlation_id(write).unwrap_or(Ok(()))?;
        self.0.format_event(context, writer, event)
    }
}

/// Prints text for people to standard error, among the lines of the log, and blocks as little as those do.
pub(crate) fn print(text: &str) {
    let output = OUTPUT.get().unwrap_or(&Output::Direct);
    output.push(format!("{text}\n").as_bytes(), true);
}

/// How many lines were dropped since the process started, because they could not be written in time.
pub(crate) fn dropped_lines() -> u64 {
    match OUTPUT.get() {
        Some(Output::Queued(lines)) => lines.dropped(),
        _ => 0,
    }
}

/// Sends off what is to be exported and still here, and waits until the log is written, for a while. Not within a runtime.
pub(crate) fn flush() {
    #[cfg(feature = "otlp")]
    traces::flush();
    if let Some(Output::Queued(lines)) = OUTPUT.get() {
        lines.flush(LAST_WORDS);
    }
}

/// Calls [`flush`] when it is dropped, also by a panic.
pub(crate) struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        flush();
    }
}
