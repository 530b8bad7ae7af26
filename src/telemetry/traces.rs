//! Exports spans to an OpenTelemetry collector, by OTLP over HTTP. The settings are the
//! [variables of OpenTelemetry](https://opentelemetry.io/docs/languages/sdk-configuration/otlp-exporter/). Without an
//! endpoint, nothing is exported. The parent module calls these functions.

use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The layer that exports spans, if an endpoint is set, or the reason why the settings are invalid.
pub(super) fn exported<S>() -> Result<Option<impl Layer<S>>, String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let Some(name) = ENDPOINTS.into_iter().find(|name| !disabled && set(name).is_some()) else {
        return Ok(None);
    };
    if set(name).is_some_and(|endpoint| !endpoint.to_string_lossy().starts_with("http://")) {
        return Err(format!(
            "{name} must begin with http://: run a collector, or the agent of your provider, next to this process. The \
             collector can then export over TLS"
        ));
    }
    if set(name).is_some_and(|endpoint| has_user(&endpoint.to_string_lossy())) {
        return Err(format!(
            "{name} must not contain a user or a password: logged errors would contain them"
        ));
    }
    // The exporter's HTTP client needs a TLS provider, although it never uses TLS.
    api::http_client::install_tls_provider();
    let exporter = SpanExporter::builder().with_http().build().map_err(|error| format!("{name}: {error}"))?;
    let mut resource = Resource::builder();
    if set("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("orders");
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let provider = PROVIDER.get_or_init(|| provider);
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    // Exports only the spans of our crates and not those of libraries.
    let ours = ["api", "consumer", "infra", "orders"].map(|target| (target, Level::DEBUG));
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("orders")).with_location(false);
    Ok(Some(layer.with_threads(false).with_filter(Targets::new().with_targets(ours))))
}

/// Whether a URL contains a user or a password.
fn has_user(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// Exports the pending spans. Blocks until the collector has received them, or until the exporter's timeout.
pub(super) fn flush() {
    if let Some(Err(error)) = PROVIDER.get().map(SdkTracerProvider::force_flush) {
        tracing::warn!("not all spans could be exported: {error}");
    }
}
