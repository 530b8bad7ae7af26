//! Tests bearer tokens through the router: which tokens are accepted, which are refused, and with which error.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::AppState;
use api::auth::{Auth, IssuerKeys, KeyRefresh, TokenRules, TokenVerifier};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use domain::Timestamp;
use ring::hmac;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::fakes::{Answer, FakePorts, created};
use crate::issuer::{AUDIENCE, ISSUER, IssuerKey, NOW, base64url, claims, key_set};

/// A router that accepts tokens signed with the given keys.
pub(crate) fn router(keys: Arc<IssuerKeys>) -> Router {
    router_over(Arc::new(FakePorts::default()), keys)
}

fn router_over(fake: Arc<FakePorts>, keys: Arc<IssuerKeys>) -> Router {
    let rules = TokenRules {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        leeway: Duration::from_secs(60),
        scope_prefix: None,
    };
    let auth = Auth::Tokens(Arc::new(TokenVerifier::new(keys, rules)));
    let clock = || Timestamp::parse("2026-11-23T10:00:00Z").unwrap();
    api::router(AppState { auth, clock, ..AppState::new(fake.clone(), fake.clone(), fake) })
}

/// Sends a request for `path` with the given headers. No order exists, so a request that passes
/// authentication gets a 404.
pub(crate) async fn ask(router: &Router, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request =
        headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) async fn with_token(router: &Router, token: &str) -> Answer {
    ask(router, "/v1/orders/o-1", &[("authorization", &format!("Bearer {token}"))]).await
}

#[track_caller]
pub(crate) fn is_let_in(answer: &Answer) {
    answer.is_problem(404, "/problems/order-not-found");
}

/// Asserts that the token is refused, and that both the body and the header state the given reason.
#[track_caller]
pub(crate) fn is_refused(answer: &Answer, reason: &str) {
    answer.is_problem(401, "/problems/unauthorized");
    let body = answer.json();
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains(reason), "{detail}, not: {reason}");
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{detail}\"");
    assert_eq!(answer.header("www-authenticate"), challenge);
}

pub(crate) async fn router_with(folder: &Path, pairs: &[&IssuerKey]) -> Router {
    let file = folder.join("jwks.json");
    std::fs::write(&file, key_set(pairs)).unwrap();
    let keys = IssuerKeys::of_file(&file, KeyRefresh::FILE);
    keys.load().await.unwrap();
    router(keys)
}

#[tokio::test]
async fn tokens_of_every_algorithm_are_accepted_with_and_without_a_kid() {
    let folder = TempDir::new().unwrap();
    let pairs = [IssuerKey::rsa("r"), IssuerKey::p256("e"), IssuerKey::ed25519("d")];
    let router = router_with(folder.path(), &pairs.each_ref()).await;
    for pair in &pairs {
        is_let_in(&with_token(&router, &pair.token(&claims(json!({})))).await);
        for header in [
            json!({ "alg": pair.algorithm() }),
            json!({ "alg": pair.algorithm(), "typ": "at+jwt" }),
            json!({ "alg": pair.algorithm(), "typ": "application/AT+JWT", "kid": pair.kid }),
        ] {
            is_let_in(&with_token(&router, &pair.token_with(&header, &claims(json!({})))).await);
        }
    }
}

#[tokio::test]
async fn claims_are_checked() {
    let folder = TempDir::new().unwrap();
    let pair = IssuerKey::p256("e");
    let router = router_with(folder.path(), &[&pair]).await;
    for changes in [
        json!({ "exp": NOW - 59 }),
        json!({ "exp": NOW as f64 + 0.5, "nbf": NOW as f64 - 0.5 }),
        json!({ "nbf": NOW + 60 }),
        json!({ "aud": ["reports", AUDIENCE] }),
        json!({ "scope": null }),
        json!({ "scope": null, "scp": ["orders.read"] }),
        json!({ "customer_id": "c-1" }),
    ] {
        // The handler answers 403 to those tokens that lack the required scope. This test only checks that no token gets a 401.
        let answer = with_token(&router, &pair.token(&claims(changes.clone()))).await;
        assert_ne!(answer.status, 401, "{changes}: {answer:?}");
    }
    for (changes, reason) in [
        (json!({ "exp": NOW - 60 }), "has expired"),
        (json!({ "exp": NOW - 86_400 }), "has expired"),
        (json!({ "exp": null }), "no valid exp"),
        (json!({ "exp": "never" }), "no valid exp"),
        (json!({ "nbf": NOW + 61 }), "not valid yet"),
        (json!({ "nbf": "now" }), "nbf"),
        (json!({ "iss": "https://login.example/" }), "another issuer"),
        (json!({ "iss": [ISSUER] }), "another issuer"),
        (json!({ "iss": null }), "has no iss"),
        (json!({ "aud": "reports" }), "another audience"),
        (json!({ "aud": ["reports", "Orders"] }), "another audience"),
        (json!({ "aud": [] }), "another audience"),
        (json!({ "aud": null }), "has no aud"),
        (json!({ "sub": null }), "no sub"),
        (json!({ "sub": "" }), "no sub"),
        (json!({ "scope": 7 }), "scopes"),
        (json!({ "customer_id": "" }), "customer_id"),
        (json!({ "customer_id": ["c-1"] }), "customer_id"),
    ] {
        let token = pair.token(&claims(changes.clone()));
        is_refused(&with_token(&router, &token).await, reason);
    }
    // A claim with the value `null` is not treated as absent.
    let mut everyone = claims(json!({}));
    everyone["customer_id"] = Value::Null;
    is_refused(&with_token(&router, &pair.token(&everyone)).await, "customer_id");
}

