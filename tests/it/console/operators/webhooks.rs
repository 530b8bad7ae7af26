//! Tests the pages of webhooks: a subscription is added, fails, and recovers while somebody watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tempfile::TempDir;

use super::assert_usable;
use crate::support::browser::Page;
use crate::support::http::serve;
use crate::support::service::{Service, order};

/// A receiver that refuses everything until it is mended.
async fn broken_receiver() -> (String, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let receiver = works.clone();
    let answer = async move || -> Response {
        match receiver.load(Ordering::Relaxed) {
            true => StatusCode::NO_CONTENT.into_response(),
            false => (StatusCode::INTERNAL_SERVER_ERROR, "the warehouse is closed").into_response(),
        }
    };
    (serve(Router::new().fallback(answer)).await, works)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_added_fails_and_recovers() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--webhooks-allow-private"]);
    let (url, works) = broken_receiver().await;
    let page = Page::open(&format!("{}/console", service.url)).await;
    page.click("nav a >> Webhooks").await;
    page.sees("Nobody has subscribed").await;
    page.click("button >> Add a subscription…").await;
    page.fill("dialog input >> URL", "ftp://warehouse").await;
    page.fill("dialog input >> Description", "The warehouse").await;
    page.click("dialog button >> Add the subscription").await;
    page.wait_for("the fault is at its field", "document.querySelector('.field-error')?.innerText").await;
    page.fill("dialog input >> URL", &url).await;
    page.click("dialog button >> Add the subscription").await;
    page.sees("it is not shown again").await;
    assert!(page.text(".secret-value").await.starts_with("whsec_"));
    page.click("dialog a >> Show the subscription").await;
    page.sees("No deliveries").await;

    service.accept("/v1/orders", &order("c-1")).await;
    page.sees("failing").await;
    page.click("summary >> retrying").await;
    page.sees("status 500").await;
    page.sees("the warehouse is closed").await;
    page.sees(&format!("POST {url}")).await;
    page.sees("\"customer_id\": \"c-1\"").await;
    page.click("button >> Test").await;
    page.wait_for("the test failed", "document.querySelector('[role=status] .badge.bad')").await;

    works.store(true, Ordering::Relaxed);
    page.click("button >> Test").await;
    page.wait_for("the test succeeded", "document.querySelector('[role=status] .badge.ok')").await;
    page.click("button >> Deliver this order again").await;
    page.wait_for("it is delivered", "testing.all('summary >> delivered').length === 1").await;
    page.wait_for("the subscription is active", "testing.all('dd .badge >> active').length === 1").await;
    page.assert_faultless();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_and_shown_once() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--webhooks-allow-private"]);
    let (url, works) = broken_receiver().await;
    works.store(true, Ordering::Relaxed);
    let body = serde_json::json!({ "url": url });
    let created = service.ask(reqwest::Method::POST, "/v1/webhooks", &[], Some(&body)).await;
    let id = created.body["id"].as_str().unwrap().to_owned();
    let page = Page::open(&format!("{}/console/webhooks/{id}", service.url)).await;
    page.click("button >> Rotate the secret…").await;
    page.click("dialog button >> Rotate the secret").await;
    let secret = page.text(".secret-value").await;
    assert!(secret.starts_with("whsec_") && created.body["secret"] != secret.as_str(), "{secret}");
    page.sees("valid until").await;
    page.click("button >> It is stored: hide it").await;
    page.wait_for("the secret is hidden", "document.querySelector('.secret') === null").await;
    assert!(!page.html().await.contains(&secret));

    page.click("button >> Pause").await;
    page.wait_for("it is paused", "testing.all('dd .badge >> paused').length === 1").await;
    page.click("button >> Resume").await;
    page.wait_for("it is active", "testing.all('dd .badge >> active').length === 1").await;
    let receipt = service.accept("/v1/orders", &order("c-1")).await;
    page.wait_for("it is delivered", "testing.all('summary >> delivered').length === 1").await;
    page.click("button >> Replay…").await;
    page.wait_for("the dialog is open", "document.querySelector('dialog[open]') !== null").await;
    page.press("Tab").await;
    page.tab_to("dialog select >> Which events", 3).await;
    page.type_text("All of").await;
    page.fill("dialog input >> Order id", receipt["order_id"].as_str().unwrap()).await;
    page.click("dialog button >> Deliver again").await;
    page.wait_for("the dialog is closed", "document.querySelector('dialog') === null").await;
    page.click("button >> Delete…").await;
    page.click("dialog button >> Delete").await;
    page.sees("Nobody has subscribed").await;
    page.assert_faultless();
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_the_pages_of_webhooks() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--webhooks-allow-private"]);
    let (url, _) = broken_receiver().await;
    let body = serde_json::json!({ "url": url, "description": "The warehouse" });
    let created = service.ask(reqwest::Method::POST, "/v1/webhooks", &[], Some(&body)).await;
    service.accept("/v1/orders", &order("c-1")).await;
    assert_usable(&service, "/webhooks", "failing").await;
    assert_usable(&service, &format!("/webhooks/{}", created.body["id"].as_str().unwrap()), "retrying").await;
}
