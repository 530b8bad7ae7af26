//! Tests that the audit finds the faults of a service. A proxy in front of a real service tampers with
//! requests and answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::{LoadOutput, load};
use crate::support::http;
use crate::support::service::Service;

/// The fault that the proxy simulates.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tampering {
    None,
    /// Accepts an event but drops it.
    Loses,
    /// Drops an event, and reports it as accepted forever.
    NeverSettles,
    /// Returns the last event of each log twice.
    RecordsTwice,
    /// Returns logs whose data differs from the data that was sent.
    ChangesData,
    /// Returns orders that are one version behind their logs.
    LagsBehind,
    /// Removes the idempotency key, so that each retry becomes a separate event.
    ForgetsKeys,
    /// Returns a ledger that never counts anything.
    CountsNothing,
    /// After some events, answers every request with 502, like a gateway before a service that is down.
    Dies,
    /// Refuses to delete subscriptions.
    KeepsSubscriptions,
}

#[derive(Clone)]
struct Proxy {
    tampering: Tampering,
    upstream: String,
    client: reqwest::Client,
    events: Arc<AtomicUsize>,
}

fn is_log(path: &str) -> bool {
    path.ends_with("/events")
}

fn is_order(path: &str) -> bool {
    path.starts_with("/v1/orders/") && path.matches('/').count() == 3
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let mut headers = parts.headers;
    headers.remove("host");
    let is_event = method == Method::POST && is_log(&path);
    let place = if is_event { proxy.events.fetch_add(1, Ordering::SeqCst) } else { 0 };
    if proxy.tampering == Tampering::Dies && proxy.events.load(Ordering::SeqCst) > 20 {
        return answer(StatusCode::BAD_GATEWAY, &json!("gone"));
    }
    match proxy.tampering {
        Tampering::Loses | Tampering::NeverSettles if is_event && place == 5 => {
            return false_receipt(&path, &body);
        }
        Tampering::NeverSettles if path.contains("/events/never-") => return receipt_of(&path),
        Tampering::CountsNothing if path == "/v1/pipeline" => {
            return answer(StatusCode::OK, &nothing_happened());
        }
        Tampering::KeepsSubscriptions if method == Method::DELETE => {
            return answer(StatusCode::SERVICE_UNAVAILABLE, &json!({}));
        }
        Tampering::ForgetsKeys if is_event => drop(headers.remove("idempotency-key")),
        _ => {}
    }
    let url = format!("{}{}", proxy.upstream, parts.uri);
    let answer = proxy.client.request(method.clone(), url).headers(headers).body(body).send().await.unwrap();
    let status = answer.status();
    let replayed = answer.headers().get("idempotent-replayed").cloned();
    let text = answer.bytes().await.unwrap();
    let mut body: Value = serde_json::from_slice(&text).unwrap_or_default();
    if status == StatusCode::OK && method == Method::GET {
        tamper(proxy.tampering, &path, &mut body);
    }
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    if let Some(replayed) = replayed {
        response = response.header("idempotent-replayed", replayed);
    }
    response.body(Body::from(body.to_string())).unwrap()
}

fn tamper(tampering: Tampering, path: &str, body: &mut Value) {
    match tampering {
        Tampering::RecordsTwice if is_log(path) => {
            let items = body["items"].as_array_mut().unwrap();
            let mut last = items.last().unwrap().clone();
            last["version"] = json!(items.len() + 1);
            items.push(last);
        }
        Tampering::ChangesData if is_log(path) => {
            body["items"][0]["data"]["customer_id"] = json!("somebody else");
        }
        Tampering::LagsBehind if is_order(path) => {
            body["version"] = json!(body["version"].as_u64().unwrap().saturating_sub(1));
        }
        _ => {}
    }
}

/// A receipt for an event that the service never receives.
fn false_receipt(path: &str, body: &[u8]) -> Response {
    let order = path.split('/').nth(3).unwrap();
    let kind = serde_json::from_slice::<Value>(body).unwrap()["type"].take();
    let event = Uuid::now_v7();
    let own =
        format!("/v1/orders/{order}/events/never-{event}?type={}&order={order}", kind.as_str().unwrap());
    receipt(StatusCode::ACCEPTED, order, &event.to_string(), &kind, &own)
}

