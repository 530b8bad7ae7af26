//! Sets up the service's telemetry: logs on standard error, and traces if a collector is configured. Logs are text on a
//! terminal and JSON lines elsewhere.
//!
//! `main` calls [`init`] once, before anything is logged. Log lines never block: see [`log_queue`].

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
use log_queue::{LogOutput, LogQueue};

/// How long the process waits at its exit until the last lines are written to standard error.
const LAST_WORDS: Duration = Duration::from_secs(2);

static OUTPUT: OnceLock<LogOutput> = OnceLock::new();

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogWriting {
    /// A separate thread writes the lines. Only [`flush`] waits for that thread.
    Queued,
    /// Each thread writes its lines itself, and waits until they are written. Lambda functions need this, because they
    /// may be frozen as soon as they have answered.
    #[cfg(feature = "aws")]
    Direct,
}

/// Sets up logging for this process, or returns the error in `level`. Call it once, and outside of a runtime.
pub(crate) fn init(level: Result<Targets, String>, writing: LogWriting) -> Result<(), String> {
    let level = level?;
    let output = OUTPUT.get_or_init(|| match writing {
        // If the system has no file descriptor or thread for the queue, lines are written directly. That is better than
        // no log.
        LogWriting::Queued => LogQueue::to_stderr().map_or(LogOutput::Direct, LogOutput::Queued),
        #[cfg(feature = "aws")]
        LogWriting::Direct => LogOutput::Direct,
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

/// Logs a panic. Rust's own hook writes directly to standard error, and would block if the reader has stopped reading.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(tracing::field::display);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // The backtrace is empty unless RUST_BACKTRACE is set.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(thread, location, backtrace, "panicked: {message}");
    } else {
        print(&format!("thread {thread} panicked: {message}"));
    }
}

/// Adds the correlation id and the trace id of the current request to the lines shown on a terminal.
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
        api::with_trace_id(|id| write!(writer, "trace_id={id} ")).unwrap_or(Ok(()))?;
        self.0.format_event(context, writer, event)
    }
}

/// Prints text for people to standard error. The text keeps its place among the log lines, and never blocks the caller.
pub(crate) fn print(text: &str) {
    let output = OUTPUT.get().unwrap_or(&LogOutput::Direct);
    output.push(format!("{text}\n").as_bytes(), true);
}

/// The number of lines dropped since the process started because standard error did not accept them in time.
pub(crate) fn dropped_lines() -> u64 {
    match OUTPUT.get() {
        Some(LogOutput::Queued(lines)) => lines.dropped(),
        _ => 0,
    }
}

/// Exports the pending spans, and waits a limited time until all log lines are written. Call it outside of a runtime.
pub(crate) fn flush() {
    #[cfg(feature = "otlp")]
    traces::flush();
    if let Some(LogOutput::Queued(lines)) = OUTPUT.get() {
        lines.flush(LAST_WORDS);
    }
}

/// Calls [`flush`] when dropped, even during a panic.
pub(crate) struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        flush();
    }
}
