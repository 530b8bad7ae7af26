//! Tests the endpoints that change a webhook subscription: update, pause, resume and delete.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use api::auth::Principal;
use axum::http::Method;
use domain::SubscriptionState;
use serde_json::{Value, json};

use crate::fakes::Answer;
use crate::webhook_store::{
    Ask, FakeWebhooks, ask, at, delete, event_id, get, patch, post, subscribed, webhooks,
};

const URL: &str = "https://shop.example/hooks";

/// The answer to a change with the given `If-Match` header.
async fn change_if(webhooks: &Arc<FakeWebhooks>, path: &str, if_match: &str, body: Value) -> Answer {
    let headers = [("if-match", if_match)];
    ask(webhooks, Ask { method: Method::PATCH, path, headers: &headers, body, who: None }).await
}

#[tokio::test]
async fn a_merge_patch_changes_only_its_members() {
    let webhooks = webhooks();
    let body = json!({
        "url": URL, "types": ["order_paid"], "customer_id": "c-1", "description": "d",
        "headers": { "x-a": "1", "x-b": "2" },
    });
    let path = post(&webhooks, "/v1/webhooks", body).await.header("location").to_owned();
    let changes = json!({
        "types": null, "customer_id": null, "description": "e", "headers": { "X-A": null, "x-c": "3" },
    });
    let answer = patch(&webhooks, &path, changes).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""), "{answer:?}");
    let changed = webhooks.all.lock().unwrap()[0].clone();
    assert_eq!((changed.url.as_str(), changed.types.len(), &changed.customer_id), (URL, 0, &None));
    assert_eq!(changed.description.as_deref(), Some("e"));
    let headers: Vec<_> = changed.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(headers, ["x-b=2", "x-c=3"]);
    patch(&webhooks, &path, json!({ "headers": null, "description": null })).await;
    let changed = webhooks.all.lock().unwrap()[0].clone();
    assert_eq!((changed.headers.len(), changed.description), (0, None));
    // A patch without effect keeps the revision.
    assert_eq!(patch(&webhooks, &path, json!({ "url": URL })).await.header("etag"), "\"3\"");

    let refused = patch(&webhooks, &path, json!({ "url": null, "from": "oldest" })).await;
    assert_eq!(refused.validation_errors(), ["/from unknown", "/url required"]);
    let refused = patch(&webhooks, &path, json!({ "paused": null })).await;
    assert_eq!(refused.validation_errors(), ["/paused required"]);
    let first: serde_json::Map<_, _> = (0..10).map(|n| (format!("x-{n}"), json!("v"))).collect();
    assert_eq!(patch(&webhooks, &path, json!({ "headers": first })).await.status, 200);
    let refused = patch(&webhooks, &path, json!({ "headers": { "x-10": "v" } })).await;
    assert_eq!(refused.validation_errors(), ["/headers length"]);
}

#[tokio::test]
async fn a_subscription_is_paused_and_resumed_and_a_disabled_one_enabled() {
    let webhooks = webhooks();
    let path = subscribed(&webhooks).await;
    let who = Principal { subject: "issuer|op".to_owned(), ..Principal::anyone() };
    let body = json!({ "paused": true });
    let request = Ask { method: Method::PATCH, path: &path, headers: &[], body, who: Some(who) };
    let paused = ask(&webhooks, request).await.json();
    assert_eq!(
        (&paused["state"], &paused["stopped"]["reason"]),
        (&json!("paused"), &json!("issuer|op paused it."))
    );
    let resumed = patch(&webhooks, &path, json!({ "paused": false })).await.json();
    assert_eq!((&resumed["state"], &resumed["stopped"]), (&json!("active"), &Value::Null));
    let disabled = |now| {
        let mut all = webhooks.all.lock().unwrap();
        all[0].stop(SubscriptionState::Disabled, "All deliveries failed for 5 days.", now);
    };
    disabled(at("2026-11-23T09:00:00Z"));
    let shown = get(&webhooks, &path).await.json();
    assert_eq!(shown["state"], "disabled");
    assert_eq!(shown["stopped"]["reason"], "All deliveries failed for 5 days.");
    assert_eq!(patch(&webhooks, &path, json!({ "paused": false })).await.json()["state"], "active");
}

#[tokio::test]
async fn a_change_can_depend_on_the_revision() {
    let webhooks = webhooks();
    let path = subscribed(&webhooks).await;
    let body = |text: &str| json!({ "description": text });
    assert_eq!(change_if(&webhooks, &path, "\"1\"", body("a")).await.header("etag"), "\"2\"");
    let stale = change_if(&webhooks, &path, "\"1\"", body("b")).await;
    stale.is_problem(412, "/problems/precondition-failed");
    change_if(&webhooks, &path, "W/\"2\"", body("b")).await.is_problem(412, "/problems/precondition-failed");
    change_if(&webhooks, &path, "2", body("b")).await.is_problem(400, "/problems/invalid-header");
    assert_eq!(change_if(&webhooks, &path, "*", body("c")).await.status, 200);
    // A change is noticed if it intervenes between reading and replacing the subscription.
    webhooks.interventions.store(1, SeqCst);
    change_if(&webhooks, &path, "\"3\"", body("d")).await.is_problem(412, "/problems/precondition-failed");
}

#[tokio::test]
async fn a_change_without_a_condition_is_repeated_until_nothing_intervenes() {
    let webhooks = webhooks();
    let path = subscribed(&webhooks).await;
    webhooks.interventions.store(4, SeqCst);
    let answer = patch(&webhooks, &path, json!({ "description": "a" })).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"6\""));
    webhooks.interventions.store(5, SeqCst);
    let answer = patch(&webhooks, &path, json!({ "description": "b" })).await;
    answer.is_problem(409, "/problems/webhook-conflict");
}

#[tokio::test]
async fn a_deleted_subscription_is_not_found() {
    let webhooks = webhooks();
    let path = subscribed(&webhooks).await;
    let answer = delete(&webhooks, &path).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    for answer in [
        get(&webhooks, &path).await,
        delete(&webhooks, &path).await,
        patch(&webhooks, &path, json!({ "description": "a" })).await,
        get(&webhooks, &format!("{path}/deliveries")).await,
        post(&webhooks, &format!("{path}/test"), Value::Null).await,
        post(&webhooks, &format!("{path}/replay"), json!({ "from": "oldest" })).await,
        post(&webhooks, &format!("{path}/rotate"), json!({})).await,
        post(&webhooks, &format!("{path}/deliveries/{}/skip", event_id(1)), json!({ "reason": "r" })).await,
    ] {
        answer.is_problem(404, "/problems/webhook-not-found");
    }
    let answer = get(&webhooks, "/v1/webhooks/nothing").await;
    answer.is_problem(400, "/problems/invalid-parameter");
    assert_eq!(answer.validation_errors(), ["webhook_id format"]);
}

#[tokio::test]
async fn a_failed_change_has_an_unknown_outcome_and_a_link() {
    let whole = webhooks();
    let path = subscribed(&whole).await;
    let all = whole.all.lock().unwrap().clone();
    let broken = Arc::new(FakeWebhooks { all: all.into(), broken: true, ..FakeWebhooks::default() });
    for answer in [
        patch(&broken, &path, json!({ "description": "a" })).await,
        delete(&broken, &path).await,
        post(&broken, &format!("{path}/rotate"), json!({})).await,
        post(&broken, &format!("{path}/replay"), json!({ "from": "oldest" })).await,
    ] {
        answer.is_problem(503, "/problems/outcome-unknown");
        assert_eq!(answer.json()["links"]["webhook"], path);
    }
}
