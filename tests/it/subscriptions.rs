//! Tests `orders webhooks` against a running service that delivers to a receiver of this test.

use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::eventually::eventually;
use crate::support::http::serve;
use crate::support::service::{Api, Service, order, orders};

/// A receiver in this process. It accepts all events except those of one order.
#[derive(Default)]
struct Inbox {
    /// The delivered events, in order: webhook id, type and order.
    events: Mutex<Vec<(String, String, String)>>,
    /// The id of the order that is refused.
    refused: Mutex<Option<String>>,
    headers: Mutex<Vec<HeaderMap>>,
}

async fn receive(
    State(inbox): State<Arc<Inbox>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let event: Value = serde_json::from_slice(&body).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if inbox.refused.lock().unwrap().as_deref() == event["subject"].as_str() && event["subject"].is_string() {
        return (StatusCode::UNPROCESSABLE_ENTITY, "this order is unknown");
    }
    inbox.events.lock().unwrap().push((text(&event["id"]), text(&event["type"]), text(&event["subject"])));
    inbox.headers.lock().unwrap().push(headers);
    (StatusCode::OK, "thanks")
}

impl Inbox {
    async fn start() -> (Arc<Self>, String) {
        let inbox = Arc::new(Self::default());
        let router = Router::new().route("/hooks", post(receive)).with_state(inbox.clone());
        let url = format!("{}/hooks", serve(router).await);
        (inbox, url)
    }

    /// The types of the events that arrived for an order.
    fn types_of(&self, order_id: &str) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(_, _, of)| of == order_id).map(|(_, kind, _)| kind.clone()).collect()
    }

    async fn wait_for(&self, order_id: &str, types: &[&str]) {
        eventually("the events arrive", async || {
            let arrived = self.types_of(order_id);
            if arrived == types { Ok(()) } else { Err(arrived) }
        })
        .await;
    }
}

fn command(api: &Api, arguments: &[&str]) -> Command {
    let mut command = orders(&["webhooks"]);
    command.args(arguments).env("ORDERS_URL", &api.url);
    command
}

/// Runs `orders webhooks` to its end. Returns the printed text.
#[track_caller]
fn webhooks(api: &Api, arguments: &[&str], succeeds: bool) -> String {
    let Output { status, stdout, stderr } = command(api, arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.success(), succeeds, "{arguments:?}: {stdout}{stderr}");
    stdout + &stderr
}

fn start(folder: &TempDir) -> Service {
    Service::start(&folder.path().join("data"), &["--webhooks-allow-private"])
}

