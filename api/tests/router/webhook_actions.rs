//! Tests what operators do with a subscription: rotate its secret, test it, replay events, list deliveries, and skip one.

use std::sync::Arc;

use api::auth::Principal;
use api::ports::feed::{FeedCursor, FeedStart};
use api::ports::webhooks::{DeliveryState, ReplayFrom};
use axum::http::Method;
use domain::OrderId;
use serde_json::{Value, json};

use crate::fakes::Answer;
use crate::webhook_store::{Ask, FakeWebhooks, ask, at, delivery, event_id, get, post, subscribed};

#[tokio::test]
async fn a_rotation_shows_the_new_secret_and_the_end_of_the_earlier_one() {
    let webhooks = Arc::new(FakeWebhooks::default());
    let path = subscribed(&webhooks).await;
    let first = webhooks.all.lock().unwrap()[0].secrets[0].secret.clone();
    let answer = post(&webhooks, &format!("{path}/rotate"), json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, "\"2\""), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["secrets"], json!([{}, { "expires_at": "2026-11-24T10:00:00Z" }]));
    let rotated = webhooks.all.lock().unwrap()[0].clone();
    let signing: Vec<_> = rotated.secrets_at(at("2026-11-24T09:59:59Z")).collect();
    assert_eq!(signing, [body["secret"].as_str().unwrap(), &first]);
    let leaked = post(&webhooks, &format!("{path}/rotate"), json!({ "overlap_seconds": 0 })).await.json();
    assert_eq!(leaked["secrets"], json!([{}]));
}

#[tokio::test]
async fn a_fourth_valid_secret_is_refused() {
    let webhooks = Arc::new(FakeWebhooks::default());
    let path = format!("{}/rotate", subscribed(&webhooks).await);
    for _ in 0..2 {
        assert_eq!(post(&webhooks, &path, json!({ "overlap_seconds": 3600 })).await.status, 200);
    }
    let refused = post(&webhooks, &path, json!({ "overlap_seconds": 3600 })).await;
    let problem = refused.json();
    assert_eq!((refused.status.as_u16(), &problem["type"]), (409, &json!("/problems/webhook-conflict")));
    assert!(problem["detail"].as_str().unwrap().contains("2026-11-23T11:00:00Z"), "{refused:?}");
    let errors = async |body| post(&webhooks, &path, body).await.validation_errors();
    assert_eq!(errors(json!({ "overlap_seconds": 2_592_001 })).await, ["/overlap_seconds range"]);
    assert_eq!(errors(json!({ "overlap_seconds": -1 })).await, ["/overlap_seconds range"]);
    assert_eq!(errors(json!({ "overlap": 1 })).await, ["/overlap unknown"]);
}

#[tokio::test]
async fn a_rotation_can_depend_on_the_revision_so_that_a_retry_rotates_once() {
    let webhooks = Arc::new(FakeWebhooks::default());
    let path = format!("{}/rotate", subscribed(&webhooks).await);
    let rotate = async || {
        let headers = [("if-match", "\"1\"")];
        let request =
            Ask { method: Method::POST, path: &path, headers: &headers, body: json!({}), who: None };
        ask(&webhooks, request).await
    };
    assert_eq!(rotate().await.status, 200);
    rotate().await.is_problem(412, "/problems/precondition-failed");
}

