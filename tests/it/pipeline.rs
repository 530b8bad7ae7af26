//! Tests orders from the first request to the final status, with the real binary.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::recorded::exported;
use crate::support::service::{Api, Service, order};

async fn event(api: &Api, order_id: &str, kind: &str, data: Value) -> Value {
    let path = format!("/v1/orders/{order_id}/events");
    let receipt = api.accept(&path, &json!({ "type": kind, "data": data })).await;
    api.outcome(&receipt).await
}

/// Takes a new order from created to delivered, with one illegal event on the way. Returns its id.
pub async fn from_created_to_delivered(api: &Api, customer: &str) -> String {
    let order_id = created_and_shipped_too_early(api, customer).await;
    from_pending_to_delivered(api, customer, &order_id).await;
    order_id
}

/// Creates an order and sends a shipment that is rejected. Returns the order's id.
pub async fn created_and_shipped_too_early(api: &Api, customer: &str) -> String {
    let receipt = api.accept("/v1/orders", &order(customer)).await;
    let order_id = receipt["order_id"].as_str().unwrap();
    assert_eq!((&receipt["type"], &receipt["state"]), (&json!("order_created"), &json!("accepted")));
    assert_eq!(api.outcome(&receipt).await["version"], 1);

    let early = event(api, order_id, "order_shipped", shipment()).await;
    assert_eq!((&early["state"], &early["reason"]), (&json!("rejected"), &json!("illegal_transition")));
    let detail = early["detail"].as_str().unwrap();
    assert!(detail.contains("order_shipped") && detail.contains("pending"), "{detail}");
    order_id.to_owned()
}

fn shipment() -> Value {
    json!({ "carrier": "DHL", "tracking_number": "JD01" })
}

pub async fn from_pending_to_delivered(api: &Api, customer: &str, order_id: &str) {
    let steps = [
        ("order_confirmed", json!({})),
        ("order_paid", json!({ "payment_id": "p-1", "amount": 1800 })),
        ("order_shipped", shipment()),
        ("order_delivered", json!({})),
    ];
    for (n, (kind, data)) in steps.into_iter().enumerate() {
        let outcome = event(api, order_id, kind, data).await;
        assert_eq!(
            (&outcome["state"], &outcome["version"]),
            (&json!("recorded"), &json!(n + 2)),
            "{outcome}"
        );
    }

    let (_, view) = api.get(&format!("/v1/orders/{order_id}")).await;
    assert_eq!(view["status"], "delivered");
    assert_eq!((&view["total"], &view["version"], &view["parked"]), (&json!(1800), &json!(5), &json!(0)));
    assert_eq!(
        view["allowed_events"],
        json!([
            "order_annotated",
            "order_payment_authorized",
            "order_paid",
            "order_return_requested",
            "order_returned",
            "order_refunded"
        ])
    );
    assert_eq!(view["payment"], json!({ "payment_id": "p-1", "amount": 1800 }));
    assert_eq!(view["shipment"], shipment());
    let (_, list) = api.get(&format!("/v1/orders?customer_id={customer}")).await;
    assert_eq!(list["items"][0]["order_id"], order_id);
    let (_, events) = api.get(&format!("/v1/orders/{order_id}/events")).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_from_created_to_delivered_and_is_exported() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &[]);
    let order_id = from_created_to_delivered(&service, "c-1").await;

    assert!(service.terminate().success());
    let lines = exported(&data);
    let versions: Vec<_> = lines.iter().map(|line| line["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    assert!(lines.iter().all(|line| line["data"]["order_id"] == order_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_logged_with_its_ids_and_outcome() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let hint = service.wait_for_log("first start");
    assert!(hint["hint"].as_str().unwrap().starts_with("curl "), "{hint}");

    let receipt = service.accept("/v1/orders", &order("c-1")).await;
    let line = service.wait_for_log("\"recorded\"");
    assert_eq!((&line["order_id"], &line["event_id"]), (&receipt["order_id"], &receipt["event_id"]));
    assert!(line["correlation_id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_has_kept_what_it_accepted_when_it_starts_again() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, &[]);
    let mut receipts = BTreeMap::new();
    for _ in 0..50 {
        let receipt = service.accept("/v1/orders", &order("c-1")).await;
        receipts.insert(receipt["order_id"].as_str().unwrap().to_owned(), receipt);
    }
    service.signal("INT");
    assert!(service.wait().success());

    let service = Service::start(&data, &[]);
    for receipt in receipts.values() {
        assert_eq!(service.outcome(receipt).await["state"], "recorded");
    }
    let (status, _) = service.get("/readyz").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_serves_its_documentation_without_other_sites() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &[]);
    let (status, spec) = service.get("/openapi.json").await;
    assert_eq!((status, &spec["openapi"]), (StatusCode::OK, &json!("3.1.0")));
    let page = service.send(Method::GET, "/try/", None).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let html = page.text().await.unwrap();
    assert!(
        html.contains("swagger") && !html.contains("https://"),
        "the page loads assets from elsewhere: {html}"
    );
}
