//! Tests that personal data of a contact appears in orders only, and not in the log, in metrics, in alerts, or in
//! errors.

use domain::OrderId;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::dlq::{send, wait_for_parked};
use crate::support::events::{created, new_order_id};
use crate::support::service::{Api, Service, order, orders};

/// A text that occurs in every value of the contact.
const MARK: &str = "zebra4915123";

/// The first words of an alert.
const ALERT: &str = "dead letters: nothing is lost";

fn contact() -> Value {
    let address = json!({
        "name": MARK, "company": MARK, "line1": MARK, "line2": MARK, "city": MARK, "postal_code": MARK, "region": MARK,
        "country": "DE",
    });
    json!({
        "name": MARK, "email": format!("{MARK}@example.com"), "phone": MARK, "shipping_address": address,
        "billing_address": address,
    })
}

/// A message that amends the contact of an order.
fn amendment(id: &OrderId, contact: &Value) -> String {
    json!({
        "event_id": uuid::Uuid::now_v7(), "type": "order_amended", "schema_version": 2, "timestamp": "2026-11-23T10:00:00Z",
        "correlation_id": "r", "data": { "order_id": id, "contact": contact },
    })
    .to_string()
}

/// Sends an event, and returns the status and the answer.
async fn propose(api: &Api, id: &str, event: &Value) -> (u16, String) {
    let headers = [("prefer", "wait=20")];
    let answer = api.ask(Method::POST, &format!("/v1/orders/{id}/events"), &headers, Some(event)).await;
    (answer.status, answer.body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_appears_in_no_log_metric_alert_or_error() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let id = new_order_id();
    let mut number = contact();
    number["phone"] = json!(4_915_123);
    let mut long = contact();
    long["billing_address"]["city"] = json!(MARK.repeat(100));
    let creation = String::from_utf8(created(&id).encode()).unwrap();
    send(&data, [creation, amendment(&id, &number), amendment(&id, &long)].map(|body| (&id, body))).await;

    let mut command = orders(&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    command.env("ORDERS_MIN_FREE_DISK", "1").env("LOG_LEVEL", "debug").arg("--data").arg(&data);
    let (mut service, metrics) = Service::spawn_until(command, "metrics at");
    // The service may raise the alert before or after it starts to listen.
    let mut start: Vec<Value> = vec![];
    let logged =
        |start: &[Value], text: &str| start.iter().find(|line| line.to_string().contains(text)).cloned();
    while logged(&start, ALERT).is_none() || logged(&start, "\"serving\"").is_none() {
        start.push(service.wait_for_log("\"timestamp\""));
    }
    let serving = logged(&start, "\"serving\"").unwrap();
    let api = Api::at(&format!("http://{}", serving["listen"].as_str().unwrap()));
    wait_for_parked(&api, &id, 2).await;
    let (_, list) = api.get("/v1/dead-letters?state=parked").await;
    let details: Vec<_> = list["items"].as_array().unwrap().iter().map(|letter| &letter["detail"]).collect();
    assert!(details.iter().any(|detail| detail.to_string().contains("contact.phone")), "{details:?}");
    assert!(!json!(details).to_string().contains("4915123"), "{details:?}");

    let mut body = order("c-personal");
    body["contact"] = contact();
    let placed = api.ask(Method::POST, "/v1/orders", &[("prefer", "wait=20")], Some(&body)).await;
    assert_eq!(placed.body["contact"], contact(), "{placed:?}");
    let placed = placed.body["order_id"].as_str().unwrap().to_owned();
    let cancelled = json!({ "type": "order_cancelled", "data": { "reason": "no" } });
    assert_eq!(propose(&api, &placed, &cancelled).await.0, 200);
    let amended = |contact: &Value| json!({ "type": "order_amended", "data": { "contact": contact } });
    for (contact, status) in [(contact(), 409), (number, 422), (long, 422)] {
        let (found, answer) = propose(&api, &placed, &amended(&contact)).await;
        assert_eq!(found, status, "{answer}");
        assert!(!answer.contains("zebra") && !answer.contains("4915123"), "{answer}");
    }

    let metrics = Api::at(&format!("http://{}", metrics["listen"].as_str().unwrap()));
    let text = metrics.send(Method::GET, "/metrics", None).await.unwrap().text().await.unwrap();
    assert!(text.contains("orders_ledger") && !text.contains("zebra"), "{text}");
    assert!(service.terminate().success());
    let log = json!(start).to_string() + &service.rest_of_log();
    assert!(!log.contains("zebra") && !log.contains("4915123"), "{log}");
}
