//! Writes log lines as JSON objects. The service logs a line for every recorded event, and the formatter of
//! `tracing-subscriber` takes several times as long as this hand-written one: see `docs/decisions/log-lines.md`.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;

use super::log_queue::{LogOutput, is_urgent};

/// Writes each `tracing` event as a log line.
pub(super) struct JsonLines(pub(super) LogOutput);

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let write = |line: &mut String| {
            line.clear();
            // Writing to a string never fails, but formatting a value may fail. The line is logged anyway, because its
            // other values are still useful.
            let _ = write_line(line, event);
            self.0.push(line.as_bytes(), is_urgent(*event.metadata().level()));
        };
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => write(&mut line),
            // The shared buffer is in use, because this line is logged while a value of another line is formatted.
            Err(_) => write(&mut String::new()),
        });
    }
}

fn write_line(line: &mut String, event: &Event<'_>) -> fmt::Result {
    line.push_str("{\"timestamp\":\"");
    SystemTime.format_time(&mut Writer::new(line))?;
    line.push_str("\",\"level\":\"");
    line.push_str(name_of(*event.metadata().level()));
    line.push('"');
    let mut members = JsonMembers { line, target: None, has_trace: false };
    event.record(&mut members);
    let JsonMembers { target, has_trace, .. } = members;
    line.push_str(",\"target\":");
    push_text(line, target.as_deref().unwrap_or(event.metadata().target()));
    if !has_trace {
        api::with_trace_id(|id| {
            line.push_str(",\"trace_id\":");
            push_text(line, id);
        });
    }
    api::with_correlation_id(|id| {
        line.push_str(",\"span\":{\"name\":\"request\",\"correlation_id\":");
        push_text(line, id.as_str());
        line.push('}');
    });
    line.push_str("}\n");
    Ok(())
}

fn name_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// Writes the fields of an event as members of the JSON object.
struct JsonMembers<'a> {
    line: &'a mut String,
    /// The real target of a line that the crate `log` produced. `tracing` gives all such lines the same target.
    target: Option<String>,
    /// Whether the line itself has the id of a trace.
    has_trace: bool,
}

impl JsonMembers<'_> {
    fn name(&mut self, field: &Field) -> &mut String {
        self.line.push(',');
        push_text(self.line, field.name());
        self.line.push(':');
        self.line
    }

    fn number(&mut self, field: &Field, number: impl fmt::Display) {
        // Writing to a string never fails.
        let _ = write!(self.name(field), "{number}");
    }
}

impl Visit for JsonMembers<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "log.target" => self.target = Some(value.to_owned()),
            name if name.starts_with("log.") => {}
            "trace_id" => {
                self.has_trace = true;
                push_text(self.name(field), value);
            }
            _ => push_text(self.name(field), value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // The crate `log` reports the number of the source line as a field. That field is not logged.
        if !field.name().starts_with("log.") {
            self.number(field, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.number(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.number(field, value);
        } else {
            self.name(field).push_str("null");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let line = self.name(field);
        line.push('"');
        // If formatting fails, the line keeps the part of the value that was already written.
        let _ = write!(JsonEscaped(line), "{value:?}");
        line.push('"');
    }
}

/// Writes text as the content of a JSON string, without the quotes.
struct JsonEscaped<'a>(&'a mut String);

impl Write for JsonEscaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

fn push_text(line: &mut String, text: &str) {
    line.push('"');
    escape(line, text);
    line.push('"');
}

fn escape(line: &mut String, text: &str) {
    // Nearly every text needs no escapes. The check has no early exit, so the compiler can compare 16 bytes at a time.
    if !text.bytes().fold(false, |found, byte| found | needs_escape(byte)) {
        return line.push_str(text);
    }
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| needs_escape(*byte)) {
        line.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            // Writing to a string never fails.
            _ => drop(write!(line, "\\u{byte:04x}")),
        }
    }
    line.push_str(&text[plain_from..]);
}

/// Whether a byte needs an escape. The bytes of non-ASCII characters need no escape.
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn text_is_escaped_as_json() {
        for text in
            ["plain", "", "\"quoted\" \\ back", "line\nbreak\r\ttab", "\u{0}\u{1f}\u{7f}", "Grüße 日本 🦀"]
        {
            let mut line = String::new();
            push_text(&mut line, text);
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), text, "{line}");
        }
    }
}
