//! Tests exported spans. In each deployment, a request leads to one trace, from the client through the queue to the
//! consumer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::eventually::eventually;
use crate::support::http;
use crate::support::service::{Answer, Api, Service, order, orders};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "b7ad6b7169203331";

/// A minimal OpenTelemetry collector for OTLP over HTTP.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

/// An exported span.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    service: String,
    name: String,
    kind: SpanKind,
    trace: String,
    id: String,
    parent: String,
    attributes: HashMap<String, String>,
    failed: bool,
}

impl Collector {
    /// Starts a collector. Returns the collector and its endpoint.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        (collector, http::serve(router).await)
    }

    /// Waits until the trace has a span with the given name and a server span. Returns its spans.
    async fn trace_with(&self, trace: &str, name: &str) -> Vec<Span> {
        eventually(&format!("{name} of trace {trace} is exported"), async || {
            let all = self.0.lock().unwrap().clone();
            let spans: Vec<_> = all.iter().filter(|span| span.trace == trace).cloned().collect();
            // Spans of different processes and batches arrive in any order.
            let found = spans.iter().any(|span| span.name == name)
                && spans.iter().any(|span| span.kind == SpanKind::Server);
            if found { Ok(spans) } else { Err(all) }
        })
        .await
    }
}

async fn take(State(collector): State<Collector>, body: Bytes) -> &'static [u8] {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.unwrap().attributes);
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            collector.0.lock().unwrap().push(Span {
                service: resource["service.name"].clone(),
                kind: span.kind(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                attributes: attributes(span.attributes),
                failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
            });
        }
    }
    // An empty protobuf message.
    b""
}

fn attributes(all: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>) -> HashMap<String, String> {
    let text = |value| match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    all.into_iter().filter_map(|pair| Some((pair.key, text(pair.value?.value?)))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Posts an order with the headers of a client that traces its requests.
async fn post_traced(api: &Api) -> Answer {
    let traceparent = format!("00-{TRACE}-{CLIENT}-01");
    let headers = [("traceparent", traceparent.as_str()), ("x-correlation-id", "request-7")];
    let answer = api.ask(Method::POST, "/v1/orders", &headers, Some(&order("traced"))).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer
}

/// Checks that the spans form a chain: client, API, queue, consumer.
fn assert_linked(spans: &[Span], order_id: &Value) {
    let [client, request, publish, process] = ["", "POST /v1/orders", "publish", "process order_created"]
        .map(|name| spans.iter().find(|span| span.name == name));
    assert_eq!(client, None);
    let (request, publish, process) = (request.unwrap(), publish.unwrap(), process.unwrap());
    assert_eq!(spans.len(), 3, "{spans:#?}");
    assert_eq!((request.kind, request.parent.as_str()), (SpanKind::Server, CLIENT));
    assert_eq!((publish.kind, &publish.parent), (SpanKind::Producer, &request.id));
    assert_eq!((process.kind, &process.parent), (SpanKind::Consumer, &publish.id));
    for span in spans {
        assert_eq!(span.attributes["correlation_id"], "request-7", "{span:?}");
        assert!(!span.failed && span.service == "orders", "{span:?}");
    }
    let of = |span: &Span, name: &str| span.attributes[name].clone();
    assert_eq!(of(request, "http.response.status_code"), "202");
    assert_eq!(of(request, "http.route"), "/v1/orders");
    assert_eq!(of(process, "orders.outcome"), "recorded");
    assert_eq!(json!(of(process, "order_id")), *order_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_request_to_the_recorded_event() {
    let (collector, endpoint) = Collector::start().await;
    let folder = TempDir::new().unwrap();
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("ORDERS_MIN_FREE_DISK", "1").env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    command.arg("--data").arg(folder.path().join("data"));
    let mut service = Service::spawn(command);
    let answer = post_traced(&service).await;
    service.outcome(&answer.body).await;
    // The process exports pending spans before it ends.
    assert!(service.terminate().success());
    assert_linked(&collector.trace_with(TRACE, "process order_created").await, &answer.body["order_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_have_the_correlation_id_of_their_request() {
    let folder = TempDir::new().unwrap();
    // No disk has so much free space. So the service refuses every event.
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--min-free-disk", "1000000000"]);
    command.arg("--data").arg(folder.path().join("data"));
    let service = Service::spawn(command);
    let headers = [("x-correlation-id", "request-8")];
    let answer = service.ask(Method::POST, "/v1/orders", &headers, Some(&order("full"))).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let line = service.wait_for_log("request failed");
    assert_eq!(line["span"], json!({ "name": "request", "correlation_id": "request-8" }));
}

#[test]
fn an_invalid_endpoint_is_reported() {
    let folder = TempDir::new().unwrap();
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--data"]);
    let output = command.arg(folder.path()).env("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{error}");
}

#[cfg(feature = "aws")]
mod aws {
    use std::path::Path;

    use super::*;
    use crate::conformance::QueueOptions;
    use crate::conformance::aws::AwsBackend;
    use crate::support::emulator::Emulator;
    use crate::support::emulator::lambda::Function;

    #[tokio::test(flavor = "multi_thread")]
    async fn one_trace_leads_through_two_containers() {
        let (collector, endpoint) = Collector::start().await;
        let backend = AwsBackend::open(true, QueueOptions::default()).await;
        let emulator = &Emulator::shared().endpoint;
        let traced = |role| {
            let mut command = backend.role(role, emulator);
            command.env("ORDERS_LISTEN", "127.0.0.1:0").env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
            command
        };
        let mut api = Service::spawn(traced("api"));
        let (mut consumer, _) = Service::spawn_until(traced("consumer"), "\"consuming\"");
        let answer = post_traced(&api).await;
        api.outcome(&answer.body).await;
        assert!(api.terminate().success() && consumer.terminate().success());
        let spans = collector.trace_with(TRACE, "process order_created").await;
        assert_linked(&spans, &answer.body["order_id"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_trace_leads_through_two_functions_that_export_before_they_are_frozen() {
        let (collector, endpoint) = Collector::start().await;
        let backend = AwsBackend::open(true, QueueOptions::default()).await;
        let own = [("ORDERS_INSECURE_NO_AUTH", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
        let environment = [&backend.variables()[..], &own].concat();
        let program = Path::new(env!("CARGO_BIN_EXE_orders"));
        let deploy = async |role| Function::deploy(Emulator::shared(), program, role, &environment).await;
        let (api, consumer) = (deploy("api").await, deploy("consumer").await);
        consumer.consume(&backend.queues.arn, 10).await;
        let answer = post_traced(&Api::at(&api.http_api().await.default_stage)).await;
        let spans = collector.trace_with(TRACE, "process order_created").await;
        assert_linked(&spans, &answer.body["order_id"]);
    }
}