#[tokio::test]
async fn the_key_and_not_the_token_decides_the_algorithm() {
    let folder = TempDir::new().unwrap();
    let (rsa, p256, ed25519) = (IssuerKey::rsa("r"), IssuerKey::p256("e"), IssuerKey::ed25519("d"));
    let router = router_with(folder.path(), &[&rsa, &p256, &ed25519]).await;
    let claims = claims(json!({}));

    for alg in ["none", "None", "NONE", "HS256", "HS512", "RS512", "PS256", "ES384", "", "rs256"] {
        let header = json!({ "alg": alg, "kid": "r" });
        is_refused(&with_token(&router, &rsa.token_with(&header, &claims)).await, "RS256, ES256 or EdDSA");
        let unsigned = format!("{}.{}.", base64url(header.to_string()), base64url(claims.to_string()));
        is_refused(&with_token(&router, &unsigned).await, "RS256, ES256 or EdDSA");
    }
    // Anybody can read a public key, so no format of the key may be accepted as the secret of an HMAC
    // signature.
    let published = [rsa.public_pem().into_bytes(), rsa.public_bytes(), rsa.jwk().to_string().into_bytes()];
    for secret in published {
        for alg in ["HS256", "RS256"] {
            let header = json!({ "alg": alg, "typ": "JWT", "kid": "r" });
            let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
            let reason = if alg == "HS256" { "RS256, ES256 or EdDSA" } else { "signature" };
            is_refused(&with_token(&router, &format!("{signed}.{}", base64url(tag))).await, reason);
        }
    }
    for (pair, alg) in [(&p256, "RS256"), (&rsa, "ES256"), (&ed25519, "ES256"), (&p256, "EdDSA")] {
        let token = pair.token_with(&json!({ "alg": alg, "kid": pair.kid }), &claims);
        is_refused(&with_token(&router, &token).await, "for another algorithm");
        // A token without a key id is checked with the only key of its algorithm.
        is_refused(
            &with_token(&router, &pair.token_with(&json!({ "alg": alg }), &claims)).await,
            "signature",
        );
    }
    let own = IssuerKey::ed25519("d");
    is_refused(&with_token(&router, &own.token(&claims)).await, "signature");
    let header = json!({ "alg": "EdDSA", "kid": "d", "jwk": own.jwk(), "jku": "http://127.0.0.1:1/" });
    is_refused(&with_token(&router, &own.token_with(&header, &claims)).await, "signature");
}

#[tokio::test]
async fn a_kid_must_be_known_and_may_be_absent_only_if_one_key_fits() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (IssuerKey::p256("1"), IssuerKey::p256("2"));
    let router = router_with(folder.path(), &[&one, &two]).await;
    let claims = claims(json!({}));
    is_refused(&with_token(&router, &IssuerKey::p256("3").token(&claims)).await, "no key for this token");
    is_refused(
        &with_token(&router, &one.token_with(&json!({ "alg": "ES256" }), &claims)).await,
        "More than one key",
    );
    is_refused(
        &with_token(&router, &one.token_with(&json!({ "alg": "ES256", "kid": "2" }), &claims)).await,
        "signature",
    );
    is_let_in(&with_token(&router, &two.token(&claims)).await);
}