fn receipt_of(path: &str) -> Response {
    let (order, event) = (path.split('/').nth(3).unwrap(), path.rsplit_once("never-").unwrap().1);
    receipt(StatusCode::OK, order, event, &json!("order_confirmed"), path)
}

fn receipt(status: StatusCode, order: &str, event: &str, kind: &Value, own: &str) -> Response {
    let body = json!({ "order_id": order, "event_id": event, "type": kind, "state": "accepted",
                       "links": { "self": own, "order": format!("/v1/orders/{order}") } });
    answer(status, &body)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
}

fn nothing_happened() -> Value {
    json!({ "ledger": { "accepted": 0, "recorded": 0, "rejected": 0, "duplicate": 0, "parked": 0, "in_flight": 0,
                        "balanced": true, "discarded": 0 },
            "queue": { "visible": 0, "in_flight": 0, "delayed": 0, "oldest_seconds": null }, "dead_letters": 0 })
}

/// Runs a load on a service behind the given proxy.
async fn load_through(tampering: Tampering, mix: &str) -> LoadOutput {
    load_through_with(tampering, &["--patience", "2", "--mix", mix]).await
}

/// Runs a load with the given additional flags on a service behind the given proxy.
async fn load_through_with(tampering: Tampering, more: &[&str]) -> LoadOutput {
    let folder = TempDir::new().unwrap();
    let service_flags = ["--log-level", "warn,orders=info", "--webhooks-allow-private"];
    let service = Service::start(&folder.path().join("data"), &service_flags);
    let proxy =
        Proxy { tampering, upstream: service.url.clone(), client: http::client(), events: Arc::default() };
    let url = http::serve(Router::new().fallback(pass).with_state(proxy)).await;
    let flags = [&["--rate", "60", "--duration", "2"], more].concat();
    load(folder.path(), &url, &flags).await
}

const MIX: &str = "create=1,advance=3,retry=1";
/// A mix without retries.
const NO_RETRIES: &str = "create=1,advance=3";

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_changes_nothing_causes_no_findings() {
    load_through(Tampering::None, MIX).await.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_event_is_found() {
    let output = load_through(Tampering::Loses, NO_RETRIES).await;
    output.assert_found("wrong_receipt", "receipts that are missing");
    output.assert_found("not_conserved", "differences between accepted events and outcomes");
    assert_eq!(output.number("/audit/tally/lost"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_never_settles_is_found() {
    let output = load_through(Tampering::NeverSettles, NO_RETRIES).await;
    output.assert_found("no_outcome", "neither recorded nor rejected nor parked");
    assert_eq!(output.number("/audit/tally/lost"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_recorded_twice_is_found() {
    let output = load_through(Tampering::RecordsTwice, MIX).await;
    output.assert_found("recorded_twice", "events that a log contains twice");
    output.assert_found("log_does_not_fold", "logs that cannot be folded");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_data_is_found() {
    load_through(Tampering::ChangesData, MIX)
        .await
        .assert_found("other_data", "not recorded with the data that was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_behind_its_log_is_found() {
    let output = load_through(Tampering::LagsBehind, MIX).await;
    output.assert_found("order_differs_from_log", "orders that differ from the fold of their events");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_not_recognised_is_found() {
    let output = load_through(Tampering::ForgetsKeys, "create=1,advance=3,retry=4").await;
    output.assert_found("retry_not_recognised", "sent again with their key and answered as new ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_counts_nothing_is_found() {
    let output = load_through(Tampering::CountsNothing, MIX).await;
    output.assert_found("ledger_differs", "differences from the service's own ledger");
    assert!(output.text().contains("the ledger grew by 0"), "{}", output.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_gives_up_a_service_that_is_down_for_as_long_as_its_patience() {
    let output = load_through(Tampering::Dies, NO_RETRIES).await;
    output.assert_found("not_audited", "not read: the service has not answered for 2 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_cannot_be_deleted_is_an_error_after_the_report() {
    let flags = ["--webhooks", "--patience", "20"];
    let output = load_through_with(Tampering::KeepsSubscriptions, &flags).await;
    let text = output.text();
    assert_eq!(output.output.status.code(), Some(1), "{text}");
    assert_eq!(output.report["audit"]["clean"], true, "the report is written: {text}");
    assert!(output.number("/webhooks/events") > 0, "{text}");
    let error = "error: cannot delete the subscription of this run: `orders webhooks delete ";
    assert!(text.contains(error) && text.contains("503"), "{text}");
}
