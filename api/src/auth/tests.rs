//! Tests of the principal that handlers get from a token or from an authorizer's claims.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::middleware;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::CustomerId;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::auth::principal::Principal;

/// A router whose only handler returns the principal.
fn echo_router(auth: Auth) -> Router {
    let clock: fn() -> Timestamp = || Timestamp::parse("2026-11-23T10:00:00Z").unwrap();
    let handler = async |principal: Principal| format!("{principal:?}");
    Router::new().fallback(handler).layer(middleware::from_fn_with_state((auth, clock), authenticate))
}

async fn status_and_text(response: Response) -> (StatusCode, String) {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, String::from_utf8(body.to_vec()).unwrap())
}

fn principal(subject: &str, scopes: &[&str], customer_id: Option<&str>) -> String {
    let scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
    let customer_id = customer_id.map(|id| CustomerId::parse(id).unwrap());
    let (subject, scope_prefix) = (subject.to_owned(), None);
    format!("{:?}", Principal { subject, scopes, scope_prefix, customer_id, valid_until: None })
}

/// Sets the expiry time `end` in the text of a principal that [`principal`] returned.
fn until(principal: &str, end: &str) -> String {
    principal.replace("valid_until: None", &format!("valid_until: Some(Timestamp({end}))"))
}

#[tokio::test]
async fn a_token_becomes_a_principal() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("jwks.json");
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] });
    std::fs::write(&file, jwks.to_string()).unwrap();
    let rules = TokenRules {
        issuer: "i".into(),
        audience: "a".into(),
        leeway: Duration::from_secs(30),
        scope_prefix: None,
    };
    let router = echo_router(Auth::Tokens(Arc::new(TokenVerifier::new(
        IssuerKeys::of_file(&file, KeyRefresh::FILE),
        rules,
    ))));

    for (claims, expected) in [
        (json!({}), principal("i|s", &[], None)),
        (json!({ "scope": " orders.read  other " }), principal("i|s", &["orders.read", "other"], None)),
        (json!({ "scp": ["orders.write"] }), principal("i|s", &["orders.write"], None)),
        (json!({ "scp": "a b", "customer_id": "c-7" }), principal("i|s", &["a", "b"], Some("c-7"))),
        // If a token has the claim `scope`, the claim `scp` is ignored.
        (json!({ "scope": "a", "scp": ["b"] }), principal("i|s", &["a"], None)),
    ] {
        let mut all = json!({ "iss": "i", "aud": "a", "sub": "s", "exp": 4_000_000_000_u64 });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(&json!({ "alg": "EdDSA" })), encoded(&all));
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
        let request = Request::get("/v1/who").header("authorization", format!("Bearer {signed}.{signature}"));
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        // The principal is valid until the time in the claim `exp` plus the leeway.
        let expected = until(&expected, "2096-10-02T07:07:10Z");
        assert_eq!(status_and_text(response).await, (StatusCode::OK, expected));
    }
}

#[tokio::test]
async fn without_authentication_anyone_may_do_anything() {
    let response = echo_router(Auth::None).oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(status_and_text(response).await, (StatusCode::OK, format!("{:?}", Principal::anyone())));
}

#[cfg(feature = "lambda")]
mod gateway {
    use lambda_http::tower::ServiceExt;

    use super::*;

    /// Sends an event of API Gateway to the router, and returns the status and the text of the answer.
    async fn answer_to(auth: Auth, event: &Value) -> (StatusCode, String) {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        status_and_text(crate::lambda::service(echo_router(auth)).oneshot(request).await.unwrap()).await
    }

    const GATEWAY: Auth = Auth::Gateway { scope_prefix: None };

    fn v2() -> Value {
        serde_json::from_str(include_str!("../../tests/fixtures/apigw/http-v2-jwt-get-query.json")).unwrap()
    }

    fn v1() -> Value {
        serde_json::from_str(include_str!("../../tests/fixtures/apigw/rest-v1-cognito-get-query.json"))
            .unwrap()
    }

