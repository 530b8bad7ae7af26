//! Tests who may read which events of the feed.

use std::sync::Arc;
use std::time::Duration;

use api::auth::{Principal, Scope};
use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use domain::{MessageBody, Repaired};
use tokio::time::Instant;
use tower::ServiceExt;

use super::blocks::StreamReader;
use super::fake::{FakeFeed, event};
use super::{items, router};
use crate::fakes::{Answer, send_to};

fn principal(scope: Scope, customer_id: Option<&str>) -> Principal {
    Principal {
        scopes: Some(vec![scope.as_str().to_owned()]),
        customer_id: customer_id.map(|id| id.parse().unwrap()),
        ..Principal::anyone()
    }
}

async fn ask(feed: &Arc<FakeFeed>, principal: Principal, request: Builder) -> Answer {
    send_to(router(feed), request.extension(principal).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_feed_needs_the_scope_to_read() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    for accept in ["application/json", "text/event-stream"] {
        for scope in [Scope::Write, Scope::Operate] {
            let request = Request::get("/v1/events").header("accept", accept);
            ask(&feed, principal(scope, None), request).await.is_problem(403, "/problems/forbidden");
        }
    }
    let answer = ask(&feed, principal(Scope::Read, None), Request::get("/v1/events")).await;
    assert_eq!(items(&answer).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_token_for_one_customer_reads_only_that_customers_events() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let limited = || principal(Scope::Read, Some("c-2"));
    for (path, expected) in [
        ("/v1/events", vec!["o-2 1"]),
        ("/v1/events?customer_id=c-2", vec!["o-2 1"]),
        ("/v1/events?customer_id=c-1", vec![]),
    ] {
        let answer = ask(&feed, limited(), Request::get(path)).await;
        assert_eq!(items(&answer), expected, "{path}");
        assert_eq!(answer.json()["has_more"], false);
    }
    // The feed contains events of the customer in the query, but the token may not see them. So the request waits until its time
    // is over.
    let start = Instant::now();
    let request = Request::get("/v1/events?customer_id=c-1").header("prefer", "wait=5");
    let answer = ask(&feed, limited(), request).await;
    assert_eq!((items(&answer).len(), start.elapsed()), (0, Duration::from_secs(5)));

    let stream = Request::get("/v1/events").header("accept", "text/event-stream").extension(limited());
    let response = router(&feed).oneshot(stream.body(Body::empty()).unwrap()).await.unwrap();
    let mut reader = StreamReader::of(response);
    assert_eq!(reader.event().await.name(), "o-2 1");
}

#[tokio::test]
async fn only_operators_see_the_original_of_a_repaired_event_and_nobody_the_request_hash() {
    let feed = Arc::new(FakeFeed::default());
    let mut repaired = event("o-1", 1, "order_created", 1);
    let original = MessageBody(b"hush".to_vec());
    repaired.repaired = Some(Box::new(Repaired {
        dead_letter: "4711".to_owned(),
        repairs: Vec::new(),
        original_sha256: "0".repeat(64),
        original: Some(original),
    }));
    feed.append(repaired);
    for (scopes, sees) in [(vec!["orders.read"], false), (vec!["orders.read", "orders.operate"], true)] {
        let scopes = Some(scopes.into_iter().map(str::to_owned).collect());
        let principal = Principal { scopes, ..Principal::anyone() };
        let item = ask(&feed, principal, Request::get("/v1/events")).await.json()["items"][0].clone();
        assert_eq!(item["repaired"]["dead_letter"], "4711");
        assert_eq!(item["repaired"]["original"].is_object(), sees, "{item}");
        assert!(item["request_hash"].is_null(), "{item}");
    }
}
