//! Tests alerts from outside: they name their deployment, repeat while their cause lasts, and their failures are counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::dlq;
use crate::support::events::new_order_id;
use crate::support::eventually::eventually;
use crate::support::http::serve;
use crate::support::service::{Api, Service, order, orders};

/// A receiver of alerts. It refuses the first ones.
#[derive(Default)]
struct Pager {
    refusals_left: AtomicUsize,
    accepted: Mutex<Vec<Value>>,
}

async fn page(State(pager): State<Arc<Pager>>, body: Bytes) -> StatusCode {
    let less = |left: usize| left.checked_sub(1);
    if pager.refusals_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    pager.accepted.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    StatusCode::NO_CONTENT
}

impl Pager {
    async fn start(refusals: usize) -> (Arc<Self>, String) {
        let pager = Arc::new(Self { refusals_left: AtomicUsize::new(refusals), ..Self::default() });
        let url = serve(Router::new().route("/alerts", post(page)).with_state(pager.clone())).await;
        (pager, format!("{url}/alerts"))
    }

    /// Waits for an alert of this type that `is_it`, and returns it.
    async fn until(&self, kind: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the alert {kind} arrives"), async || {
            let accepted = self.accepted.lock().unwrap();
            let found = accepted.iter().find(|alert| alert["type"] == kind && is_it(&alert["data"]));
            found.cloned().ok_or_else(|| accepted.clone())
        })
        .await
    }
}

/// A service that reminds every second, and its metrics.
fn start(folder: &TempDir, pager: &str) -> (Service, Api) {
    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    command.args(["--alert-webhook", pager, "--alert-repeat", "1s", "--webhooks-allow-private"]);
    command.env("ORDERS_DEPLOYMENT", "shop-eu").env("ORDERS_MIN_FREE_DISK", "1");
    command.arg("--data").arg(folder.path().join("data"));
    let (service, line) = Service::spawn_until(command, "metrics at");
    let metrics = Api::at(&format!("http://{}", line["listen"].as_str().unwrap()));
    (service, metrics)
}

/// The value of a line of the metrics.
async fn metric(metrics: &Api, series: &str) -> f64 {
    let text = metrics.send(Method::GET, "/metrics", None).await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_reported_again_until_they_are_resolved() {
    let folder = TempDir::new().unwrap();
    let id = new_order_id();
    dlq::send(&folder.path().join("data"), dlq::with_cut_payment(&id)).await;
    let (pager, url) = Pager::start(2).await;
    let (service, metrics) = start(&folder, &url);
    let first = pager.until("dead_letters.parked", |_| true).await;
    assert_eq!(first["data"]["deployment"], "shop-eu");
    assert!(first["text"].as_str().unwrap().starts_with("orders [shop-eu]: "), "{first}");
    let logged = service.wait_for_log("reminder: what was reported is still unresolved");
    assert_eq!((&logged["deployment"], &logged["dead_letters"]), (&json!("shop-eu"), &json!(2)));
    let reminder = pager.until("dead_letters.unresolved", |_| true).await;
    assert_eq!(
        (&reminder["data"]["dead_letters"], &reminder["data"]["deployment"]),
        (&json!(2), &json!("shop-eu"))
    );
    let number = reminder["data"]["number"].as_u64().unwrap();
    let next = pager.until("dead_letters.unresolved", |data| data["number"].as_u64() > Some(number)).await;
    let text = next["text"].as_str().unwrap();
    assert!(text.contains("still unresolved: 2 dead letters") && text.contains("orders dlq list"), "{text}");
    // The first attempts were refused.
    assert_eq!(metric(&metrics, r#"orders_alerts_total{type="webhook",result="failed"}"#).await, 0.0);
    let of = |kind: &str, result: &str| format!(r#"orders_alerts_total{{type="{kind}",result="{result}"}}"#);
    let (mut failed, mut raised) = (0.0, 0.0);
    for kind in ["dead_letters", "reminder"] {
        failed += metric(&metrics, &of(kind, "failed")).await;
        raised += metric(&metrics, &of(kind, "raised")).await;
    }
    assert!(failed == 2.0 && raised >= 3.0, "{failed} failed, {raised} raised");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_subscriptions_are_reported_again_and_those_that_an_operator_paused_are_not() {
    let folder = TempDir::new().unwrap();
    let gone = serve(Router::new().fallback(async || StatusCode::GONE)).await;
    let (pager, url) = Pager::start(0).await;
    let (service, _) = start(&folder, &url);
    let serving = service.wait_for_log("\"serving\"");
    let api = Api::at(&format!("http://{}", serving["listen"].as_str().unwrap()));
    let create = async |body: Value| {
        let created = api.ask(Method::POST, "/v1/webhooks", &[], Some(&body)).await;
        assert_eq!(created.status, 201, "{created:?}");
        created.body["id"].clone()
    };
    create(json!({ "url": format!("{gone}/paused"), "paused": true })).await;
    let stopped = create(json!({ "url": format!("{gone}/gone") })).await;
    api.accept("/v1/orders", &order("c-1")).await;
    pager.until("webhook.stopped", |_| true).await;
    let reminder = pager.until("webhook.still_stopped", |_| true).await;
    assert_eq!(reminder["data"]["stopped"], 1, "{reminder}");
    let listed = &reminder["data"]["subscriptions"][0];
    assert_eq!((&listed["subscription_id"], &listed["state"]), (&stopped, &json!("paused")), "{reminder}");
    assert!(reminder["text"].as_str().unwrap().contains("410 Gone"), "{reminder}");
}

#[test]
fn invalid_names_and_intervals_are_refused() {
    for (variable, value, reason) in [
        (
            "ORDERS_DEPLOYMENT",
            "a name that is longer than forty characters",
            "1 to 40 printable ASCII characters",
        ),
        ("ORDERS_ALERT_REPEAT", "0s", "at least 1s"),
        ("ORDERS_ALERT_REPEAT", "daily", "write for example 5m"),
    ] {
        let output = orders(&["serve"]).env(variable, value).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(reason), "{variable}={value}: {error}");
    }
}