    #[tokio::test]
    async fn the_claims_of_every_authorizer_become_a_principal() {
        let ours = |scopes: &[&str], customer| principal("https://login.example|shop", scopes, customer);
        let who = json!({ "iss": "https://login.example", "sub": "shop" });
        let with = |changes: Value| {
            let mut claims = who.clone();
            claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            claims
        };
        let cognito = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI|\
                       0c9d4b1e-4f0a-4f1c-9f57-3b7f6a0c1d2e";
        let (fixture_v2, fixture_v1) = (v2(), v1());
        let authorizer = |fixture: &Value| fixture["requestContext"]["authorizer"].clone();
        for (mut event, authorizer, expected) in [
            (v2(), authorizer(&fixture_v2), ours(&["orders.read", "orders.write"], Some("c-7"))),
            (v1(), authorizer(&fixture_v1), principal(cognito, &["orders.read"], None)),
            (
                v2(),
                json!({ "jwt": { "claims": with(json!({ "scp": "[orders.read orders.write]" })), "scopes": null } }),
                ours(&["orders.read", "orders.write"], None),
            ),
            (
                v2(),
                json!({ "jwt": { "claims": who, "scopes": ["orders.read"] } }),
                ours(&["orders.read"], None),
            ),
            // An event from an HTTP API with payload format 1.0.
            (v1(), json!({ "claims": who, "scopes": ["orders.read"] }), ours(&["orders.read"], None)),
            // Lambda authorizers.
            (
                v2(),
                json!({ "lambda": with(json!({ "scope": "orders.read", "customer_id": "c-7" })) }),
                ours(&["orders.read"], Some("c-7")),
            ),
            (
                v1(),
                with(json!({ "principalId": "x", "integrationLatency": 3, "scope": "orders.read" })),
                ours(&["orders.read"], None),
            ),
        ] {
            event["requestContext"]["authorizer"] = authorizer;
            assert_eq!(answer_to(GATEWAY, &event).await, (StatusCode::OK, expected), "{event}");
        }
    }

    #[tokio::test]
    async fn a_missing_claim_is_named() {
        for (claims, reason) in [
            (json!({ "sub": "shop", "scope": "orders.read" }), "The token has no iss, "),
            (json!({ "iss": "https://login.example" }), "The token has no sub."),
        ] {
            let mut event = v1();
            event["requestContext"]["authorizer"] = json!({ "claims": claims });
            let request = lambda_http::request::from_str(&event.to_string()).unwrap();
            let response = crate::lambda::service(echo_router(GATEWAY)).oneshot(request).await.unwrap();
            let challenge = response.headers()["www-authenticate"].to_str().unwrap();
            assert!(
                response.status() == StatusCode::UNAUTHORIZED && challenge.contains(reason),
                "{challenge}"
            );
        }
    }

    #[tokio::test]
    async fn cognito_scopes_match_with_their_prefix() {
        let mut event = v1();
        event["requestContext"]["authorizer"]["claims"]["scope"] = "orders/orders.read openid".into();
        let auth = Auth::Gateway { scope_prefix: Some("orders/".into()) };
        let (status, text) = answer_to(auth, &event).await;
        let expected =
            ["scopes: Some([\"orders/orders.read\", \"openid\"])", "scope_prefix: Some(\"orders/\")"];
        assert!(status == StatusCode::OK && expected.iter().all(|part| text.contains(part)), "{text}");
    }

    #[tokio::test]
    async fn requests_without_valid_claims_are_refused_whatever_their_headers() {
        for event in [v2(), v1()] {
            for authorizer in [
                Value::Null,
                json!({}),
                json!({ "jwt": { "claims": {}, "scopes": ["orders.read"] } }),
                json!({ "jwt": { "claims": { "sub": "shop" } } }),
                json!({ "claims": { "iss": "https://login.example" } }),
                json!({ "claims": "iss" }),
                json!({ "principalId": "shop" }),
                json!({ "claims": { "iss": "i", "sub": "s", "customer_id": "" } }),
                json!({ "lambda": { "iss": "i", "sub": "s", "customer_id": null } }),
            ] {
                let mut event = event.clone();
                event["requestContext"]["authorizer"] = authorizer;
                let (status, answer) = answer_to(GATEWAY, &event).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{answer} for {event}");
            }
        }
        // A request over TCP has no context. A header that claims to be the context must be ignored.
        let context = v2()["requestContext"].to_string();
        let request = Request::get("/v1/who").header("x-amzn-request-context", context);
        let response = echo_router(GATEWAY).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn claims_of_the_context_are_ignored_where_tokens_are_verified() {
        let folder = tempfile::TempDir::new().unwrap();
        let rules = TokenRules {
            issuer: "i".into(),
            audience: "a".into(),
            leeway: Duration::ZERO,
            scope_prefix: None,
        };
        let keys = IssuerKeys::of_file(&folder.path().join("none"), KeyRefresh::FILE);
        let auth = Auth::Tokens(Arc::new(TokenVerifier::new(keys, rules)));
        let mut event = v2();
        event["headers"].as_object_mut().unwrap().remove("authorization");
        assert_eq!(answer_to(auth, &event).await.0, StatusCode::UNAUTHORIZED);
    }
}
