//! Tests the pages of the console on which operators work: dead letters and webhooks, in a real browser.

mod bulk;
mod dead_letters;
mod editor;
mod hostile_texts;
mod webhooks;

use domain::OrderId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::dlq::{send, wait_for_parked};
use crate::support::browser::{Page, Window};
use crate::support::events::{confirmed, created, paid};
use crate::support::service::Service;

/// The messages of an order: created, confirmed, a payment whose amount is a text, and a shipment.
fn with_poisoned_payment(id: &OrderId) -> Vec<String> {
    let [created, confirmed] =
        [created(id), confirmed(id)].map(|event| String::from_utf8(event.encode()).unwrap());
    let mut payment: Value = serde_json::from_slice(&paid(id).encode()).unwrap();
    payment["data"]["amount"] = json!("nine hundred");
    let shipment = json!({ "event_id": Uuid::now_v7(), "type": "order_shipped", "schema_version": 1,
        "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "r",
        "data": { "order_id": id, "carrier": "DHL", "tracking_number": "1" } });
    vec![created, confirmed, payment.to_string(), shipment.to_string()]
}

/// The amount that pays the order.
fn amount(id: &OrderId) -> u64 {
    let payment: Value = serde_json::from_slice(&paid(id).encode()).unwrap();
    payment["data"]["amount"].as_u64().unwrap()
}

/// Starts a service with a poisoned payment in each of these orders. The payments and the shipments are parked.
async fn start_poisoned(data: &std::path::Path, ids: &[OrderId]) -> Service {
    let messages =
        ids.iter().flat_map(|id| with_poisoned_payment(id).into_iter().map(move |body| (id, body)));
    send(data, messages).await;
    let service = Service::start(data, &["--webhooks-allow-private"]);
    for id in ids {
        wait_for_parked(&service, id, 2).await;
    }
    service
}

/// Opens a place of the console in every window that people have, and checks that it fits and that everybody can use it.
async fn assert_usable(service: &Service, place: &str, shows: &str) {
    for window in [Window::WIDE, Window::WIDE.dark(), Window::PHONE, Window::PHONE.dark()] {
        let page = Page::blank(window).await;
        page.go(&format!("{}/console{place}", service.url)).await;
        page.sees(shows).await;
        let [client, scroll, _] = page.size().await;
        assert!(scroll <= client, "{place} is {scroll} wide in {window:?}");
        assert_eq!(page.serious_findings().await, [""; 0], "{place} in {window:?}");
        page.assert_faultless();
    }
}
