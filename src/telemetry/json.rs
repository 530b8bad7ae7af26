//! Lines of the log as JSON, as [`tracing_subscriber::fmt::format::Json`] writes them with its events flattened and
//! without the list of spans. That reads the fields of the current span again for each line, and writes through three
//! layers of adapters: a tenth of what a function does for a message.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Fields of spans have to be formatted by [`JsonFields`](tracing_subscriber::fmt::format::JsonFields).
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(event.metadata().level().as_str())?;
        writer.write_char('"')?;
        let mut fields = Fields { writer: writer.by_ref(), target: None, written: Ok(()) };
        event.record(&mut fields);
        let Fields { target, written, .. } = fields;
        written?;
        writer.write_str(",\"target\":")?;
        string(&mut writer, target.as_deref().unwrap_or(event.metadata().target()))?;
        if let Some(span) = context.lookup_current() {
            writer.write_str(",\"span\":{")?;
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                let fields = fields.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
                if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
                    writer.write_str(fields)?;
                    writer.write_char(',')?;
                }
            }
            writer.write_str("\"name\":")?;
            string(&mut writer, span.name())?;
            writer.write_char('}')?;
        }
        writer.write_str("}\n")
    }
}

/// Writes the fields of an event.
struct Fields<'a> {
    writer: Writer<'a>,
    /// Where it comes from, if it came by the `log` crate.
    target: Option<String>,
    written: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let name = field.name();
        // What `log` knows of the place is not wanted.
        if self.written.is_err() || name.starts_with("log.") {
            return;
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        let writer = &mut self.writer;
        self.written = (|| {
            writer.write_char(',')?;
            string(writer, name)?;
            writer.write_char(':')?;
            value(writer)
        })();
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
        self.write(field, |writer| string(writer, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // What is not finite is null.
        self.write(field, |writer| write!(writer, "{}", serde_json::Value::from(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, |writer| string(writer, &format!("{value:?}")));
    }
}

/// Writes a string of JSON.
fn string(writer: &mut Writer<'_>, value: &str) -> fmt::Result {
    if value.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        return write!(writer, "{}", serde_json::Value::from(value));
    }
    writer.write_char('"')?;
    writer.write_str(value)?;
    writer.write_char('"')
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::prelude::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn read(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let untimed = |line: &str| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
                assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
                line
            };
            text.lines().map(untimed).collect()
        }
    }

    #[test]
    fn lines_are_those_of_the_library() {
        let (ours, its) = (Lines::default(), Lines::default());
        let (our_writer, its_writer) = (ours.clone(), its.clone());
        let mine = layer().event_format(super::Json).fmt_fields(JsonFields::new());
        let library = layer().json().flatten_event(true).with_span_list(false);
        let registry = tracing_subscriber::registry()
            .with(mine.with_writer(move || our_writer.clone()))
            .with(library.with_writer(move || its_writer.clone()));
        tracing::subscriber::with_default(registry, || {
            let error: &(dyn std::error::Error + 'static) = &std::fmt::Error;
            tracing::info!(
                text = "a\"b\\c\n\u{1}ü",
                count = 3u64,
                less = -3,
                share = 0.5,
                is = true,
                "said {}",
                1
            );
            tracing::warn!(none = f64::NAN, debug = ?Some("x"), shown = %"y", error, r#type = "t");
            let empty = tracing::info_span!("empty").entered();
            tracing::error!("in a span without fields");
            drop(empty);
            let _span = tracing::info_span!("outer", id = "1\"2", later = tracing::field::Empty).entered();
            let inner = tracing::info_span!("inner", id = 2);
            inner.in_scope(|| tracing::error!("in the inner"));
            tracing::Span::current().record("later", "now");
            tracing::error!("in the outer");
        });
        let (ours, its) = (ours.read(), its.read());
        assert_eq!(its.len(), 5);
        assert_eq!(ours, its);
    }
}
