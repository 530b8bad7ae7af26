//! The audit sees what is wrong: a proxy in front of a real service does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{Ended, load};
use crate::support::http;
use crate::support::service::Service;

/// What the proxy does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    /// None at all.
    Honest,
    /// It accepts an event, and forgets it.
    Loses,
    /// It accepts an event, and says for ever that it waits.
    NeverSettles,
    /// Logs have their last event twice.
    RecordsTwice,
    /// Logs have other data than was sent.
    ChangesData,
    /// Orders are one version behind their logs.
    LagsBehind,
    /// Every retry is another event.
    ForgetsKeys,
    /// The ledger never counts anything.
    CountsNothing,
    /// After some events it is gone, and what stands in front of it says so.
    Dies,
}

#[derive(Clone)]
struct Proxy {
    lie: Lie,
    upstream: String,
    client: reqwest::Client,
    events: Arc<AtomicUsize>,
}

/// The paths of a log and of an order, and whether it is that of a receipt.
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
    if proxy.lie == Lie::Dies && proxy.events.load(Ordering::SeqCst) > 20 {
        return answer(StatusCode::BAD_GATEWAY, &json!("gone"));
    }
    match proxy.lie {
        Lie::Loses | Lie::NeverSettles if is_event && place == 5 => return pretended(&path, &body),
        Lie::NeverSettles if path.contains("/events/never-") => return receipt_of(&path),
        Lie::CountsNothing if path == "/v1/pipeline" => return answer(StatusCode::OK, &nothing_happened()),
        Lie::ForgetsKeys if is_event => drop(headers.remove("idempotency-key")),
        _ => {}
    }
    let url = format!("{}{}", proxy.upstream, parts.uri);
    let answer = proxy.client.request(method.clone(), url).headers(headers).body(body).send().await.unwrap();
    let status = answer.status();
    let replayed = answer.headers().get("idempotent-replayed").cloned();
    let text = answer.bytes().await.unwrap();
    let mut body: Value = serde_json::from_slice(&text).unwrap_or_default();
    if status == StatusCode::OK && method == Method::GET {
        tamper(proxy.lie, &path, &mut body);
    }
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    if let Some(replayed) = replayed {
        response = response.header("idempotent-replayed", replayed);
    }
    response.body(Body::from(body.to_string())).unwrap()
}

fn tamper(lie: Lie, path: &str, body: &mut Value) {
    match lie {
        Lie::RecordsTwice if is_log(path) => {
            let items = body["items"].as_array_mut().unwrap();
            let mut last = items.last().unwrap().clone();
            last["version"] = json!(items.len() + 1);
            items.push(last);
        }
        Lie::ChangesData if is_log(path) => body["items"][0]["data"]["customer_id"] = json!("somebody else"),
        Lie::LagsBehind if is_order(path) => {
            body["version"] = json!(body["version"].as_u64().unwrap().saturating_sub(1));
        }
        _ => {}
    }
}

/// The answer to a proposal that goes no further.
fn pretended(path: &str, body: &[u8]) -> Response {
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

/// A load on a service behind this proxy.
async fn load_through(lie: Lie, mix: &str) -> Ended {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--log-level", "warn,orders=info"]);
    let proxy = Proxy { lie, upstream: service.url.clone(), client: http::client(), events: Arc::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(pass).with_state(proxy);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let flags = ["--rate", "60", "--duration", "2", "--patience", "2", "--mix", mix];
    load(folder.path(), &url, &flags).await
}

const MIX: &str = "create=1,advance=3,retry=1";
/// Every event is a new one.
const NEW: &str = "create=1,advance=3";

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_changes_nothing_is_not_found() {
    load_through(Lie::Honest, MIX).await.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_event_is_found() {
    let ended = load_through(Lie::Loses, NEW).await;
    ended.found("wrong_receipt", "receipts that are missing");
    ended.found("not_conserved", "events that do not add up");
    assert_eq!(ended.number("/audit/tally/lost"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_never_settles_is_found() {
    let ended = load_through(Lie::NeverSettles, NEW).await;
    ended.found("no_outcome", "neither recorded nor rejected nor parked");
    assert_eq!(ended.number("/audit/tally/lost"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_recorded_twice_is_found() {
    let ended = load_through(Lie::RecordsTwice, MIX).await;
    ended.found("recorded_twice", "events that are in a log twice");
    ended.found("log_does_not_fold", "logs that do not fold");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_data_is_found() {
    load_through(Lie::ChangesData, MIX).await.found("other_data", "other data than was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_behind_its_log_is_found() {
    let ended = load_through(Lie::LagsBehind, MIX).await;
    ended.found("order_differs_from_log", "orders that are not what their logs make them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_forgotten_is_found() {
    let ended = load_through(Lie::ForgetsKeys, "create=1,advance=3,retry=4").await;
    ended.found("retry_not_recognised", "sent again under their keys and taken for others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_counts_nothing_is_found() {
    let ended = load_through(Lie::CountsNothing, MIX).await;
    ended.found("ledger_differs", "differences from the service's own ledger");
    assert!(ended.told().contains("the ledger grew by 0"), "{}", ended.told());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone_for_good_is_given_up_after_one_patience() {
    let ended = load_through(Lie::Dies, NEW).await;
    ended.found("not_audited", "not asked: the service has given no answer for 2 s");
}
