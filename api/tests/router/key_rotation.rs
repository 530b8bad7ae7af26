//! Tests key rotation: keys that are added and removed in a file or at a URL.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::auth::{IssuerKeys, JwksUrl, KeyRefresh};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::auth::{ask, is_let_in, is_refused, router, with_token};
use crate::issuer::{IssuerKey, claims, key_set};

/// A web server that publishes an issuer's keys.
struct KeyServer {
    url: JwksUrl,
    state: Arc<KeyServerState>,
}

struct KeyServerState {
    fetches: AtomicUsize,
    answer: Mutex<(StatusCode, &'static str, String)>,
}

impl KeyServer {
    async fn start(pairs: &[&IssuerKey]) -> Self {
        let answer = Mutex::new((StatusCode::OK, "max-age=3600", key_set(pairs)));
        let state = Arc::new(KeyServerState { fetches: AtomicUsize::new(0), answer });
        let served = state.clone();
        let handler = move || async move {
            served.fetches.fetch_add(1, Ordering::SeqCst);
            let (status, cache, body) = served.answer.lock().unwrap().clone();
            (status, [(header::CACHE_CONTROL, cache)], body)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let server = axum::serve(listener, Router::new().route("/jwks.json", get(handler)));
        // Nothing stops the server explicitly. Its task ends with the runtime of the test.
        tokio::spawn(server.into_future());
        Self { url: JwksUrl::parse(&url).unwrap(), state }
    }

    fn publishes(&self, pairs: &[&IssuerKey]) {
        self.answers(StatusCode::OK, "max-age=3600", key_set(pairs));
    }

    fn answers(&self, status: StatusCode, cache: &'static str, body: String) {
        *self.state.answer.lock().unwrap() = (status, cache, body);
    }

    fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }
}

/// Intervals with which loaded keys are already too old for the next request, so that every request loads the
/// keys.
const NEVER_FRESH: KeyRefresh = KeyRefresh {
    default_age: Duration::ZERO,
    min_age: Duration::ZERO,
    max_age: Duration::ZERO,
    unknown_key: Duration::ZERO,
    retry: Duration::ZERO,
    max_stale: Duration::from_secs(3600),
};

fn write(file: &Path, pairs: &[&IssuerKey]) {
    std::fs::write(file, key_set(pairs)).unwrap();
}

#[tokio::test]
async fn a_file_is_read_again_for_a_new_key() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let (old, new) = (IssuerKey::p256("old"), IssuerKey::ed25519("new"));
    let claims = claims(json!({}));
    write(&file, &[&old]);
    let router = router(IssuerKeys::of_file(&file, KeyRefresh::FILE));
    is_let_in(&with_token(&router, &old.token(&claims)).await);
    write(&file, &[&new]);
    is_let_in(&with_token(&router, &new.token(&claims)).await);
    is_refused(&with_token(&router, &old.token(&claims)).await, "no key for this token");
}

#[tokio::test]
async fn a_changed_file_is_read_even_if_every_token_has_a_known_key() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let (old, new) = (IssuerKey::p256("old"), IssuerKey::ed25519("new"));
    let claims = claims(json!({}));
    write(&file, &[&old]);
    let router = router(IssuerKeys::of_file(&file, NEVER_FRESH));
    is_let_in(&with_token(&router, &old.token(&claims)).await);
    write(&file, &[&new]);
    is_refused(&with_token(&router, &old.token(&claims)).await, "no key for this token");

    // While the file cannot be read, the router keeps the old keys.
    std::fs::write(&file, "{").unwrap();
    is_let_in(&with_token(&router, &new.token(&claims)).await);
    std::fs::remove_file(&file).unwrap();
    is_let_in(&with_token(&router, &new.token(&claims)).await);
}