#[tokio::test]
async fn a_test_answers_with_the_attempt_even_if_it_failed() {
    let webhooks = Arc::new(FakeWebhooks::default());
    let path = subscribed(&webhooks).await;
    let answer = post(&webhooks, &format!("{path}/test"), Value::Null).await;
    assert_eq!(answer.status, 200);
    let expected = json!({
        "succeeded": false, "at": "2026-11-23T09:59:00Z", "latency_ms": 83, "status": 500, "body_excerpt": "no",
        "error": "the receiver answered with the status 500",
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn a_replay_begins_at_exactly_one_place() {
    let webhooks = Arc::new(FakeWebhooks::default());
    let path = subscribed(&webhooks).await;
    let replay = async |body| post(&webhooks, &format!("{path}/replay"), body).await;
    let cursor = get(&webhooks, &path).await.json()["progress"]["cursor"].take();
    for body in [
        json!({ "cursor": cursor }),
        json!({ "from": "oldest" }),
        json!({ "from": "2026-11-23T10:00:00Z" }),
        json!({ "order_id": "o-1" }),
    ] {
        let answer = replay(body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["object"]),
            (200, &json!("webhook")),
            "{answer:?}"
        );
    }
    let expected = [
        ReplayFrom::Cursor(FeedCursor(vec![7])),
        ReplayFrom::Start(FeedStart::Oldest),
        ReplayFrom::Start(FeedStart::At(at("2026-11-23T10:00:00Z"))),
        ReplayFrom::Order(OrderId::parse("o-1").unwrap()),
    ];
    assert_eq!(*webhooks.replays.lock().unwrap(), expected);
    let errors = async |body| replay(body).await.validation_errors();
    assert_eq!(errors(json!({})).await, ["/from required"]);
    assert_eq!(errors(json!({ "from": "latest" })).await, ["/from enum"]);
    assert_eq!(errors(json!({ "from": "oldest", "order_id": "o-1" })).await, ["/order_id unknown"]);
    assert_eq!(errors(json!({ "cursor": "7" })).await, ["/cursor format"]);
    // The cursor comes from another service. Its position is beyond the end of the feed.
    assert_eq!(errors(json!({ "cursor": "OP7hjRJsjyZmMTIzNDU2Nw" })).await, ["/cursor format"]);
    replay(json!({ "order_id": "o-2" })).await.is_problem(404, "/problems/order-not-found");
}

fn listed(page: &Answer) -> Vec<String> {
    let body = page.json();
    let items = body["items"].as_array().unwrap().iter();
    items.map(|it| it["event_id"].as_str().unwrap()[34..].to_owned()).collect()
}

#[tokio::test]
async fn deliveries_are_listed_with_filters_and_pages() {
    let webhooks = Arc::new(FakeWebhooks::default());
    let path = format!("{}/deliveries", subscribed(&webhooks).await);
    let states = [DeliveryState::Retrying, DeliveryState::Held, DeliveryState::Delivered];
    let all = (1..=6).map(|n| {
        let order_id = if n % 2 == 0 { "o-1" } else { "o-2" };
        delivery(n, order_id, states[usize::try_from(n - 1).unwrap() % 3])
    });
    webhooks.deliveries.lock().unwrap().extend(all);
    assert_eq!(listed(&get(&webhooks, &path).await), ["01", "02", "03", "04", "05", "06"]);
    assert_eq!(listed(&get(&webhooks, &format!("{path}?state=held")).await), ["02", "05"]);
    assert_eq!(listed(&get(&webhooks, &format!("{path}?order_id=o-1")).await), ["02", "04", "06"]);

    let first = get(&webhooks, &format!("{path}?order_id=o-1&limit=2")).await;
    assert_eq!(listed(&first), ["02", "04"]);
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let next = format!("{path}?order_id=o-1&limit=2&after={cursor}");
    assert_eq!(first.header("link"), format!("<{next}>; rel=\"next\""));
    let last = get(&webhooks, &next).await;
    assert_eq!((listed(&last), &last.json()["next_cursor"]), (vec!["06".to_owned()], &Value::Null));
    let delivery = &last.json()["items"][0];
    assert_eq!((&delivery["object"], &delivery["state"]), (&json!("delivery"), &json!("delivered")));
    assert_eq!(delivery["links"]["order"], "/v1/orders/o-1");
    assert_eq!(delivery["last_attempt"]["latency_ms"], 83);

    let errors = async |query: &str| get(&webhooks, &format!("{path}?{query}")).await.validation_errors();
    assert_eq!(
        errors(&format!("after={cursor}")).await,
        ["after format"],
        "the cursor belongs to a list with a filter"
    );
    assert_eq!(
        errors("state=failed&limit=0&cursor=x").await,
        ["state enum", "limit range", "cursor unknown"]
    );
}

#[tokio::test]
async fn a_skip_has_a_reason_a_time_and_an_author() {
    let webhooks = Arc::new(FakeWebhooks::default());
    let path = format!("{}/deliveries", subscribed(&webhooks).await);
    let states = [DeliveryState::Retrying, DeliveryState::Held];
    let all = states.into_iter().zip(1..).map(|(state, n)| delivery(n, "o-1", state));
    webhooks.deliveries.lock().unwrap().extend(all);
    let skip = async |number, body| {
        let who = Principal { subject: "issuer|op".to_owned(), ..Principal::anyone() };
        let path = format!("{path}/{}/skip", event_id(number));
        ask(&webhooks, Ask { method: Method::POST, path: &path, headers: &[], body, who: Some(who) }).await
    };
    let answer = skip(1, json!({ "reason": "known already" })).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{answer:?}");
    let skipped = &get(&webhooks, &format!("{path}?state=skipped")).await.json()["items"][0];
    let expected = json!({ "reason": "known already", "at": "2026-11-23T10:00:00Z", "by": "issuer|op" });
    assert_eq!(skipped["skipped"], expected);
    for number in [1, 2, 3] {
        let refused = skip(number, json!({ "reason": "again" })).await;
        refused.is_problem(404, "/problems/delivery-not-found");
    }
    assert_eq!(skip(2, json!({})).await.validation_errors(), ["/reason required"]);
    assert_eq!(skip(2, json!({ "reason": " " })).await.validation_errors(), ["/reason format"]);
    let both = post(&webhooks, "/v1/webhooks/x/deliveries/y/skip", json!({ "reason": "r" })).await;
    assert_eq!(both.validation_errors(), ["webhook_id format", "event_id format"]);
}
