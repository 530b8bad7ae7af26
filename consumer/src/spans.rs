//! The span of a handled event, which is part of the trace of the request that proposed the event. `group` and
//! `inline` open the span, and `settle` ends it. Without the feature `otlp`, there are no spans. Log lines contain
//! the correlation id in either case.

use domain::Envelope;
use tracing::Span;

use crate::disposition::Disposition;
use crate::ports::{Message, TRACE_HEADER};

/// The id of the message's trace, 32 hexadecimal digits: that of its `traceparent`, or else of its X-Ray header.
pub(crate) fn trace_id(message: &Message) -> Option<String> {
    if let Some(traceparent) = message.attributes.get("traceparent") {
        return traceparent.split('-').nth(1).filter(|id| is_trace_id(id)).map(str::to_owned);
    }
    let header = message.attributes.get(TRACE_HEADER)?;
    let root = header.split(';').find_map(|field| field.strip_prefix("Root=1-"))?;
    root.split_once('-').map(|(time, unique)| format!("{time}{unique}")).filter(|id| is_trace_id(id))
}

/// Messages of other producers may have attributes of any content.
fn is_trace_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(not(feature = "otlp"))]
pub(crate) fn of_event(_: &Message, _: Option<&Envelope>) -> Span {
    Span::none()
}

#[cfg(not(feature = "otlp"))]
pub(crate) fn end(_: &Span, _: &Disposition) {}

#[cfg(feature = "otlp")]
pub(crate) use exported::{end, of_event};

#[cfg(feature = "otlp")]
mod exported {
    use std::collections::HashMap;

    use opentelemetry::global::get_text_map_propagator;
    use opentelemetry::trace::Status;
    use tracing::field::Empty;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::{Disposition, Envelope, Message, Span, TRACE_HEADER};

    /// Opens the span, which ends when it is dropped.
    pub(crate) fn of_event(message: &Message, event: Option<&Envelope>) -> Span {
        // The attributes follow OpenTelemetry:
        // https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
        let span = tracing::debug_span!(
            parent: None,
            "process",
            otel.name = Empty,
            otel.kind = "consumer",
            correlation_id = Empty,
            order_id = Empty,
            event_id = Empty,
            messaging.operation.name = "process",
            messaging.message.id = message.id.as_str(),
            orders.receive_count = message.receive_count,
        );
        if span.is_disabled() {
            return span;
        }
        let mut headers: HashMap<_, _> = message.attributes.clone().into_iter().collect();
        if !headers.contains_key("traceparent")
            && let Some(traceparent) = headers.get(TRACE_HEADER).and_then(|header| traceparent_of(header))
        {
            headers.insert("traceparent".to_owned(), traceparent);
        }
        let producer = get_text_map_propagator(|propagator| propagator.extract(&headers));
        // If no exporter is installed, a parent cannot be set. The error is ignored.
        let _ = span.set_parent(producer);
        if let Some(envelope) = event {
            span.record("otel.name", format!("process {}", envelope.event.event_type()));
            span.record("correlation_id", envelope.correlation_id.as_str());
            span.record("order_id", envelope.order_id.as_str());
            span.record("event_id", envelope.event_id.to_string());
        }
        span
    }

    /// Sets the disposition as an attribute of the span.
    pub(crate) fn end(span: &Span, disposition: &Disposition) {
        span.set_attribute("orders.outcome", disposition.as_str());
        match disposition {
            Disposition::Recorded(version) => {
                span.set_attribute("orders.version", i64::try_from(*version).unwrap_or(i64::MAX));
            }
            Disposition::Rejected(reason, _) => span.set_attribute("orders.reason", reason.as_str()),
            Disposition::Parked(reason, detail) => {
                span.set_attribute("orders.reason", reason.as_str());
                span.set_status(Status::error(detail.clone()));
            }
            Disposition::Retry(why) => span.set_status(Status::error(why.clone())),
            Disposition::Duplicate | Disposition::Archived | Disposition::Completed => {}
        }
    }

    /// Converts the ids of an X-Ray header to a `traceparent` of W3C Trace Context
    /// ([X-Ray](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader)).
    /// Returns `None` if the header does not name a parent segment.
    fn traceparent_of(header: &str) -> Option<String> {
        let field = |name: &str| header.split(';').find_map(|field| field.strip_prefix(name));
        let (time, unique) = field("Root=1-")?.split_once('-')?;
        let flags = if field("Sampled=") == Some("0") { "00" } else { "01" };
        Some(format!("00-{time}{unique}-{}-{flags}", field("Parent=")?))
    }

    #[cfg(test)]
    mod tests {
        use super::traceparent_of;

        #[test]
        fn an_x_ray_header_is_read_as_a_trace_context() {
            let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
            let w3c = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
            assert_eq!(traceparent_of(header).as_deref(), Some(w3c));
            let unsampled = header.replace("Sampled=1", "Sampled=0");
            assert_eq!(traceparent_of(&unsampled), Some(w3c.replace("-01", "-00")));
            assert_eq!(traceparent_of("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"), None);
            assert_eq!(traceparent_of("Parent=53995c3f42cd8ad8"), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Message {
        Message { attributes: [(name.to_owned(), value.to_owned())].into(), ..Message::default() }
    }

    #[test]
    fn the_trace_id_comes_from_either_header() {
        let id = |name, value| trace_id(&with(name, value));
        let w3c = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(id("traceparent", w3c).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        assert_eq!(id(TRACE_HEADER, xray).as_deref(), Some("5759e988bd862e3fe1be46a994272793"));
        for wrong in ["", "00-short-00f067aa0ba902b7-01", "00"] {
            assert_eq!(id("traceparent", wrong), None, "{wrong:?}");
        }
    }
}
