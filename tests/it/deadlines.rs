//! Tests that unpaid orders expire, with the real service and the real clock. The tests beside
//! `infra/src/embedded/due.rs` set the clock.

use std::path::Path;

use api::ports::EventPublisher;
use domain::{Envelope, OrderId, Timestamp};
use infra::embedded::{Embedded, Options};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::events::{eur, new_order_id};
use crate::support::eventually::{check, eventually};
use crate::support::service::{Api, Service, order};

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(infra::now().micros() + seconds * 1_000_000).unwrap()
}

/// Puts an order that expires in `seconds` into a data folder that no service uses.
async fn store_expiring(data: &Path, seconds: i64) -> OrderId {
    let (order_id, event_id, at) = (new_order_id(), Uuid::now_v7(), in_seconds(seconds));
    let message = json!({
        "type": "order_created", "event_id": event_id, "schema_version": 2, "timestamp": infra::now(),
        "data": { "order_id": order_id, "customer_id": "c", "currency": "EUR", "total": 2, "expires_at": at,
                  "items": [{ "sku": "s", "quantity": 1, "unit_price": 2 }] },
    });
    let envelope = Envelope::decode(message.to_string().as_bytes(), eur()).unwrap();
    let options = Options { inline: true, min_free_bytes: 0, ..Options::new(eur()) };
    let engine = Embedded::open(data, options).unwrap();
    engine.publish(&[envelope]).await.remove(0).unwrap();
    order_id
}

/// Creates an order, and waits until it is recorded.
async fn created(api: &Api) -> String {
    let receipt = api.accept("/v1/orders", &order("due")).await;
    api.outcome(&receipt).await;
    receipt["order_id"].as_str().unwrap().to_owned()
}

async fn has_status(api: &Api, order_id: &str, status: &str) -> Value {
    eventually("the order has the status", async || {
        let (_, order) = api.get(&format!("/v1/orders/{order_id}")).await;
        if order["status"] == status { Ok(order) } else { Err(order) }
    })
    .await
}

/// The types of the order's events.
async fn history(api: &Api, order_id: &str) -> Vec<Value> {
    let (_, page) = api.get(&format!("/v1/orders/{order_id}/events")).await;
    page["items"].as_array().unwrap_or_else(|| panic!("{page}")).clone()
}

fn types(history: &[Value]) -> Vec<&str> {
    history.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_order_expires_two_seconds_from_now_and_a_late_payment_is_owed_back() {
    let folder = TempDir::new().unwrap();
    let order_id = store_expiring(folder.path(), 2).await;
    let service = Service::start(folder.path(), &[]);
    has_status(&service, order_id.as_str(), "cancelled").await;
    let history = history(&service, order_id.as_str()).await;
    assert_eq!(types(&history), ["order_created", "order_cancelled"]);
    assert_eq!((&history[1]["actor"], &history[1]["data"]["reason"]), (&json!("orders"), &json!("expired")));

    let paid = json!({ "type": "order_paid", "data": { "payment_id": "p", "amount": 2 } });
    let receipt = service.accept(&format!("/v1/orders/{order_id}/events"), &paid).await;
    assert_eq!(service.outcome(&receipt).await["state"], "recorded");
    assert_eq!(service.settled().await["recorded"], 3);
}

#[tokio::test]
async fn unpaid_orders_expire_at_the_age_and_paid_ones_stay() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(folder.path(), &["--expire-unpaid", "2s"]);
    let kept = created(&service).await;
    let paid = json!({ "type": "order_paid", "data": { "payment_id": "p", "amount": 1800 } });
    let receipt = service.accept(&format!("/v1/orders/{kept}/events"), &paid).await;
    service.outcome(&receipt).await;
    let unpaid = created(&service).await;
    has_status(&service, &unpaid, "cancelled").await;
    // The paid order is older than the cancelled one, so the service has already checked the paid order's deadline.
    assert_eq!(types(&history(&service, &kept).await), ["order_created", "order_paid"]);
    let ledger = service.settled().await;
    assert_eq!((&ledger["accepted"], &ledger["recorded"]), (&json!(4), &json!(4)));
}

#[tokio::test]
async fn what_became_due_while_the_service_was_killed_expires_at_its_start() {
    for flags in [&["--expire-unpaid", "1s"][..], &["--expire-unpaid", "1s", "--always-queue"]] {
        let folder = TempDir::new().unwrap();
        let mut service = Service::start(folder.path(), &["--expire-unpaid", "1h"]);
        let order_id = created(&service).await;
        service.kill();
        let service = Service::start(folder.path(), flags);
        has_status(&service, &order_id, "cancelled").await;
        assert_eq!(types(&history(&service, &order_id).await), ["order_created", "order_cancelled"]);
    }
}

#[tokio::test]
async fn kill_9_while_many_expire_neither_loses_nor_repeats_a_cancellation() {
    const ORDERS: usize = 600;
    let folder = TempDir::new().unwrap();
    let mut service = Service::start(folder.path(), &[]);
    let mut ids = Vec::new();
    for _ in 0..ORDERS / 100 {
        let orders = json!({ "orders": vec![order("due"); 100] });
        let answer = service.ask(Method::POST, "/v1/orders/batch", &[], Some(&orders)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let items = answer.body["items"].as_array().unwrap();
        ids.extend(items.iter().map(|item| item["receipt"]["order_id"].as_str().unwrap().to_owned()));
    }
    service.settled().await;
    service.terminate();
    // In each round, the service is killed after it has proposed to cancel some of the orders.
    for expected in [1, ORDERS / 3] {
        let mut service = Service::start(folder.path(), &["--expire-unpaid", "1s"]);
        eventually("some orders are cancelled", async || {
            let (_, pipeline) = service.get("/v1/pipeline").await;
            let recorded = pipeline["ledger"]["recorded"].as_u64().unwrap_or(0) as usize;
            check(recorded >= ORDERS + expected, recorded)
        })
        .await;
        service.kill();
    }
    let service = Service::start(folder.path(), &["--expire-unpaid", "1s"]);
    for order_id in &ids {
        has_status(&service, order_id, "cancelled").await;
        assert_eq!(types(&history(&service, order_id).await), ["order_created", "order_cancelled"]);
    }
    let ledger = service.settled().await;
    assert_eq!(ledger["recorded"], 2 * ORDERS);
}

#[test]
fn a_wrong_age_is_refused() {
    let folder = TempDir::new().unwrap();
    let output = crate::support::service::run(&["serve", "--expire-unpaid", "soon"], folder.path());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("an age is written as 48h or 30m"), "{error}");
}
