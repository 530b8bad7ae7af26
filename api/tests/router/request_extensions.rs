//! Tests the request extensions: the base path, the deadline and the trace context. The server passes them to the
//! router, and the router passes them to its ports.

use std::sync::Arc;
use std::time::Duration;

use api::trace::TraceContext;
use api::{BasePath, Deadline};
use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use tokio::time::Instant;

use crate::fakes::{Answer, FakePorts, QueueBehaviour, created, send};

const CONFIRMED: &str = r#"{"type":"order_confirmed"}"#;
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const XRAY: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";

fn confirm() -> axum::http::request::Builder {
    Request::post("/v1/orders/o-1/events").header("content-type", "application/json")
}

async fn get_under(fake: &Arc<FakePorts>, base: &str, path: &str) -> Answer {
    let base = BasePath::parse(base).unwrap();
    send(fake, Request::get(path).extension(base).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn every_link_carries_the_base_path() {
    let fake = Arc::new(FakePorts { log: vec![created("o-1", "c")], ..FakePorts::default() });

    let links = json!({ "self": "/shop/a/v1/orders/o-1", "events": "/shop/a/v1/orders/o-1/events" });
    assert_eq!(get_under(&fake, "/shop/a", "/v1/orders/o-1").await.json()["links"], links);
    let list = get_under(&fake, "/shop/a", "/v1/orders?customer_id=c").await.json();
    assert_eq!(list["items"][0]["links"], links);

    let request = confirm().extension(BasePath::parse("/shop/a").unwrap()).body(CONFIRMED.into()).unwrap();
    let answer = send(&fake, request).await;
    let receipt = format!("/shop/a/v1/orders/o-1/events/{}", fake.published()[0].event_id);
    assert_eq!(answer.header("location"), receipt);
    assert_eq!(answer.json()["links"], json!({ "self": receipt, "order": "/shop/a/v1/orders/o-1" }));

    let problem = get_under(&fake, "/shop/a", "/v1/orders/o-2").await;
    problem.is_problem(404, "/problems/order-not-found");
    assert_eq!(problem.json()["instance"], "/shop/a/v1/orders/o-2");
}

#[tokio::test]
async fn the_documentation_works_under_a_base_path() {
    let fake = Arc::new(FakePorts::default());
    for page in ["docs", "try"] {
        let answer = get_under(&fake, "/prod", &format!("/{page}")).await;
        assert_eq!(answer.header("location"), format!("/prod/{page}/"));
    }
    let description = get_under(&fake, "/prod", "/openapi.json").await;
    assert_eq!(description.header("content-type"), "application/json");
    let mut expected = serde_json::to_value(api::openapi()).unwrap();
    expected["servers"] = json!([{ "url": "/prod" }]);
    assert_eq!(description.json(), expected);
    // The link is relative, so it works both from /prod/try/ and from /try/.
    let initializer = get_under(&fake, "/prod", "/try/swagger-initializer.js").await;
    let initializer = String::from_utf8(initializer.body).unwrap();
    assert!(initializer.contains("\"../openapi.json\""), "{initializer}");
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_request_is_answered_at_its_deadline() {
    let fake = Arc::new(FakePorts { queue: QueueBehaviour::Hangs, ..FakePorts::default() });
    for seconds in [0, 29] {
        let at = Instant::now() + Duration::from_secs(seconds);
        let answer = send(&fake, confirm().extension(Deadline(at)).body(CONFIRMED.into()).unwrap()).await;
        answer.is_problem(503, "/problems/outcome-unknown");
    }
    assert!(fake.published().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_finishes_immediately_is_within_any_deadline() {
    let fake = Arc::new(FakePorts::default());
    let request = confirm().extension(Deadline(Instant::now())).body(CONFIRMED.into()).unwrap();
    assert_eq!(send(&fake, request).await.status, 202);
}

#[tokio::test]
async fn the_trace_context_of_a_request_is_passed_to_the_publisher() {
    let trace = |traceparent: Option<&str>, tracestate: Option<&str>, xray: Option<&str>| TraceContext {
        traceparent: traceparent.map(str::to_owned),
        tracestate: tracestate.map(str::to_owned),
        xray: xray.map(str::to_owned),
    };
    let table: [(&[(&str, &str)], _); 5] = [
        (&[], None),
        (&[("traceparent", TRACEPARENT)], Some(trace(Some(TRACEPARENT), None, None))),
        (&[("x-amzn-trace-id", XRAY)], Some(trace(None, None, Some(XRAY)))),
        (
            &[("traceparent", TRACEPARENT), ("tracestate", "a=1"), ("x-amzn-trace-id", XRAY)],
            Some(trace(Some(TRACEPARENT), Some("a=1"), Some(XRAY))),
        ),
        (&[("traceparent", "00-0-0-00"), ("tracestate", "a=1"), ("x-amzn-trace-id", "Root=1")], None),
    ];
    for (headers, expected) in table {
        let fake = Arc::new(FakePorts::default());
        let request = headers.iter().fold(confirm(), |request, (name, value)| request.header(*name, *value));
        // An event with an invalid trace header is still accepted.
        assert_eq!(send(&fake, request.body(CONFIRMED.into()).unwrap()).await.status, 202, "{headers:?}");
        assert_eq!(*fake.trace.lock().unwrap(), expected, "{headers:?}");
    }
}
