//! Tests the endpoints of webhook subscriptions: create, list, show, and who may use them.

use std::sync::Arc;

use api::AppState;
use api::auth::{Principal, Scope};
use api::ports::feed::FeedStart;
use api::ports::webhooks::DeliveryState;
use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::CustomerId;
use serde_json::{Value, json};

use crate::fakes::{Answer, FakePorts, state};
use crate::webhook_store::{
    Ask, FakeWebhooks, ask, ask_of, at, delivery, event_id, get, patch, post, subscribed, webhooks,
};

const URL: &str = "https://shop.example/hooks?token=in-the-url";

async fn create_with_key(webhooks: &Arc<FakeWebhooks>, key: &str, who: &str, body: Value) -> Answer {
    let who = Principal { subject: who.to_owned(), ..Principal::anyone() };
    let headers = [("idempotency-key", key)];
    let request = Ask { method: Method::POST, path: "/v1/webhooks", headers: &headers, body, who: Some(who) };
    ask(webhooks, request).await
}

#[tokio::test]
async fn a_subscription_is_created_with_its_defaults_and_its_secret() {
    let webhooks = webhooks();
    let answer = post(&webhooks, "/v1/webhooks", json!({ "url": URL })).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("etag"), "\"1\"");
    let mut body = answer.json();
    assert_eq!(answer.header("location"), body["links"]["self"].as_str().unwrap());
    let secret = body["secret"].take();
    let bytes = BASE64_STANDARD.decode(secret.as_str().unwrap().strip_prefix("whsec_").unwrap()).unwrap();
    assert_eq!(bytes.len(), 32);
    for (member, expected) in [
        ("object", json!("webhook")),
        ("revision", json!(1)),
        ("url", json!(URL)),
        ("types", json!([])),
        ("headers", json!({})),
        ("state", json!("active")),
        ("secrets", json!([{}])),
        ("created_at", json!("2026-11-23T10:00:00Z")),
    ] {
        assert_eq!(body[member], expected, "{member}");
    }
    assert_eq!(*webhooks.starts.lock().unwrap(), [FeedStart::Latest]);
    assert_eq!(webhooks.all.lock().unwrap()[0].secrets[0].secret, secret);
}

#[tokio::test]
async fn a_subscription_has_what_its_request_states() {
    let webhooks = webhooks();
    let body = json!({
        "url": "http://[::1]:9000/a", "types": ["order_paid", "order_created"], "customer_id": "c-1",
        "description": "The warehouse", "headers": { "Authorization": "Bearer hidden" }, "paused": true,
        "from": "2026-11-20T10:00:00+01:00",
    });
    let answer = post(&webhooks, "/v1/webhooks", body).await;
    let body = answer.json();
    assert_eq!(body["types"], json!(["order_created", "order_paid"]));
    assert_eq!((&body["customer_id"], &body["description"]), (&json!("c-1"), &json!("The warehouse")));
    assert_eq!(body["state"], "paused");
    assert_eq!(body["stopped"], json!({ "reason": "An operator paused it.", "at": "2026-11-23T10:00:00Z" }));
    // The values of headers are masked, here and in all other answers.
    assert_eq!(body["headers"], json!({ "authorization": "••••••••" }));
    let shown = get(&webhooks, body["links"]["self"].as_str().unwrap()).await;
    assert!(!String::from_utf8(shown.body).unwrap().contains("hidden"));
    assert_eq!(webhooks.all.lock().unwrap()[0].headers["authorization"], "Bearer hidden");
    assert_eq!(*webhooks.starts.lock().unwrap(), [FeedStart::At(at("2026-11-20T09:00:00Z"))]);
}

#[tokio::test]
async fn only_the_answer_to_the_creation_shows_the_secret() {
    let webhooks = webhooks();
    let path = subscribed(&webhooks).await;
    let secret = webhooks.all.lock().unwrap()[0].secrets[0].secret.clone();
    webhooks.deliveries.lock().unwrap().push(delivery(1, "o-1", DeliveryState::Retrying));
    let answers = [
        get(&webhooks, &path).await,
        get(&webhooks, "/v1/webhooks").await,
        get(&webhooks, &format!("{path}/deliveries")).await,
        patch(&webhooks, &path, json!({ "description": "x" })).await,
        post(&webhooks, &format!("{path}/replay"), json!({ "from": "oldest" })).await,
        post(&webhooks, &format!("{path}/test"), Value::Null).await,
        post(&webhooks, &format!("{path}/rotate"), json!({})).await,
    ];
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!String::from_utf8(answer.body).unwrap().contains(&secret));
    }
}

#[tokio::test]
async fn every_error_of_a_subscription_has_a_pointer() {
    let body = json!({
        "url": "https://user:word@shop.example/", "types": ["order_paid", "order_payed", 3, "order_paid"],
        "customer_id": " c-1", "description": "", "from": "yesterday", "paused": "no", "token": "x",
        "headers": { "Host": "a", "X-A": "b\r\nc", "x-b": "", "X-C": 3, "a b": "c", "webhook-id": "1", "X-D": "••••••••" },
    });
    let answer = post(&webhooks(), "/v1/webhooks", body).await;
    answer.is_problem(422, "/problems/invalid-request");
    let expected = [
        "/customer_id format",
        "/description format",
        "/from format",
        "/headers/Host enum",
        "/headers/X-A format",
        "/headers/X-C type",
        "/headers/X-D format",
        "/headers/a b format",
        "/headers/webhook-id enum",
        "/headers/x-b length",
        "/paused type",
        "/token unknown",
        "/types/1 enum",
        "/types/2 type",
        "/types/3 duplicate",
        "/url format",
    ];
    assert_eq!(answer.validation_errors(), expected);
    let long = json!({ "url": format!("https://shop.example/{}", "x".repeat(2048)), "headers": { "a": "x".repeat(1025) } });
    let answer = post(&webhooks(), "/v1/webhooks", long).await;
    assert_eq!(answer.validation_errors(), ["/headers/a length", "/url length"]);
    let many: serde_json::Map<_, _> = (0..11).map(|n| (format!("x-{n}"), json!("v"))).collect();
    let answer = post(&webhooks(), "/v1/webhooks", json!({ "headers": many })).await;
    assert_eq!(answer.validation_errors(), ["/headers length", "/url required"]);
}

