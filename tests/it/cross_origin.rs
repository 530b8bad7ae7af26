//! Tests that pages of other origins can use the API in a real browser: requests with preflights, and `EventSource` on the
//! stream of events while the service is killed and restarted.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::browser::Page;
use crate::support::eventually::eventually;
use crate::support::recorded::whole_feed;
use crate::support::service::{Service, order};

/// A web site with one page. Its script reports to the site, which keeps the latest report.
struct Site {
    port: u16,
    report: Arc<Mutex<Value>>,
    listener: Option<TcpListener>,
}

impl Site {
    /// Reserves the port, so that the service can be configured with the origin before the page is written.
    async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { port: listener.local_addr().unwrap().port(), report: Arc::default(), listener: Some(listener) }
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Serves the page. Its script sees `api`, the URL of the service, and `report`, which sends a value to the site.
    fn serve(&mut self, api: &str, script: &str) {
        let page = format!(
            r#"<!doctype html><title>A shop</title><script type="module">
            const api = "{api}";
            const report = (value) => fetch("/report", {{ method: "POST", body: JSON.stringify(value),
              headers: {{ "content-type": "application/json" }} }});
            {script}
            </script>"#
        );
        let router = Router::new()
            .route("/", get(async move || Html(page)))
            .route("/report", post(keep))
            .with_state(self.report.clone());
        let listener = self.listener.take().expect("a site has one page");
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    async fn report_that(&self, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        eventually(what, async || {
            let report = self.report.lock().unwrap().clone();
            if holds(&report) { Ok(report) } else { Err(report) }
        })
        .await
    }
}

async fn keep(State(report): State<Arc<Mutex<Value>>>, Json(value): Json<Value>) {
    *report.lock().unwrap() = value;
}

fn start(data: &TempDir, address: &str, site: &Site) -> Service {
    Service::start_at(address, &data.path().join("data"), &["--cors-origins", &site.origin()])
}

const MANAGE_A_WEBHOOK: &str = r#"
    const send = async (method, path, headers, body) => {
      const answer = await fetch(api + path, { method, headers: { "content-type": "application/json", ...headers }, body });
      const read = (name) => answer.headers.get(name);
      return { status: answer.status, etag: read("etag"), location: read("location"), correlation: read("x-correlation-id"),
        link: read("link"), limit: read("ratelimit-policy"), body: await answer.text() };
    };
    try {
      const subscription = JSON.stringify({ url: "https://shop.example/hooks", paused: true });
      const created = await send("POST", "/v1/webhooks", { "idempotency-key": "k-1", "x-correlation-id": "of-the-page" }, subscription);
      const path = new URL(created.location, api).pathname;
      const change = JSON.stringify({ description: "changed" });
      const changed = await send("PATCH", path, { "if-match": created.etag }, change);
      const stale = await send("PATCH", path, { "if-match": created.etag }, change);
      const deleted = await send("DELETE", path, {});
      const list = await send("GET", "/v1/events?limit=1", { prefer: "wait=1" });
      await report({ created, changed, stale, deleted, list });
    } catch (error) {
      await report({ error: String(error) });
    }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_uses_every_method_and_reads_the_headers() {
    let folder = TempDir::new().unwrap();
    let mut site = Site::bind().await;
    let service = start(&folder, "127.0.0.1:0", &site);
    for _ in 0..2 {
        service.accept("/v1/orders", &order("c-1")).await;
    }
    site.serve(&service.url, MANAGE_A_WEBHOOK);
    // The page's origin is not allowed if the page is loaded from another host name.
    let foreign = Page::open(&format!("http://localhost:{}", site.port)).await;
    let refused = site.report_that("the foreign page reports", |report| !report.is_null()).await;
    assert_eq!(refused, json!({ "error": "TypeError: Failed to fetch" }));
    drop(foreign);

    *site.report.lock().unwrap() = Value::Null;
    let _page = Page::open(&site.origin()).await;
    let report = site.report_that("the page reports", |report| !report.is_null()).await;
    let statuses =
        ["created", "changed", "stale", "deleted", "list"].map(|step| report[step]["status"].as_u64());
    assert_eq!(statuses, [201, 200, 412, 204, 200].map(Some), "{report:#}");
    assert_eq!(report["created"]["correlation"], "of-the-page");
    assert_ne!(report["created"]["etag"], report["changed"]["etag"], "{report:#}");
    assert!(report["list"]["link"].as_str().is_some_and(|link| link.contains("rel=\"next\"")), "{report:#}");
}

/// Reports all events of the stream in the order in which the browser delivered them, and how often the
/// browser connected.
const FOLLOW_THE_FEED: &str = r#"
    const seen = [];
    let connections = 0, pending = Promise.resolve();
    const source = new EventSource(api + "/v1/events");
    const send = () => {
      // One report at a time, so that an older report never replaces a newer one.
      pending = pending.then(() => report({ seen, connections }));
    };
    source.onopen = () => { connections += 1; send(); };
    for (const type of ["order_created", "order_confirmed"]) {
      source.addEventListener(type, (event) => {
        const item = JSON.parse(event.data);
        seen.push({ id: event.lastEventId, type: event.type, event_id: item.event_id, position: item.position });
        send();
      });
    }
"#;

/// Creates and confirms some orders.
async fn record(service: &Service) {
    for _ in 0..10 {
        let receipt = service.accept("/v1/orders", &order("c-1")).await;
        let path = format!("/v1/orders/{}/events", receipt["order_id"].as_str().unwrap());
        service.accept(&path, &json!({ "type": "order_confirmed" })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_resumes_after_kills_and_has_each_event_once_and_in_order() {
    let folder = TempDir::new().unwrap();
    let mut site = Site::bind().await;
    let mut service = start(&folder, "127.0.0.1:0", &site);
    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    record(&service).await;
    site.serve(&service.url, FOLLOW_THE_FEED);
    let _page = Page::open(&site.origin()).await;
    let mut expected = 20;
    for (round, end) in ["KILL", "KILL", "TERM"].into_iter().enumerate() {
        let all = |report: &Value| report["seen"].as_array().is_some_and(|seen| seen.len() >= expected);
        site.report_that("the page has what was recorded before it connected", all).await;
        // These events arrive while the stream is open.
        record(&service).await;
        expected += 20;
        let all = |report: &Value| report["seen"].as_array().is_some_and(|seen| seen.len() >= expected);
        let report = site.report_that("the page has the live events", all).await;
        assert_eq!(report["connections"], round + 1, "the events came over the open stream");
        // The service ends while it sends events, and records further events before the browser connects
        // again.
        record(&service).await;
        service.signal(end);
        service.wait();
        service = start(&folder, &address, &site);
        record(&service).await;
        expected += 40;
    }
    let all = |report: &Value| report["seen"].as_array().is_some_and(|seen| seen.len() >= expected);
    let report = site.report_that("the page has everything", all).await;
    let recorded = whole_feed(&service, 1000).await;
    let part = |item: &Value, id: &str| json!([item[id], item["type"], item["event_id"], item["position"]]);
    let seen: Vec<_> = report["seen"].as_array().unwrap().iter().map(|item| part(item, "id")).collect();
    let recorded: Vec<_> = recorded.iter().map(|item| part(item, "cursor")).collect();
    assert_eq!(seen, recorded);
    assert_eq!(report["connections"], 4);
}