/// Repeats the request until the router has read the changed key file and refuses the token for the given
/// reason. With `NEVER_FRESH`, each request reads the file, unless a load is in progress.
async fn is_refused_soon(router: &Router, token: &str, reason: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let answer = with_token(router, token).await;
        if answer.status != 404 || std::time::Instant::now() > deadline {
            return is_refused(&answer, reason);
        }
    }
}

#[tokio::test]
async fn an_empty_key_set_removes_all_keys() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let pair = IssuerKey::p256("old");
    let token = pair.token(&claims(json!({})));
    write(&file, &[&pair]);
    let router = router(IssuerKeys::of_file(&file, NEVER_FRESH));
    is_let_in(&with_token(&router, &token).await);
    write(&file, &[]);
    is_refused_soon(&router, &token, "no key for this token").await;
    write(&file, &[&pair]);
    is_let_in(&with_token(&router, &token).await);
}

#[tokio::test]
async fn keys_are_read_again_on_request() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let pair = IssuerKey::p256("old");
    let token = pair.token(&claims(json!({})));
    write(&file, &[&pair]);
    let patient = KeyRefresh { default_age: Duration::from_secs(600), ..KeyRefresh::FILE };
    let keys = IssuerKeys::of_file(&file, patient);
    let router = router(keys.clone());
    is_let_in(&with_token(&router, &token).await);
    write(&file, &[]);
    is_let_in(&with_token(&router, &token).await);
    keys.reload_now().await.unwrap();
    is_refused(&with_token(&router, &token).await, "no key for this token");
}

#[tokio::test(start_paused = true)]
async fn keys_that_can_no_longer_be_loaded_expire() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let pair = IssuerKey::p256("old");
    let token = pair.token(&claims(json!({})));
    write(&file, &[&pair]);
    let keys = IssuerKeys::of_file(&file, KeyRefresh::FILE);
    let router = router(keys);
    is_let_in(&with_token(&router, &token).await);
    assert_eq!(ask(&router, "/readyz", &[]).await.status, 200);
    // An empty file is not a key set. The router keeps the old keys for a while.
    std::fs::write(&file, "").unwrap();
    tokio::time::advance(Duration::from_secs(1800)).await;
    is_let_in(&with_token(&router, &token).await);
    tokio::time::advance(Duration::from_secs(1801)).await;
    with_token(&router, &token).await.is_problem(503, "/problems/unavailable");
    ask(&router, "/readyz", &[]).await.is_problem(503, "/problems/not-ready");

    write(&file, &[&pair]);
    tokio::time::advance(Duration::from_secs(5)).await;
    is_let_in(&with_token(&router, &token).await);
    assert_eq!(ask(&router, "/readyz", &[]).await.status, 200);
}

#[tokio::test]
async fn a_file_without_keys_is_an_error_at_the_start() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    assert!(IssuerKeys::of_file(&file, KeyRefresh::FILE).load().await.is_err());
    write(&file, &[]);
    let error = IssuerKeys::of_file(&file, KeyRefresh::FILE).load().await.unwrap_err();
    assert!(format!("{error:#}").contains("no usable key"), "{error:#}");
    std::fs::write(&file, " ".repeat(256 * 1024 + 1)).unwrap();
    let error = IssuerKeys::of_file(&file, KeyRefresh::FILE).load().await.unwrap_err();
    assert!(format!("{error:#}").contains("more than 262144 bytes"), "{error:#}");
}

