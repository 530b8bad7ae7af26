//! Tests that every request example in the OpenAPI description works on a running service.

use std::collections::BTreeMap;

use domain::OrderId;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::examples::resolved;
use super::{Validator, escaped, openapi};
use crate::dlq::with_parked_sequence;
use crate::support::eventually::eventually;
use crate::support::service::{Api, Service};

/// The id of the order that the examples contain.
const ORDER: &str = "019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f";
const WAIT: (&str, &str) = ("prefer", "wait=25");

/// The request examples of an operation, by name.
fn examples<'a>(document: &'a Value, path: &str, method: &str) -> BTreeMap<&'a str, &'a Value> {
    let body = resolved(document, &document["paths"][path][method]["requestBody"]);
    let examples = body["content"]["application/json"]["examples"].as_object().into_iter().flatten();
    examples.map(|(name, example)| (name.as_str(), &resolved(document, example)["value"])).collect()
}

/// Creates an order for which an event of the given type is legal. The requests are the examples of the
/// OpenAPI description.
async fn order_ready_for(api: &Api, document: &Value, event_type: &Value) -> String {
    let mut order = examples(document, "/v1/orders", "post")["full"].clone();
    // Only one order can have the reference, and the order must not expire while the test runs.
    order["reference"] = uuid::Uuid::now_v7().to_string().into();
    order.as_object_mut().unwrap().remove("expires_at");
    let order = api.ask(Method::POST, "/v1/orders", &[WAIT], Some(&order)).await;
    let id = order.body["order_id"].as_str().unwrap_or_else(|| panic!("{order:?}")).to_owned();
    let before: &[&str] = match event_type.as_str().unwrap() {
        "order_released" => &["order_held"],
        "order_payment_voided" => &["order_payment_authorized"],
        "order_shipped" => &["order_confirmed", "order_paid"],
        "order_delivered" => &["order_confirmed", "order_paid", "order_shipped"],
        "order_return_requested" | "order_returned" => {
            &["order_confirmed", "order_paid", "order_shipped", "order_delivered"]
        }
        "order_refunded" => &["order_paid"],
        _ => &[],
    };
    let proposals = examples(document, "/v1/orders/{order_id}/events", "post");
    for wanted in before {
        let event = proposals.values().find(|event| event["type"] == *wanted).unwrap();
        let mut event = (*event).clone();
        if event_type == "order_payment_voided" {
            let voided = proposals.values().find(|event| event["type"] == *event_type).unwrap();
            event["data"]["payment_id"] = voided["data"]["payment_id"].clone();
        }
        let answer = api.ask(Method::POST, &format!("/v1/orders/{id}/events"), &[WAIT], Some(&event)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    id
}

/// The id of a dead letter that is parked for the given reason.
async fn letter(api: &Api, reason: &str) -> String {
    let (_, list) = api.get(&format!("/v1/dead-letters?state=parked&reason={reason}")).await;
    list["items"][0]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no dead letter has the reason {reason}: {list}"))
        .to_owned()
}

async fn address(api: &Api, document: &Value, path: &str, example: &Value) -> String {
    match path {
        "/v1/orders/{order_id}/events" => {
            path.replace("{order_id}", &order_ready_for(api, document, &example["type"]).await)
        }
        "/v1/dead-letters/{id}/discard" => path.replace("{id}", &letter(api, "behind_parked").await),
        "/v1/dead-letters/{id}/repair" => path.replace("{id}", &letter(api, "malformed").await),
        path if path.starts_with("/v1/webhooks/") => webhook_address(api, path).await,
        path => path.to_owned(),
    }
}

/// The address of a subscription whose deliveries fail, because the service does not post to its own machine.
async fn webhook_address(api: &Api, path: &str) -> String {
    let body = json!({ "url": "https://127.0.0.1/", "from": "oldest" });
    let created = api.ask(Method::POST, "/v1/webhooks", &[], Some(&body)).await;
    let own = created.body["links"]["self"].as_str().unwrap_or_else(|| panic!("{created:?}")).to_owned();
    let path = path.replace("/v1/webhooks/{webhook_id}", &own);
    if !path.contains("{event_id}") {
        return path;
    }
    let event_id = eventually("a delivery fails", async || {
        let (_, list) = api.get(&format!("{own}/deliveries?state=retrying")).await;
        list["items"][0]["event_id"].as_str().map(str::to_owned).ok_or(list.clone())
    })
    .await;
    path.replace("{event_id}", &event_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_example_is_accepted_and_answered_as_described() {
    let folder = TempDir::new().unwrap();
    let service: Service =
        with_parked_sequence(&folder.path().join("data"), &OrderId::parse(ORDER).unwrap()).await;
    let document = openapi();
    let mut validator = Validator::of(document.clone());
    // The redrive comes late, because it removes the dead letters that the other examples need. The fence comes last, because
    // the service accepts no writes after it.
    let mut paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    paths.sort_by_key(|path| (path.ends_with("/fence"), path.ends_with("/redrive")));
    let mut tried = 0;
    for (path, method) in paths.into_iter().flat_map(|path| [(path, Method::POST), (path, Method::PATCH)]) {
        let name_of_method = method.as_str().to_ascii_lowercase();
        if !document["paths"][path][&name_of_method]["requestBody"].is_object() {
            continue;
        }
        let examples = examples(&document, path, &name_of_method);
        assert!(!examples.is_empty(), "{path} has no example");
        for (name, example) in examples {
            let address = address(&service, &document, path, example).await;
            let answer = service.ask(method.clone(), &address, &[WAIT], Some(example)).await;
            assert!((200..300).contains(&answer.status), "{path} {name}: {answer:?}");
            // An answer must not contain a problem, either as a whole or as an item of a batch.
            assert!(!answer.body.to_string().contains("/problems/"), "{path} {name}: {answer:?}");
            tried += 1;
            if answer.status == 204 {
                continue;
            }
            let responses = format!("/paths/{}/{name_of_method}/responses", escaped(path));
            let schema = format!("{responses}/{}/content/application~1json/schema", answer.status);
            assert_eq!(validator.check(&schema, &answer.body), Ok(()), "{path} {name}: {answer:?}");
        }
    }
    assert!(tried >= 25, "{tried}");
}