/// Creates an order and confirms it. Returns its id.
async fn confirmed_order(service: &Service) -> String {
    let receipt = service.accept("/v1/orders", &order("c-1")).await;
    let id = receipt["order_id"].as_str().unwrap().to_owned();
    let receipt =
        service.accept(&format!("/v1/orders/{id}/events"), &json!({ "type": "order_confirmed" })).await;
    assert_eq!(service.outcome(&receipt).await["state"], "recorded");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_added_tested_rotated_paused_resumed_and_deleted() {
    let folder = TempDir::new().unwrap();
    let service = start(&folder);
    let (inbox, url) = Inbox::start().await;
    assert_eq!(webhooks(&service, &["list"], true).trim(), "no webhook subscriptions");
    let added = webhooks(&service, &["add", &url, "--header", "X-Key: k-1", "--json"], true);
    let added: Value = serde_json::from_str(&added).unwrap();
    let (id, secret) = (added["id"].as_str().unwrap(), added["secret"].as_str().unwrap());
    let order_id = confirmed_order(&service).await;
    inbox.wait_for(&order_id, &["orders.order_created", "orders.order_confirmed"]).await;
    assert_eq!(inbox.headers.lock().unwrap()[0]["x-key"], "k-1");

    let shown = webhooks(&service, &["show", id], true);
    for part in [url.as_str(), "active", "x-key", "held orders      0"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains(secret) && !shown.contains("k-1"), "{shown}");
    let tested = webhooks(&service, &["test", id], true);
    assert!(tested.contains("status 200") && tested.contains("thanks"), "{tested}");

    let rotated = webhooks(&service, &["rotate", id, "--overlap", "1h"], true);
    assert!(rotated.contains("secret whsec_") && !rotated.contains(secret), "{rotated}");
    let line = service.wait_for_log("\"secret rotated\"");
    assert_eq!((&line["message"], &line["webhook"]), (&json!("webhook subscription changed"), &json!(id)));
    webhooks(&service, &["test", id], true);
    let signatures = inbox.headers.lock().unwrap().last().unwrap()["webhook-signature"].clone();
    assert_eq!(signatures.to_str().unwrap().split(' ').count(), 2, "one signature for each valid secret");

    assert!(webhooks(&service, &["pause", id], true).contains("is paused"));
    let waiting = confirmed_order(&service).await;
    assert!(webhooks(&service, &["list"], true).contains("paused"));
    assert_eq!(inbox.types_of(&waiting), [""; 0]);
    assert!(webhooks(&service, &["resume", id], true).contains("is active"));
    inbox.wait_for(&waiting, &["orders.order_created", "orders.order_confirmed"]).await;

    let stale = webhooks(&service, &["update", id, "--description", "x", "--if-revision", "1"], false);
    assert!(stale.contains("revision"), "{stale}");
    assert!(webhooks(&service, &["update", id, "--types", "order_paid"], true).contains("is updated"));
    let refused = webhooks(&service, &["delete", id], false);
    assert!(refused.contains("add --yes"), "{refused}");
    webhooks(&service, &["delete", id, "--yes"], true);
    assert!(webhooks(&service, &["show", id], false).contains("not found"));
    let wrong = webhooks(&service, &["show", "../orders"], false);
    assert!(wrong.contains("is not an id"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_order_is_held_listed_skipped_and_replayed() {
    let folder = TempDir::new().unwrap();
    let service = start(&folder);
    let (inbox, url) = Inbox::start().await;
    let added = webhooks(&service, &["add", &url, "--json"], true);
    let added: Value = serde_json::from_str(&added).unwrap();
    let id = added["id"].as_str().unwrap();
    let receipt = service.accept("/v1/orders", &order("c-1")).await;
    let held = receipt["order_id"].as_str().unwrap().to_owned();
    inbox.wait_for(&held, &["orders.order_created"]).await;
    *inbox.refused.lock().unwrap() = Some(held.clone());
    let events = format!("/v1/orders/{held}/events");
    for event in
        [json!({ "type": "order_confirmed" }), json!({ "type": "order_held", "data": { "hold": "h" } })]
    {
        let receipt = service.accept(&events, &event).await;
        assert_eq!(service.outcome(&receipt).await["state"], "recorded");
    }
    // While the receiver refuses the events of one order, the events of other orders are delivered.
    let other = confirmed_order(&service).await;
    inbox.wait_for(&other, &["orders.order_created", "orders.order_confirmed"]).await;
    let list = eventually("the delivery fails and the next one is held", async || {
        let list = webhooks(&service, &["deliveries", id, "--order", &held], true);
        if list.contains("retrying") && list.contains("held") { Ok(list) } else { Err(list) }
    })
    .await;
    assert!(list.contains("422") && list.contains("order_confirmed"), "{list}");
    assert!(webhooks(&service, &["list"], true).contains("active"));

    let lines = webhooks(&service, &["deliveries", id, "--state", "retrying", "--json"], true);
    let delivery: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(delivery["last_attempt"]["body_excerpt"], "this order is unknown");
    *inbox.refused.lock().unwrap() = None;
    let event_id = delivery["event_id"].as_str().unwrap();
    let skipped = webhooks(&service, &["skip", id, event_id, "--reason", "known already"], true);
    assert!(skipped.contains("is skipped"), "{skipped}");
    inbox.wait_for(&held, &["orders.order_created", "orders.order_held"]).await;
    let list = webhooks(&service, &["deliveries", id, "--state", "skipped"], true);
    assert!(list.contains("skipped: known already"), "{list}");

    let replayed = webhooks(&service, &["replay", id, "--order", &held], true);
    assert!(replayed.contains("delivers again"), "{replayed}");
    let types =
        ["created", "held", "created", "confirmed", "held"].map(|kind| format!("orders.order_{kind}"));
    inbox.wait_for(&held, &types.each_ref().map(String::as_str)).await;
    let unknown = webhooks(&service, &["replay", id, "--order", "nothing"], false);
    assert!(unknown.contains("Order not found"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_begins_where_it_says_and_a_key_adds_only_one() {
    let folder = TempDir::new().unwrap();
    let service = start(&folder);
    let early = confirmed_order(&service).await;
    let (inbox, url) = Inbox::start().await;
    let add = ["add", &url, "--from", "oldest", "--types", "order_confirmed", "--key", "warehouse"];
    let first = webhooks(&service, &add, true);
    assert!(first.contains("secret whsec_"), "{first}");
    let again = webhooks(&service, &add, true);
    assert!(!again.contains("whsec_") && again.contains("orders webhooks rotate"), "{again}");
    inbox.wait_for(&early, &["orders.order_confirmed"]).await;
    let (_, list) = service.get("/v1/webhooks").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);

    let refused = webhooks(&service, &["add", "https://user:word@shop.example/"], false);
    assert!(refused.contains("/url: must not contain a user name"), "{refused}");
    let answer = service.ask(Method::POST, "/v1/webhooks", &[], Some(&json!({ "url": 7 }))).await;
    answer.is_problem(422, "invalid-request");
}

/// Keeps the body of each alert.
async fn page(State(alerts): State<Arc<Mutex<Vec<Value>>>>, body: Bytes) -> StatusCode {
    alerts.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    StatusCode::NO_CONTENT
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_say_which_subscription_was_stopped_and_which_gave_up() {
    let folder = TempDir::new().unwrap();
    let alerts = Arc::<Mutex<Vec<Value>>>::default();
    let pager = serve(Router::new().route("/alerts", post(page)).with_state(alerts.clone())).await;
    let receivers = Router::new()
        .route("/gone", post(async || StatusCode::GONE))
        .route("/broken", post(async || StatusCode::INTERNAL_SERVER_ERROR));
    let receivers = serve(receivers).await;
    let alert_url = format!("{pager}/alerts");
    let flags =
        ["--webhooks-allow-private", "--webhooks-retry-delays", "50ms", "--alert-webhook", &alert_url];
    let service = Service::start(&folder.path().join("data"), &flags);
    let mut ids = Vec::new();
    for path in ["gone", "broken"] {
        let added = webhooks(&service, &["add", &format!("{receivers}/{path}"), "--json"], true);
        let added: Value = serde_json::from_str(&added).unwrap();
        ids.push(added["id"].clone());
    }
    let order_id = confirmed_order(&service).await;
    let [gone, broken] = [("webhook.stopped", &ids[0]), ("webhook.gave_up", &ids[1])].map(|(kind, id)| {
        move |alert: &&Value| alert["type"] == kind && alert["data"]["subscription_id"] == *id
    });
    let (gone, broken) = eventually("both alerts arrive", async || {
        let alerts = alerts.lock().unwrap().clone();
        let found = alerts.iter().find(gone).cloned().zip(alerts.iter().find(broken).cloned());
        found.ok_or(alerts)
    })
    .await;
    assert_eq!(gone["data"]["stopped"], "The receiver answered 410 Gone.");
    assert_eq!((&broken["data"]["gave_up"], &broken["data"]["order_id"]), (&json!(1), &json!(order_id)));
    assert!(webhooks(&service, &["show", ids[0].as_str().unwrap()], true).contains("paused"));
}
