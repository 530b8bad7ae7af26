//! The span of a request, and the span of publishing within it. `correlation` and `orders::publish` open them.
//!
//! Spans exist only with the feature `otlp`, because they are expensive: a span costs half as much as reading the body.
//! Log lines contain the correlation id even without spans.

use axum::extract::Request;
use domain::{CorrelationId, Envelope};
use tracing::Span;

#[cfg(feature = "otlp")]
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::http::trace::TraceContext;

/// The span of a request.
#[cfg(feature = "otlp")]
pub(crate) fn of_request(id: &CorrelationId) -> Span {
    use tracing::field::Empty;

    tracing::debug_span!("request", correlation_id = id.as_str(), otel.name = Empty, otel.kind = Empty)
}

#[cfg(not(feature = "otlp"))]
pub(crate) fn of_request(_: &CorrelationId) -> Span {
    Span::none()
}

/// Makes `span` a part of the caller's trace, and returns the trace context to pass on. The context names `span` or, if
/// `span` is not exported, the caller's span.
#[cfg(feature = "otlp")]
pub(crate) fn join(span: &Span, request: &Request, trace: Option<TraceContext>) -> Option<TraceContext> {
    use axum::extract::MatchedPath;

    if span.set_parent(exported::context_of(trace.as_ref())).is_err() {
        return trace;
    }
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let method = request.method().as_str().to_owned();
    span.record("otel.kind", "server");
    span.record("otel.name", format!("{method} {route}").trim_end());
    // https://opentelemetry.io/docs/specs/semconv/http/http-spans/
    span.set_attribute("http.request.method", method);
    span.set_attribute("http.route", route.to_owned());
    span.set_attribute("url.path", request.uri().path().to_owned());
    exported::onward(span, trace)
}

#[cfg(not(feature = "otlp"))]
pub(crate) fn join(_: &Span, _: &Request, trace: Option<TraceContext>) -> Option<TraceContext> {
    trace
}

/// Records the status of the answer.
#[cfg(feature = "otlp")]
pub(crate) fn answered(span: &Span, status: u16) {
    span.set_attribute("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.set_status(opentelemetry::trace::Status::error(""));
    }
}

#[cfg(not(feature = "otlp"))]
pub(crate) fn answered(_: &Span, _: u16) {}

/// Runs `publish` in a separate span. The events carry the context of the separate span through the queue.
#[cfg(feature = "otlp")]
pub(crate) async fn publish_span<F: Future>(events: &[Envelope], publish: F) -> F::Output {
    use tracing::Instrument;

    let span = tracing::debug_span!(
        "publish",
        otel.kind = "producer",
        correlation_id = events.first().map(|event| event.correlation_id.as_str()),
        messaging.operation.name = "publish",
        messaging.batch.message_count = events.len(),
    );
    let trace = exported::onward(&span, crate::http::trace::current());
    crate::http::trace::within(trace, publish).instrument(span).await
}

#[cfg(not(feature = "otlp"))]
pub(crate) async fn publish_span<F: Future>(_: &[Envelope], publish: F) -> F::Output {
    publish.await
}

#[cfg(feature = "otlp")]
mod exported {
    use std::collections::HashMap;

    use opentelemetry::Context;
    use opentelemetry::global::get_text_map_propagator;
    use opentelemetry::trace::TraceContextExt;
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use crate::http::trace::TraceContext;

    /// The caller's trace context, in the form that OpenTelemetry uses.
    pub(super) fn context_of(trace: Option<&TraceContext>) -> Context {
        let headers: HashMap<_, _> = trace.into_iter().flat_map(TraceContext::w3c).collect();
        get_text_map_propagator(|propagator| propagator.extract(&headers))
    }

    /// The trace context to pass on, which names `span` as the parent. Returns `trace` if `span` is not exported.
    pub(super) fn onward(span: &Span, trace: Option<TraceContext>) -> Option<TraceContext> {
        let context = span.context();
        if !context.span().span_context().is_valid() {
            return trace;
        }
        let mut headers: HashMap<String, String> = HashMap::new();
        get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut headers));
        let tracestate = headers.remove("tracestate").filter(|state| !state.is_empty());
        let xray = trace.and_then(|trace| trace.xray);
        Some(TraceContext { traceparent: headers.remove("traceparent"), tracestate, xray })
    }
}
