//! Tests that texts of clients, producers and receivers stay texts on the pages of dead letters and webhooks.

use axum::Router;
use axum::http::StatusCode;
use infra::embedded::{Embedded, NewMessage, Options};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::browser::Page;
use crate::support::events::eur;
use crate::support::eventually::eventually;
use crate::support::http::serve;
use crate::support::service::{Service, order};

/// Markup, a script, a template of the console's library, and characters that turn the text around them.
const HOSTILE: &str = "</textarea><img src=x onerror=\"window.hacked=1\"><script>window.hacked=2</script>${window.hacked=3}\u{202e}fdp\u{2066}";

/// Fails if a page has taken a text for markup, or shows a character that turns the text around it.
async fn assert_text(page: &Page) {
    let found = page
        .eval(
            "[window.hacked ?? null, document.querySelectorAll('img[src=x], script:not([src])').length,
              [...document.body.innerText].filter((char) => '\u{202e}\u{2066}'.includes(char)).length]",
        )
        .await;
    assert_eq!(found, json!([null, 0, 0]));
    page.assert_faultless();
}

/// Puts messages with a hostile text in every place on the queue of a data folder, and starts a service with it.
async fn start_hostile(data: &std::path::Path) -> Service {
    let body = |kind: &str, data: Value| {
        json!({ "event_id": Uuid::now_v7(), "type": kind, "schema_version": 2, "correlation_id": "r",
            "timestamp": "2026-11-23T10:00:00Z", "data": data })
    };
    let short: String = HOSTILE.chars().skip(11).take(50).collect();
    let messages = [
        HOSTILE.to_owned(),
        body(&short, json!({ "order_id": "o-1", "note": HOSTILE })).to_string(),
        body("order_created", json!({ "order_id": "o-2", HOSTILE: HOSTILE, "items": HOSTILE })).to_string(),
        body("order_paid", json!({ "order_id": "o-3", "amount": HOSTILE })).to_string(),
        body("order_cancelled", json!({ "order_id": "o-4", "reason": { HOSTILE: 1 } })).to_string(),
    ];
    let engine = Embedded::open(data, Options { min_free_bytes: 0, ..Options::new(eur()) }).unwrap();
    let message = |(number, body): (usize, String)| NewMessage {
        group: format!("o-{number}"),
        deduplication_id: Uuid::now_v7().to_string(),
        body: body.into_bytes(),
    };
    engine.send(messages.into_iter().enumerate().map(message).collect()).await.unwrap();
    drop(engine);
    Service::start(data, &["--webhooks-allow-private"])
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_in_dead_letters_stay_texts() {
    let folder = TempDir::new().unwrap();
    let service = start_hostile(&folder.path().join("data")).await;
    let letters = eventually("the messages are parked", async || {
        let (_, list) = service.get("/v1/dead-letters").await;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        if items.len() == 5 { Ok(items) } else { Err(items) }
    })
    .await;
    let page = Page::open(&format!("{}/console/dead-letters", service.url)).await;
    page.wait_for("all are shown", "document.querySelectorAll('.parked-sequence').length === 5").await;
    assert_text(&page).await;
    for letter in &letters {
        let id = letter["id"].as_str().unwrap();
        page.go(&format!("{}/console/dead-letters/{id}", service.url)).await;
        page.sees("Hidden characters: U+202E").await;
        page.sees("Cannot be read").await;
        page.click("textarea").await;
        page.press("Control+End").await;
        page.type_text(" ").await;
        page.sees("Changes to the original").await;
        assert_text(&page).await;
    }
    let id = letters[0]["id"].as_str().unwrap();
    let reason = json!({ "reason": HOSTILE });
    let path = format!("/v1/dead-letters/{id}/discard");
    assert_eq!(service.ask(Method::POST, &path, &[], Some(&reason)).await.status, 200);
    page.go(&format!("{}/console/dead-letters/{id}", service.url)).await;
    page.sees("Is discarded").await;
    page.sees("window.hacked=2").await;
    assert_text(&page).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_webhooks_stay_texts() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--webhooks-allow-private"]);
    let receiver = serve(Router::new().fallback(async || (StatusCode::BAD_REQUEST, HOSTILE))).await;
    let body = json!({ "url": format!("{receiver}/?a=<script>window.hacked=4</script>"), "description": HOSTILE,
        "customer_id": "c-<img src=x>", "headers": { "x-key": "secret" } });
    let created = service.ask(Method::POST, "/v1/webhooks", &[], Some(&body)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.body["id"].as_str().unwrap().to_owned();
    service.accept("/v1/orders", &order("c-<img src=x>")).await;

    let page = Page::open(&format!("{}/console/webhooks", service.url)).await;
    page.sees("window.hacked=1").await;
    page.sees("failing").await;
    assert_text(&page).await;
    page.go(&format!("{}/console/webhooks/{id}", service.url)).await;
    page.click("summary >> retrying").await;
    page.sees("Response to the latest attempt").await;
    page.sees("\"order_created\"").await;
    page.sees("x-key: ••••••••").await;
    assert_text(&page).await;
    page.click("button >> Skip…").await;
    page.fill("dialog textarea >> Reason", "<img src=x onerror=\"window.hacked=5\">").await;
    page.click("dialog button >> Skip").await;
    page.sees("skipped").await;
    page.sees("window.hacked=5").await;
    assert_text(&page).await;
}
