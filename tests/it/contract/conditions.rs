//! Tests conditional requests, and requests that wait for outcomes.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use super::{WAIT, propose, recorded};
use crate::support::service::{Api, order};

pub async fn an_unchanged_order_is_not_sent_again(api: &Api) {
    let id = recorded(api, "tags").await;
    let path = format!("/v1/orders/{id}");
    let first = api.ask(Method::GET, &path, &[], None).await;
    assert_eq!((first.header("etag"), first.header("cache-control")), ("\"1\"", "private, no-cache"));
    for tag in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
        let again = api.ask(Method::GET, &path, &[("if-none-match", tag)], None).await;
        assert_eq!((again.status, again.header("etag")), (304, "\"1\""), "{tag}");
    }
    propose(api, &id, &[WAIT], "order_confirmed", json!({})).await;
    let changed = api.ask(Method::GET, &path, &[("if-none-match", "\"1\"")], None).await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""));
    api.ask(Method::GET, &path, &[("if-none-match", "1")], None).await.is_problem(400, "invalid-header");
}

pub async fn if_match_requires_the_current_version(api: &Api) {
    let id = recorded(api, "insists").await;
    let confirmed = propose(api, &id, &[("if-match", "\"1\""), WAIT], "order_confirmed", json!({})).await;
    assert_eq!((confirmed.status, confirmed.header("etag")), (200, "\"2\""), "{confirmed:?}");

    let cancel = json!({ "reason": "changed my mind" });
    for tag in ["\"1\"", "\"3\"", "W/\"2\"", "\"something\""] {
        let stale = propose(api, &id, &[("if-match", tag)], "order_cancelled", cancel.clone()).await;
        stale.is_problem(412, "precondition-failed");
        assert_eq!(stale.body["order_status"], "confirmed", "{tag}");
    }
    propose(api, &id, &[("if-match", "2")], "order_cancelled", cancel.clone())
        .await
        .is_problem(400, "invalid-header");
    propose(api, "nobody", &[("if-match", "*")], "order_confirmed", json!({}))
        .await
        .is_problem(412, "precondition-failed");
    let any = propose(api, &id, &[("if-match", "*"), WAIT], "order_cancelled", cancel).await;
    assert_eq!((any.status, any.header("etag")), (200, "\"3\""));
}

pub async fn a_replayed_event_does_not_fail_its_condition(api: &Api) {
    let id = recorded(api, "repeated").await;
    let key = Uuid::now_v7().to_string();
    let headers = [("if-match", "\"1\""), ("idempotency-key", key.as_str()), WAIT];
    for replayed in ["", "true"] {
        let answer = propose(api, &id, &headers, "order_confirmed", json!({})).await;
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, replayed), "{answer:?}");
    }
}

pub async fn prefer_wait_waits_for_the_outcome(api: &Api) {
    let created = api.ask(Method::POST, "/v1/orders", &[("prefer", "wait=20")], Some(&order("waits"))).await;
    assert_eq!((created.status, created.header("preference-applied")), (201, "wait=20"), "{created:?}");
    let id = created.body["order_id"].as_str().unwrap();
    assert_eq!(
        (created.header("location"), created.header("etag")),
        (format!("/v1/orders/{id}").as_str(), "\"1\"")
    );

    let illegal = propose(api, id, &[WAIT], "order_delivered", json!({})).await;
    illegal.is_problem(409, "illegal-transition");
    assert_eq!(illegal.body["order_status"], "pending");
    assert_eq!(
        illegal.body["allowed_events"],
        json!([
            "order_amended",
            "order_annotated",
            "order_confirmed",
            "order_held",
            "order_payment_authorized",
            "order_paid",
            "order_cancelled"
        ])
    );
    propose(api, "nobody", &[WAIT], "order_confirmed", json!({})).await.is_problem(404, "order-not-found");

    let accepted = propose(api, id, &[("prefer", "respond-async")], "order_confirmed", json!({})).await;
    assert_eq!((accepted.status, accepted.header("preference-applied")), (202, "respond-async"));
    let receipt = api.ask(Method::GET, accepted.header("location"), &[WAIT], None).await;
    assert_eq!((receipt.status, &receipt.body["state"]), (200, &json!("recorded")));
    assert_eq!(receipt.header("preference-applied"), "wait=25");
}