#[tokio::test]
async fn malformed_tokens_are_refused() {
    let folder = TempDir::new().unwrap();
    let pair = IssuerKey::ed25519("d");
    let router = router_with(folder.path(), &[&pair]).await;
    let good = pair.token(&claims(json!({})));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let operator = base64url(claims(json!({ "sub": "operator" })).to_string());
    let with_header = |header: Value| pair.token_with(&header, &claims(json!({})));

    is_refused(&with_token(&router, &format!("{header}.{operator}.{signature}")).await, "signature");
    is_refused(&with_token(&router, &"a".repeat(8193)).await, "too long");
    is_refused(
        &with_token(&router, &pair.token(&claims(json!({ "x": "y".repeat(8192) })))).await,
        "too long",
    );
    is_refused(
        &with_token(&router, &with_header(json!({ "alg": "EdDSA", "typ": "secevent+jwt" }))).await,
        "type",
    );
    is_refused(
        &with_token(&router, &with_header(json!({ "alg": "EdDSA", "crit": ["b64"] }))).await,
        "extensions",
    );
    is_refused(&with_token(&router, &format!("{header}.{payload}.")).await, "signature");
    for token in [
        "".to_owned(),
        "token".to_owned(),
        signed.to_owned(),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!("{good} {good}"),
        format!("{header}.{payload}+.{signature}"),
        pair.token(&json!("text")),
        pair.token_with(&json!({ "kid": "d" }), &claims(json!({}))),
        with_header(json!({ "alg": "EdDSA", "kid": 7 })),
    ] {
        is_refused(&with_token(&router, &token).await, "not a signed JWT");
    }
    let header = format!("bearer  {good}");
    is_let_in(&ask(&router, "/v1/orders/o-1", &[("Authorization", &header)]).await);
    let twice = [("authorization", header.as_str()), ("authorization", &header)];
    is_refused(&ask(&router, "/v1/orders/o-1", &twice).await, "more than one Authorization");
}

#[tokio::test]
async fn without_credentials_only_public_paths_are_served() {
    let folder = TempDir::new().unwrap();
    let router = router_with(folder.path(), &[&IssuerKey::ed25519("d")]).await;
    let basic = [("authorization", "Basic b3JkZXJzOm9yZGVycw==")];
    let not_headers = [("x-forwarded-user", "root"), ("cookie", "token=x")];
    for (path, headers) in [
        ("/v1/orders/o-1", &[][..]),
        ("/v1/orders/o-1", &basic),
        ("/v1/orders/o-1", &not_headers),
        ("/v1/orders?customer_id=c-1", &[]),
        ("/v1/nothing", &[]),
        ("/docs/../v1/orders/o-1/", &[]),
        ("/healthz/../v1/orders/o-1", &[]),
        ("/v1", &[]),
    ] {
        let answer = ask(&router, path, headers).await;
        if path.starts_with("/docs/") {
            assert_eq!(answer.status, 404, "{answer:?}");
            continue;
        }
        answer.is_problem(401, "/problems/unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_eq!(answer.json()["detail"], "The request has no bearer token.");
    }
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/asyncapi.json",
        "/docs/",
        "/docs/events",
        "/try/",
        "/problems",
    ] {
        assert_eq!(ask(&router, path, &[]).await.status, 200, "{path}");
    }
    let posted =
        Request::post("/v1/orders").header("content-type", "application/json").body(Body::from("{}"));
    assert_eq!(router.oneshot(posted.unwrap()).await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_token_limited_to_a_customer_reads_and_changes_only_that_customers_orders() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let pair = IssuerKey::ed25519("d");
    std::fs::write(&file, key_set(&[&pair])).unwrap();
    let keys = IssuerKeys::of_file(&file, KeyRefresh::FILE);
    keys.load().await.unwrap();
    let fake = Arc::new(FakePorts { log: vec![created("o-1", "c-1")], ..FakePorts::default() });
    let router = router_over(fake.clone(), keys);
    let token = |customer: &str, scope: &str| {
        let claims = claims(json!({ "customer_id": customer, "scope": scope }));
        format!("Bearer {}", pair.token(&claims))
    };
    let propose = async |token: &str| {
        let request = Request::post("/v1/orders/o-1/events").header("content-type", "application/json");
        let request =
            request.header("authorization", token).body(Body::from(r#"{"type":"order_confirmed"}"#));
        router.clone().oneshot(request.unwrap()).await.unwrap().status().as_u16()
    };

    let (own, other) = (token("c-1", "orders.read orders.write"), token("c-2", "orders.read orders.write"));
    assert_eq!(ask(&router, "/v1/orders/o-1", &[("authorization", &own)]).await.status, 200);
    ask(&router, "/v1/orders/o-1", &[("authorization", &other)])
        .await
        .is_problem(404, "/problems/order-not-found");
    assert_eq!((propose(&other).await, fake.published().len()), (404, 0));
    let reader = token("c-1", "orders.read");
    assert_eq!((propose(&reader).await, fake.published().len()), (403, 0));
    assert_eq!((propose(&own).await, fake.published().len()), (202, 1));
}
