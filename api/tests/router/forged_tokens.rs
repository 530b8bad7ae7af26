//! Tests how many invalid tokens an address may send before further tokens are refused.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::AppState;
use api::auth::{Auth, IssuerKeys, KeyRefresh, TokenRules, TokenVerifier};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use serde_json::json;
use tempfile::TempDir;

use crate::auth::{is_let_in, is_refused, router_with};
use crate::fakes::{Answer, FakePorts, send_to, state};
use crate::issuer::{AUDIENCE, ISSUER, IssuerKey, claims, key_set};

/// Sends a request with the given token from the given address.
async fn from_address(router: &Router, token: &str, address: &str) -> Answer {
    let peer = ConnectInfo(address.parse::<SocketAddr>().unwrap());
    let request = Request::get("/v1/orders/o-1").header("host", "localhost").extension(peer);
    let request = request.header("authorization", format!("Bearer {token}"));
    send_to(router.clone(), request.body(Body::empty()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn forged_tokens_from_one_address_are_limited() {
    let folder = TempDir::new().unwrap();
    let pair = IssuerKey::ed25519("d");
    let router = router_with(folder.path(), &[&pair]).await;
    let known = pair.token(&claims(json!({ "sub": "known" })));
    is_let_in(&from_address(&router, &known, "192.0.2.1:1").await);

    let forger = IssuerKey::ed25519("d");
    let forged = |number: u32| forger.token(&claims(json!({ "sub": format!("forged-{number}") })));
    let mut statuses = Vec::new();
    for number in 0..200 {
        let answer = from_address(&router, &forged(number), "192.0.2.1:2").await;
        if answer.status == 429 {
            answer.is_problem(429, "/problems/too-many-requests");
            assert_eq!(answer.header("retry-after"), "1");
        }
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [[401; 50].as_slice(), &[429; 150]].concat());

    // An address that has sent too many invalid tokens may still use a token that was accepted before, but a
    // new token must wait. Other addresses are not affected.
    is_let_in(&from_address(&router, &known, "192.0.2.1:3").await);
    let new = pair.token(&claims(json!({ "sub": "new" })));
    from_address(&router, &new, "192.0.2.1:4").await.is_problem(429, "/problems/too-many-requests");
    is_let_in(&from_address(&router, &new, "192.0.2.2:1").await);
    is_refused(&from_address(&router, &forged(0), "192.0.2.2:2").await, "signature");

    tokio::time::advance(Duration::from_secs(1)).await;
    let other = pair.token(&claims(json!({ "sub": "other" })));
    is_let_in(&from_address(&router, &other, "192.0.2.1:5").await);
    is_refused(&from_address(&router, &forged(0), "192.0.2.1:6").await, "signature");
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_token_do_not_count_as_failures_and_the_limit_is_configurable() {
    let folder = TempDir::new().unwrap();
    let pair = IssuerKey::ed25519("d");
    std::fs::write(folder.path().join("jwks.json"), key_set(&[&pair])).unwrap();
    let keys = IssuerKeys::of_file(&folder.path().join("jwks.json"), KeyRefresh::FILE);
    let rules = TokenRules {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        leeway: Duration::ZERO,
        scope_prefix: None,
    };
    for (limit, expected) in [(Some("1/3"), [401, 401, 401, 429]), (None, [401; 4])] {
        let limit = limit.map(|limit| limit.parse().unwrap());
        let verifier = TokenVerifier::new(keys.clone(), rules.clone()).limit_failures(limit);
        let auth = Auth::Tokens(Arc::new(verifier));
        let router = api::router(AppState { auth, ..state(&Arc::new(FakePorts::default())) });
        for _ in 0..100 {
            let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1)));
            let request = Request::get("/v1/orders/o-1").header("host", "localhost").extension(peer);
            let answer = send_to(router.clone(), request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, 401);
        }
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(from_address(&router, "forged", "192.0.2.1:1").await.status.as_u16());
        }
        assert_eq!(statuses, expected);
    }
}
