//! Tests `GET /v1/export` without a network: what an export contains, who may request it, and how it ends
//! early.

use std::sync::Arc;
use std::time::Duration;

use api::auth::{Principal, Scope};
use api::export::Exports;
use api::ports::export::{ExportFilter, ExportReader, LogExport};
use api::{AppState, Deadline};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use domain::{Currency, RecordedEvent};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use crate::fakes::{FakePorts, get, send_to, state};

/// A log of three events. Each read takes the given time.
struct FakeLog(Duration);

struct FakeReader {
    pause: Duration,
    left: Vec<RecordedEvent>,
    filter: ExportFilter,
}

fn event(order: &str, version: u64) -> RecordedEvent {
    let entry = json!({
        "version": version, "recorded_at": format!("2026-11-23T10:00:0{version}Z"), "type": "order_confirmed",
        "schema_version": 2, "event_id": format!("0199d3a0-0000-7000-8000-00000000000{version}"),
        "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "r", "request_hash": "5e8c24a0b1d39f70",
        "data": { "order_id": order },
    });
    RecordedEvent::decode(entry.to_string().as_bytes(), Currency::parse("EUR").unwrap()).unwrap()
}

impl LogExport for FakeLog {
    fn export(&self, filter: ExportFilter) -> Box<dyn ExportReader> {
        let left = vec![event("o-2", 3), event("o-1", 2), event("o-1", 1)];
        Box::new(FakeReader { pause: self.0, left, filter })
    }
}

#[async_trait]
impl ExportReader for FakeReader {
    async fn next(&mut self) -> anyhow::Result<Option<Vec<RecordedEvent>>> {
        sleep(self.pause).await;
        let next = self.left.pop();
        Ok(next.map(|event| {
            let is_selected = self.filter.from.is_none_or(|from| event.recorded_at >= from);
            Some(event).filter(|_| is_selected).into_iter().collect()
        }))
    }
}

fn exporting(pause: Duration) -> AppState {
    let fake = Arc::new(FakePorts::default());
    AppState { exports: Some(Exports::new(Arc::new(FakeLog(pause)))), ..state(&fake) }
}

fn request(query: &str) -> Request<Body> {
    Request::get(format!("/v1/export{query}")).body(Body::empty()).unwrap()
}

async fn lines(router: &Router, request: Request<Body>) -> Vec<Value> {
    let answer = send_to(router.clone(), request).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/x-ndjson"));
    let text = String::from_utf8(answer.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_export_has_every_event_and_a_last_line() {
    let router = api::router(exporting(Duration::ZERO));
    let all = lines(&router, request("")).await;
    let entry = |order, version| serde_json::from_slice::<Value>(&event(order, version).encode()).unwrap();
    assert_eq!(all[..3], [entry("o-1", 1), entry("o-1", 2), entry("o-2", 3)]);
    assert_eq!(all[0]["request_hash"], "5e8c24a0b1d39f70", "an import needs the hash");
    assert_eq!(
        (&all[3]["object"], &all[3]["orders"], &all[3]["events"]),
        (&json!("export_end"), &json!(2), &json!(3))
    );
    // The first chunks are empty.
    let late = lines(&router, request("?from=2026-11-23T10:00:03Z")).await;
    assert_eq!(late.len(), 2);
}

#[tokio::test]
async fn only_an_operator_of_all_customers_may_export() {
    let principal = |scope: Scope, customer: Option<&str>| Principal {
        scopes: Some(vec![scope.as_str().to_owned()]),
        customer_id: customer.map(|id| id.parse().unwrap()),
        ..Principal::anyone()
    };
    let router = api::router(exporting(Duration::ZERO));
    for refused in
        [principal(Scope::Read, None), principal(Scope::Write, None), principal(Scope::Operate, Some("c-1"))]
    {
        let request = Request::get("/v1/export").extension(refused).body(Body::empty()).unwrap();
        send_to(router.clone(), request).await.is_problem(403, "/problems/forbidden");
    }
    let allowed = Request::get("/v1/export").extension(principal(Scope::Operate, None));
    assert_eq!(lines(&router, allowed.body(Body::empty()).unwrap()).await.len(), 4);
}

#[tokio::test]
async fn a_service_without_an_export_answers_404() {
    let answer = get(&Arc::new(FakePorts::default()), "/v1/export").await;
    answer.is_problem(404, "/problems/not-found");
    assert!(answer.json()["detail"].as_str().unwrap().contains("orders export --aws"));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_request_does_not_end_an_export() {
    let router = api::router(exporting(Duration::from_secs(20)));
    let mut request = request("");
    let begun = Instant::now();
    request.extensions_mut().insert(Deadline(begun + Duration::from_secs(30)));
    assert_eq!(lines(&router, request).await.len(), 4);
    assert_eq!(begun.elapsed(), Duration::from_secs(80));
}

#[tokio::test]
async fn one_export_runs_at_a_time() {
    let router = api::router(exporting(Duration::ZERO));
    let running = router.clone().oneshot(request("")).await.unwrap();
    assert_eq!(running.status(), StatusCode::OK);
    let second = send_to(router.clone(), request("")).await;
    second.is_problem(503, "/problems/too-many-streams");
    assert_eq!(second.header("retry-after"), "30");
    drop(running);
    assert_eq!(lines(&router, request("")).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_export_breaks_off_when_the_service_stops() {
    let (stop, stopped) = watch::channel(false);
    let state = AppState { stopping: Some(stopped), ..exporting(Duration::from_secs(20)) };
    let answer = api::router(state).oneshot(request("")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    stop.send_replace(true);
    let body = to_bytes(answer.into_body(), usize::MAX).await;
    assert!(body.is_err(), "a client must not take the answer for a whole export");
}