#[tokio::test]
async fn the_hundred_and_first_subscription_is_refused() {
    let webhooks = webhooks();
    for _ in 0..100 {
        subscribed(&webhooks).await;
    }
    let list = get(&webhooks, "/v1/webhooks").await.json();
    assert_eq!((list["items"].as_array().unwrap().len(), &list["next_cursor"]), (100, &Value::Null));
    let answer = post(&webhooks, "/v1/webhooks", json!({ "url": URL })).await;
    answer.is_problem(409, "/problems/webhook-conflict");
    assert!(answer.json()["detail"].as_str().unwrap().contains("100"), "{answer:?}");
    get(&webhooks, "/v1/webhooks?customer_id=c-1").await.is_problem(400, "/problems/invalid-parameter");
}

#[tokio::test]
async fn a_retry_with_the_key_creates_nothing_and_shows_no_secret() {
    let webhooks = webhooks();
    let body = json!({ "url": URL });
    let first = create_with_key(&webhooks, "k-1", "issuer|op", body.clone()).await;
    assert!(first.json()["secret"].is_string(), "{first:?}");
    let path = first.header("location").to_owned();
    patch(&webhooks, &path, json!({ "description": "changed since" })).await;
    let again = create_with_key(&webhooks, "k-1", "issuer|op", body.clone()).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (201, "true"));
    assert_eq!(again.header("location"), path);
    assert_eq!(again.json()["secret"], Value::Null);
    assert_eq!(again.json()["description"], "changed since");

    let other = create_with_key(&webhooks, "k-1", "issuer|op", json!({ "url": URL, "from": "oldest" })).await;
    other.is_problem(422, "/problems/idempotency-key-reused");
    let stranger = create_with_key(&webhooks, "k-1", "issuer|other", body).await;
    assert_ne!(stranger.header("location"), path);
    assert_eq!(webhooks.all.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn the_hash_of_a_request_never_changes() {
    let webhooks = webhooks();
    let body = json!({
        "url": "https://shop.example/hooks", "types": ["order_paid"], "customer_id": "c-1", "description": "d",
        "headers": { "X-A": "v" }, "paused": false, "from": "oldest",
    });
    create_with_key(&webhooks, "k", "", body).await;
    let hash = webhooks.all.lock().unwrap()[0].request_hash.clone().unwrap();
    assert_eq!(hash, "6d83ef0e9f55ce44f25d05f84d64718c9ce7ee0093064d843bbcb74d779ad357");
}

/// Every operation: method, path after `/v1/webhooks`, and body.
fn operations() -> Vec<(Method, String, Value)> {
    let skip = format!("/ID/deliveries/{}/skip", event_id(1));
    [
        (Method::POST, "", json!({ "url": URL })),
        (Method::GET, "", Value::Null),
        (Method::GET, "/ID", Value::Null),
        (Method::PATCH, "/ID", json!({ "paused": true })),
        (Method::POST, "/ID/rotate", json!({})),
        (Method::POST, "/ID/test", Value::Null),
        (Method::POST, "/ID/replay", json!({ "from": "oldest" })),
        (Method::GET, "/ID/deliveries", Value::Null),
        (Method::POST, skip.as_str(), json!({ "reason": "r" })),
        (Method::DELETE, "/ID", Value::Null),
    ]
    .map(|(method, path, body)| (method, path.to_owned(), body))
    .into()
}

#[tokio::test]
async fn all_endpoints_need_the_operate_scope_and_no_customer_limit() {
    let webhooks = webhooks();
    let path = subscribed(&webhooks).await;
    webhooks.deliveries.lock().unwrap().push(delivery(1, "o-1", DeliveryState::Retrying));
    let who = |scope: Scope, customer: Option<&str>| Principal {
        subject: "issuer|op".to_owned(),
        scopes: Some(vec![scope.as_str().to_owned()]),
        customer_id: customer.map(|customer| CustomerId::parse(customer).unwrap()),
        ..Principal::anyone()
    };
    for (method, at, body) in operations() {
        let path = format!("/v1/webhooks{at}").replace("/v1/webhooks/ID", &path);
        let request =
            |who| Ask { method: method.clone(), path: &path, headers: &[], body: body.clone(), who };
        for refused in [who(Scope::Read, None), who(Scope::Write, None), who(Scope::Operate, Some("c-1"))] {
            ask(&webhooks, request(Some(refused))).await.is_problem(403, "/problems/forbidden");
        }
        let without = AppState { webhooks: None, ..state(&Arc::new(FakePorts::default())) };
        ask_of(without, request(None)).await.is_problem(404, "/problems/not-found");
        let answer = ask(&webhooks, request(Some(who(Scope::Operate, None)))).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
    }
}
