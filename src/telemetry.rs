//! Logs, on standard error: for people on a terminal, as JSON lines otherwise. And traces, if they are exported.

#[cfg(feature = "otlp")]
mod traces;

use std::fmt;
use std::io::{IsTerminal, stderr};

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// Sets up logging for this process, unless `level` is the complaint about what was asked for. Call once, and not
/// within a runtime.
pub(crate) fn init(level: Result<Targets, String>) -> Result<(), String> {
    let level = level?;
    let registry = tracing_subscriber::registry();
    #[cfg(feature = "otlp")]
    let registry = registry.with(traces::exported()?);
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    if stderr().is_terminal() {
        let layer = layer.map_event_format(|lines| OfRequest { lines, json: false });
        registry.with(layer.with_filter(level)).init();
    } else {
        let layer = layer.json().flatten_event(true).with_current_span(false).with_span_list(false);
        let layer = layer.map_event_format(|lines| OfRequest { lines, json: true });
        registry.with(layer.with_filter(level)).init();
    }
    Ok(())
}

/// Adds the correlation id of the request that is being answered to each line that is written meanwhile.
struct OfRequest<F> {
    lines: F,
    /// Whether a line is a JSON object.
    json: bool,
}

impl<S, N, F> FormatEvent<S, N> for OfRequest<F>
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
        let Some(id) = api::correlation_id() else {
            return self.lines.format_event(context, writer, event);
        };
        if !self.json {
            write!(writer, "request{{correlation_id={}}} ", id.as_str())?;
            return self.lines.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        let members = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        let span = serde_json::json!({ "name": "request", "correlation_id": id.as_str() });
        writeln!(writer, "{members},\"span\":{span}}}")
    }
}

/// Sends off what is to be exported and still here. Not within a runtime.
pub(crate) fn flush() {
    #[cfg(feature = "otlp")]
    traces::flush();
}
