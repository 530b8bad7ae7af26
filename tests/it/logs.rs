//! Tests the log of the service. Writing the log never blocks the service, and dropped lines are counted and
//! reported.

use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::eventually::{eventually, eventually_blocking};
use crate::support::http::free_ports;
use crate::support::service::{Api, PATIENCE, Service, order, orders};

/// A service whose standard error is a pipe that is not read yet.
struct Unread {
    child: Child,
    api: Api,
    metrics: Api,
    stderr: Option<PipeReader>,
    _folder: TempDir,
}

impl Drop for Unread {
    fn drop(&mut self) {
        // The service may already have exited. After `wait`, it has exited in any case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Unread {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        // The test must choose the ports itself, because it does not read the service's log.
        let [port, metrics] = free_ports().map(|port| format!("127.0.0.1:{port}"));
        let (stderr, writer) = pipe().unwrap();
        let mut command = orders(&["serve", "--listen", &port, "--metrics-listen", &metrics]);
        command.env("ORDERS_MIN_FREE_DISK", "1").arg("--data").arg(folder.path().join("data"));
        let child = command.stdout(Stdio::null()).stderr(writer).spawn().unwrap();
        // `command` holds a copy of the pipe's write end. The copy is dropped, so that the pipe ends when the service
        // exits.
        drop(command);
        let [api, metrics] = [port, metrics].map(|address| Api::at(&format!("http://{address}")));
        let service = Self { child, api, metrics, stderr: Some(stderr), _folder: folder };
        eventually("the service starts", async || service.api.send(Method::GET, "/healthz", None).await)
            .await;
        service
    }

    async fn post(&self, orders: usize, correlation_id: &str) {
        let body = json!({ "orders": vec![order("c-unread"); orders] });
        let headers = [("x-correlation-id", correlation_id)];
        let answer = self.api.ask(Method::POST, "/v1/orders/batch", &headers, Some(&body)).await;
        let items = answer.body["items"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
        assert!(items.len() == orders && items.iter().all(|item| item["status"] == 202), "{answer:?}");
    }

    async fn dropped(&self) -> u64 {
        let answer = self.metrics.send(Method::GET, "/metrics", None).await.unwrap();
        let text = answer.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("orders_log_lines_dropped_total "));
        line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
    }

    /// Posts orders until lines of the log are dropped.
    async fn post_until_dropped(&self) {
        let start = Instant::now();
        while self.dropped().await == 0 {
            assert!(start.elapsed() < PATIENCE, "no line is dropped");
            self.post(100, "many").await;
        }
    }

    fn terminate(&mut self) {
        let kill = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(kill.unwrap().success());
    }

    fn wait(&mut self) {
        let exited = || self.child.try_wait().unwrap().ok_or("it is running");
        assert_eq!(eventually_blocking("the process ends", exited).code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_log_does_not_block_the_service() {
    let mut service = Unread::start().await;
    service.post_until_dropped().await;
    let ready = service.api.send(Method::GET, "/readyz", None).await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    service.post(1, "one").await;
    service.terminate();
    service.wait();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_returns_gets_a_report_of_dropped_lines() {
    let mut service = Unread::start().await;
    service.post_until_dropped().await;
    let stderr = service.stderr.take().unwrap();
    let (sender, log) = channel();
    let read = move || BufReader::new(stderr).lines().try_for_each(|line| sender.send(line.unwrap()));
    let reading = thread::spawn(read);
    // Posts orders until the log line of one order is no longer dropped.
    let mut lines: Vec<Value> = Vec::new();
    let start = Instant::now();
    while !lines.iter().any(|line| line["correlation_id"] == "again") {
        assert!(start.elapsed() < PATIENCE, "lines are still dropped");
        service.post(1, "again").await;
        lines.extend(log.try_iter().map(|line| serde_json::from_str(&line).unwrap()));
    }
    let dropped = service.dropped().await;
    service.terminate();
    service.wait();
    reading.join().unwrap().unwrap();
    lines.extend(log.try_iter().map(|line| serde_json::from_str(&line).unwrap()));

    let is_report = |line: &Value| line["message"].as_str().unwrap().starts_with("log lines were dropped");
    let reports = lines.iter().filter(|line| is_report(line));
    let reported: u64 = reports.map(|line| line["dropped"].as_u64().unwrap()).sum();
    assert!(reported >= dropped, "{dropped} were dropped, and {reported} are reported");
    assert!(lines.last().unwrap()["message"].as_str().unwrap().starts_with("stopped"), "{:?}", lines.last());
}

/// Starts a service with this flag, and posts an order with and without a trace. Returns the service.
async fn posted_with_a_trace(folder: &TempDir, flags: &[&str], status: u16) -> Service {
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(folder.path().join("data")).args(flags);
    let service = Service::spawn(command);
    let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let traced = [("traceparent", traceparent.as_str()), ("x-correlation-id", "traced")];
    let untraced = [("x-correlation-id", "untraced")];
    for headers in [&traced[..], &untraced[..]] {
        let answer = service.ask(Method::POST, "/v1/orders", headers, Some(&order("c-1"))).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    service
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_an_event_has_the_trace_of_its_request() {
    for flags in [&["--min-free-disk", "1"][..], &["--min-free-disk", "1", "--always-queue"]] {
        let folder = TempDir::new().unwrap();
        let service = posted_with_a_trace(&folder, flags, 202).await;
        let mut lines = [service.wait_for_log("\"recorded\""), service.wait_for_log("\"recorded\"")];
        lines.sort_by_key(|line| line["correlation_id"].to_string());
        let [traced, untraced] = lines;
        assert_eq!(
            (&traced["correlation_id"], &traced["trace_id"]),
            (&json!("traced"), &json!(TRACE)),
            "{flags:?}"
        );
        assert_eq!(untraced["correlation_id"], "untraced");
        assert!(untraced.get("trace_id").is_none(), "{untraced}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_request_have_its_trace() {
    let folder = TempDir::new().unwrap();
    // No disk has this much free space, so the service refuses every event.
    let service = posted_with_a_trace(&folder, &["--min-free-disk", "1000000000"], 503).await;
    let [traced, untraced] = [(); 2].map(|()| service.wait_for_log("request failed"));
    assert_eq!((&traced["correlation_id"], &traced["trace_id"]), (&json!("traced"), &json!(TRACE)));
    assert!(untraced["correlation_id"] == "untraced" && untraced.get("trace_id").is_none(), "{untraced}");
}
