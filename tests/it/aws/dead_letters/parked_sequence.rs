//! Tests the parked sequence of an order after an event that cannot be processed, until the event is repaired. The
//! tests run the roles as containers and as Lambda functions.

use std::time::Duration;

use api::ports::EventPublisher;
use domain::OrderId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Deployment, until};
use crate::support::emulator::Emulator;
use crate::support::emulator::lambda::Function;
use crate::support::emulator::proxy::{Proxy, throttled};
use crate::support::events::{confirmed, created, new_order_id, paid};
use crate::support::eventually::{PATIENCE, check, eventually_within};
use crate::support::service::Service;

/// A payment whose JSON is cut off, but still contains the order id.
fn broken_payment(id: &OrderId) -> String {
    let whole = String::from_utf8(paid(id).encode()).unwrap();
    whole[..whole.len() - 3].to_owned()
}

fn shipped(id: &OrderId) -> String {
    json!({ "event_id": Uuid::now_v7(), "type": "order_shipped", "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z",
            "correlation_id": "r", "data": { "order_id": id, "carrier": "DHL", "tracking_number": "1" } })
    .to_string()
}

/// The parked sequence of an order, as the API returns it.
async fn parked_sequence_of(api: &Service, id: &OrderId) -> Vec<Value> {
    let (_, page) = api.get(&format!("/v1/dead-letters?order_id={id}")).await;
    let mut items = page["items"].as_array().cloned().unwrap_or_default();
    items.reverse();
    items
}

#[tokio::test(flavor = "multi_thread")]
async fn shipping_waits_for_a_poisoned_payment_until_it_is_repaired_in_containers() {
    let deployment = Deployment::open().await;
    let endpoint = &Emulator::shared().endpoint;
    let (api, _consumer) = (
        deployment.start_api(),
        Service::spawn_until(deployment.role("consumer", endpoint), "\"consuming\"").0,
    );
    let dead_letters = deployment.start_dead_letters(endpoint);
    repairs_and_redrives(&deployment, &api).await;

    // An archiver that is killed, or that cannot reach S3 or SNS, loses no dead letter.
    drop(dead_letters);
    let proxy = Proxy::start(endpoint, 7, &[throttled("s3", 1.0)]);
    let _dead_letters = deployment.start_dead_letters(&proxy.endpoint);
    let id = new_order_id();
    deployment.send(&id, "noise").await;
    until("a call to S3 fails", async || !proxy.faults().await.is_empty()).await;
    proxy.set_rules(&[throttled("sns", 1.0)]).await;
    until("a call to SNS fails", async || proxy.faults().await.iter().any(|fault| fault["service"] == "sns"))
        .await;
    let alerts = deployment.alerts().await.len();
    proxy.set_rules(&[]).await;
    eventually_within(Duration::from_secs(120), "an alert is published", async || {
        check(deployment.alerts().await.len() != alerts, alerts)
    })
    .await;
    let (_, page) = api.get("/v1/dead-letters").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "archived once: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shipping_waits_for_a_poisoned_payment_until_it_is_repaired_with_functions() {
    let deployment = Deployment::open().await;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_orders"));
    let deploy = async |role| {
        let environment = [&deployment.variables()[..], &[("ORDERS_INSECURE_NO_AUTH", "true")]].concat();
        Function::deploy(Emulator::shared(), program, role, &environment).await
    };
    deploy("consumer").await.consume(&deployment.backend.queues.arn, 10).await;
    let dead_letters_arn = Emulator::shared().queue_arn(&deployment.backend.queues.dead_letters_url).await;
    deploy("dead-letters").await.consume(&dead_letters_arn, 10).await;
    repairs_and_redrives(&deployment, &deployment.start_api()).await;
}

async fn repairs_and_redrives(deployment: &Deployment, api: &Service) {
    let (backend, id) = (&deployment.backend, new_order_id());
    backend.queue.publish(&[created(&id), confirmed(&id)]).await.into_iter().for_each(|it| {
        it.unwrap();
    });
    deployment.send(&id, &broken_payment(&id)).await;
    let shipment = shipped(&id);
    deployment.send(&id, &shipment).await;
    until("both are archived", async || parked_sequence_of(api, &id).await.len() == 2).await;
    let sequence = parked_sequence_of(api, &id).await;
    let reasons: Vec<_> = sequence.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["malformed", "behind_parked"]);
    let (_, order) = api.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((&order["status"], &order["parked"]), (&json!("confirmed"), &json!(2)));
    let event_id = serde_json::from_str::<Value>(&shipment).unwrap()["event_id"].as_str().unwrap().to_owned();
    let receipt = format!("/v1/orders/{id}/events/{event_id}");
    assert_eq!(api.get(&receipt).await.1["state"], "parked");

    let dry = json!({ "order_id": id, "dry_run": true });
    let post = async |path: &str, body: &Value| {
        let answer = api.ask(reqwest::Method::POST, path, &[], Some(body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let results = |body: &Value| {
        let items = body["items"].as_array().unwrap().iter();
        items.map(|it| it["result"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let redrive = "/v1/dead-letters/redrive";
    assert_eq!(results(&post(redrive, &dry).await), ["unreadable", "behind"]);
    let repair = format!("/v1/dead-letters/{}/repair", sequence[0]["id"].as_str().unwrap());
    post(&repair, &json!({ "body": String::from_utf8(paid(&id).encode()).unwrap() })).await;
    assert_eq!(results(&post(redrive, &dry).await), ["would_record", "would_record"]);
    assert_eq!(results(&post(redrive, &json!({ "order_id": id })).await), ["sent", "sent"]);
    // After an interruption, an operator may redrive again. The second redrive must do no harm.
    post(redrive, &json!({ "order_id": id })).await;
    until("the sequence is empty", async || parked_sequence_of(api, &id).await.is_empty()).await;
    let (_, order) = api.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((&order["status"], &order["parked"]), (&json!("shipped"), &json!(0)));
    assert_eq!(api.get(&receipt).await.1["state"], "recorded");
    assert_eq!(backend.history(&id).await.len(), 4, "each once");
    backend.drained(PATIENCE).await;
    until("the ledger counts each outcome once", async || {
        let ledger = api.get("/v1/pipeline").await.1["ledger"].clone();
        let expected = json!({ "accepted": 4, "recorded": 4, "rejected": 0, "discarded": 0, "duplicate": 0, "parked": 0,
                               "in_flight": 0, "balanced": null, "exact": true });
        ledger == expected
    })
    .await;
}
