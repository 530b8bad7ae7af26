//! Tests requests with idempotency keys.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{WAIT, propose, recorded};
use crate::support::service::{Answer, Api, order};

const KEY: &str = "idempotency-key";

fn new_key() -> String {
    format!("\"{}\"", Uuid::now_v7())
}

async fn create(api: &Api, headers: &[(&str, &str)], body: &Value) -> Answer {
    api.ask(Method::POST, "/v1/orders", headers, Some(body)).await
}

pub async fn a_repeated_creation_creates_one_order(api: &Api) {
    let key = new_key();
    let first = create(api, &[(KEY, &key)], &order("once")).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (202, ""), "{first:?}");
    api.outcome(&first.body).await;

    // Sends the same request again, without the quotes around the key, and with different formatting of the body.
    let mut spelled = order("once");
    spelled["total"] = json!(1800);
    for body in [order("once"), spelled] {
        let again = create(api, &[(KEY, key.trim_matches('"'))], &body).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (202, "true"), "{again:?}");
        assert_eq!((&again.body, again.header("location")), (&first.body, first.header("location")));
    }
    let waited = create(api, &[(KEY, &key), WAIT], &order("once")).await;
    assert_eq!((waited.status, &waited.body["order_id"]), (201, &first.body["order_id"]));
    let (_, list) = api.get("/v1/orders?customer_id=once").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

pub async fn concurrent_requests_under_one_key_create_one_order(api: &Api) {
    let key = new_key();
    let requests = (0..10).map(|_| async { create(api, &[(KEY, &key), WAIT], &order("many")).await });
    let answers = futures_util::future::join_all(requests).await;
    for answer in &answers {
        assert_eq!(
            (answer.status, &answer.body["order_id"]),
            (201, &answers[0].body["order_id"]),
            "{answer:?}"
        );
    }
    let history = format!("/v1/orders/{}/events", answers[0].body["order_id"].as_str().unwrap());
    assert_eq!(api.get(&history).await.1["items"].as_array().unwrap().len(), 1);
}

pub async fn a_key_is_refused_for_a_different_request(api: &Api) {
    let key = new_key();
    let first = create(api, &[(KEY, &key), WAIT], &order("first")).await;
    assert_eq!(first.status, 201);
    create(api, &[(KEY, &key)], &order("second")).await.is_problem(422, "idempotency-key-reused");

    let order_id = first.body["order_id"].as_str().unwrap();
    let headers = [(KEY, key.as_str()), WAIT];
    assert_eq!(
        propose(api, order_id, &headers, "order_confirmed", json!({})).await.status,
        200,
        "a key is scoped to the URL"
    );
    let other = propose(api, order_id, &headers, "order_cancelled", json!({ "reason": "no" })).await;
    other.is_problem(422, "idempotency-key-reused");
    // A rejected event is not in the log. Nevertheless, a repeated request with the same key gets the same
    // answer, and a different request with the key is refused.
    let key = new_key();
    let headers = [(KEY, key.as_str()), WAIT];
    propose(api, order_id, &headers, "order_delivered", json!({}))
        .await
        .is_problem(409, "illegal-transition");
    propose(api, order_id, &headers, "order_delivered", json!({}))
        .await
        .is_problem(409, "illegal-transition");
    let other = propose(api, order_id, &headers, "order_returned", json!({ "reason": "no" })).await;
    other.is_problem(422, "idempotency-key-reused");
}

pub async fn an_invalid_key_is_refused(api: &Api) {
    let too_long = "k".repeat(256);
    for key in ["\"open", "two words", "\"\"", &too_long] {
        let answer = create(api, &[(KEY, key)], &order("nobody")).await;
        answer.is_problem(400, "invalid-header");
        assert_eq!(answer.body["errors"][0]["parameter"], "Idempotency-Key");
    }
    let (_, list) = api.get("/v1/orders?customer_id=nobody").await;
    assert_eq!(list["items"], json!([]));
}

pub async fn a_repeated_event_is_recorded_once(api: &Api) {
    let (a, b) = (recorded(api, "repeats").await, recorded(api, "repeats").await);
    let key = new_key();
    let headers = [(KEY, key.as_str()), WAIT];
    for (order_id, replayed) in [(&a, ""), (&a, "true"), (&b, ""), (&b, "true")] {
        let answer = propose(api, order_id, &headers, "order_confirmed", json!({})).await;
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, replayed), "{answer:?}");
        assert_eq!((&answer.body["status"], &answer.body["version"]), (&json!("confirmed"), &json!(2)));
    }
}

pub async fn a_replayed_refusal_shows_the_order_as_it_was(api: &Api) {
    let order_id = recorded(api, "moments").await;
    let key = new_key();
    let shipped = json!({ "carrier": "DHL", "tracking_number": "JD01" });
    let first = propose(api, &order_id, &[(KEY, &key), WAIT], "order_shipped", shipped.clone()).await;
    first.is_problem(409, "illegal-transition");
    assert_eq!((first.header("idempotent-replayed"), &first.body["order_version"]), ("", &json!(1)));
    propose(api, &order_id, &[WAIT], "order_confirmed", json!({})).await;

    let again = propose(api, &order_id, &[(KEY, &key), WAIT], "order_shipped", shipped.clone()).await;
    again.is_problem(409, "illegal-transition");
    assert_eq!(again.header("idempotent-replayed"), "true");
    for member in ["order_status", "order_version", "allowed_events"] {
        assert_eq!(again.body[member], first.body[member], "{member}");
    }
    let detail = again.body["detail"].as_str().unwrap();
    assert!(
        detail.contains(first.body["detail"].as_str().unwrap()) && detail.contains("new key"),
        "{detail}"
    );
    let new = propose(api, &order_id, &[(KEY, &new_key()), WAIT], "order_shipped", shipped).await;
    assert_eq!((&new.body["order_status"], &new.body["order_version"]), (&json!("confirmed"), &json!(2)));
}
