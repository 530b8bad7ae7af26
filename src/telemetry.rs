//! Logs, on standard error: for people on a terminal, as JSON lines otherwise. And traces, if they are exported.

#[cfg(feature = "otlp")]
mod traces;

use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Sets up logging for this process, unless `level` is the complaint about what was asked for. Call once, and not
/// within a runtime.
pub(crate) fn init(level: Result<Targets, String>) -> Result<(), String> {
    let level = level?;
    let registry = tracing_subscriber::registry();
    #[cfg(feature = "otlp")]
    let registry = registry.with(traces::exported()?);
    if stderr().is_terminal() {
        registry.with(tracing_subscriber::fmt::layer().with_writer(stderr).with_filter(level)).init();
    } else {
        let json = tracing_subscriber::fmt::layer().json().flatten_event(true);
        registry.with(json.with_span_list(false).with_writer(stderr).with_filter(level)).init();
    }
    Ok(())
}

/// Sends off what is to be exported and still here. Not within a runtime.
pub(crate) fn flush() {
    #[cfg(feature = "otlp")]
    traces::flush();
}