#[tokio::test]
async fn a_new_key_at_a_url_is_fetched_once() {
    let (old, new) = (IssuerKey::p256("old"), IssuerKey::ed25519("new"));
    let server = KeyServer::start(&[&old]).await;
    let keys = IssuerKeys::of_url(server.url.clone(), KeyRefresh::URL).unwrap();
    keys.load().await.unwrap();
    let router = router(keys);
    let claims = claims(json!({}));
    for _ in 0..10 {
        is_let_in(&with_token(&router, &old.token(&claims)).await);
    }
    assert_eq!(server.fetches(), 1);

    server.publishes(&[&old, &new]);
    let token = new.token(&claims);
    for answer in join_all((0..50).map(|_| with_token(&router, &token))).await {
        is_let_in(&answer);
    }
    assert_eq!(server.fetches(), 2);
    // For the next 30 s, tokens with unknown keys cause no further load of the keys.
    let strangers: Vec<_> =
        (0..50).map(|n| IssuerKey::ed25519(&format!("stranger {n}")).token(&claims)).collect();
    for answer in join_all(strangers.iter().map(|token| with_token(&router, token))).await {
        is_refused(&answer, "no key for this token");
    }
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn many_unknown_keys_cause_one_fetch() {
    let server = KeyServer::start(&[&IssuerKey::p256("old")]).await;
    let router = router(IssuerKeys::of_url(server.url.clone(), KeyRefresh::URL).unwrap());
    let claims = claims(json!({}));
    let strangers: Vec<_> =
        (0..100).map(|n| IssuerKey::ed25519(&format!("stranger {n}")).token(&claims)).collect();
    for answer in join_all(strangers.iter().map(|token| with_token(&router, token))).await {
        is_refused(&answer, "no key for this token");
    }
    // The first load gets the keys. The second load looks for the unknown key.
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn without_keys_requests_are_unavailable_and_not_unauthorized() {
    let pair = IssuerKey::ed25519("d");
    let server = KeyServer::start(&[&pair]).await;
    let token = pair.token(&claims(json!({})));
    server.answers(StatusCode::BAD_GATEWAY, "no-store", key_set(&[&pair]));
    let keys =
        IssuerKeys::of_url(server.url.clone(), KeyRefresh { retry: Duration::ZERO, ..KeyRefresh::URL })
            .unwrap();
    assert!(keys.load().await.is_err());
    let router = router(keys);
    for (status, body) in [
        (StatusCode::BAD_GATEWAY, key_set(&[&pair])),
        (StatusCode::FOUND, key_set(&[&pair])),
        (StatusCode::OK, "<html>".to_owned()),
        (StatusCode::OK, " ".repeat(256 * 1024 + 1)),
    ] {
        server.answers(status, "no-store", body);
        let answer = with_token(&router, &token).await;
        answer.is_problem(503, "/problems/unavailable");
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(answer.header("www-authenticate"), "");
    }
    server.publishes(&[&pair]);
    is_let_in(&with_token(&router, &token).await);
}

#[tokio::test]
async fn without_keys_concurrent_requests_cause_one_fetch() {
    let pair = IssuerKey::ed25519("d");
    let server = KeyServer::start(&[&pair]).await;
    server.answers(StatusCode::INTERNAL_SERVER_ERROR, "no-store", String::new());
    let router = router(IssuerKeys::of_url(server.url.clone(), KeyRefresh::URL).unwrap());
    let token = pair.token(&claims(json!({})));
    for answer in join_all((0..50).map(|_| with_token(&router, &token))).await {
        answer.is_problem(503, "/problems/unavailable");
    }
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn old_keys_are_used_until_new_ones_are_loaded() {
    let (old, new) = (IssuerKey::p256("old"), IssuerKey::ed25519("new"));
    let server = KeyServer::start(&[&old]).await;
    let claims = claims(json!({}));
    let router = router(IssuerKeys::of_url(server.url.clone(), NEVER_FRESH).unwrap());
    is_let_in(&with_token(&router, &old.token(&claims)).await);
    server.answers(StatusCode::SERVICE_UNAVAILABLE, "no-store", String::new());
    for _ in 0..3 {
        is_let_in(&with_token(&router, &old.token(&claims)).await);
    }
    server.publishes(&[&new]);
    // After a failed load, a token with an unknown key waits for the next load. A token with a known key does not wait.
    is_let_in(&with_token(&router, &new.token(&claims)).await);
    is_refused(&with_token(&router, &old.token(&claims)).await, "no key for this token");
}
