//! Tests CORS: what pages of other origins may do with the API from a browser. `tests/it/cross_origin.rs`
//! tests CORS in a real browser.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::AppState;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use serde_json::Value;

use crate::fakes::{Answer, FakePorts, send, send_to, state};
use crate::openapi::{document, operations};

fn of_origins(origins: &str) -> Router {
    api::router(AppState {
        cors_origins: Some(origins.parse().unwrap()),
        ..state(&Arc::new(FakePorts::default()))
    })
}

async fn ask(router: &Router, request: Builder) -> Answer {
    send_to(router.clone(), request.body(Body::empty()).unwrap()).await
}

fn list() -> Builder {
    Request::get("/v1/orders?customer_id=c-1").header("host", "localhost")
}

/// The names in a header of an answer.
fn listed(answer: &Answer, header: &str) -> BTreeSet<String> {
    answer.header(header).split(',').filter(|name| !name.is_empty()).map(str::to_ascii_lowercase).collect()
}

/// Whether a page can read the header without permission: CORS itself, and the safelisted response headers of the Fetch
/// standard. `Vary` and the headers that protect pages are for caches and the browser, and not for scripts.
fn is_always_readable(name: &str) -> bool {
    let safe = ["cache-control", "content-length", "content-type", "vary", "x-content-type-options"];
    safe.contains(&name) || name.starts_with("access-control-")
}

fn preflight(origin: &str) -> Builder {
    Request::options("/v1/orders")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,idempotency-key")
}

#[tokio::test]
async fn a_page_may_use_every_operation_with_all_its_headers() {
    let document = document();
    let router = of_origins("https://a.example");
    let mut allowed = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (name, operation) in operations(&document) {
        let (method, path) = name.split_once(' ').unwrap();
        let method = method.to_ascii_uppercase();
        let headers = operation["parameters"].as_array().unwrap().iter();
        let headers = headers.filter(|parameter| parameter["in"] == "header");
        let headers = headers.map(|parameter| parameter["name"].as_str().unwrap().to_ascii_lowercase());
        let own = ["authorization", "content-type"].map(str::to_owned);
        let headers: BTreeSet<String> = headers.chain(own).collect();
        let request = Request::options(path.replace(['{', '}'], ""))
            .header("origin", "https://a.example")
            .header("access-control-request-method", &method)
            .header("access-control-request-headers", Vec::from_iter(headers.clone()).join(","));
        let answer = ask(&router, request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("access-control-allow-origin")),
            (200, "https://a.example")
        );
        allowed.0 = answer.header("access-control-allow-methods").split(',').map(str::to_owned).collect();
        assert!(allowed.0.contains(&method), "{name}: {:?}", allowed.0);
        allowed.1 = listed(&answer, "access-control-allow-headers");
        assert!(headers.is_subset(&allowed.1), "{name}: {headers:?} in {:?}", allowed.1);

        let answers = operation["responses"].as_object().unwrap().values();
        let headers = answers.filter_map(|answer| answer.get("headers").and_then(Value::as_object));
        let headers: BTreeSet<_> =
            headers.flat_map(|headers| headers.keys().map(|name| name.to_ascii_lowercase())).collect();
        allowed.2 = listed(
            &ask(&router, list().header("origin", "https://a.example")).await,
            "access-control-expose-headers",
        );
        assert!(headers.is_subset(&allowed.2), "{name}: {headers:?} in {:?}", allowed.2);
    }
    // The description must list the header names that clients need.
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        assert!(allowed.0.contains(method), "{method}");
    }
    for name in [
        "if-match",
        "if-none-match",
        "idempotency-key",
        "prefer",
        "last-event-id",
        "traceparent",
        "x-correlation-id",
    ] {
        assert!(allowed.1.contains(name), "{name}");
    }
    for name in
        ["etag", "link", "location", "retry-after", "ratelimit", "idempotent-replayed", "preference-applied"]
    {
        assert!(allowed.2.contains(name), "{name}");
    }
}

#[tokio::test]
async fn preflights_allow_only_configured_origins() {
    for (origins, origin, allowed) in [
        ("*", "https://any.example", "*"),
        ("https://a.example,https://b.example", "https://b.example", "https://b.example"),
        ("https://a.example,https://b.example", "https://c.example", ""),
    ] {
        let answer = ask(&of_origins(origins), preflight(origin)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert_eq!(answer.header("access-control-max-age"), "600");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_allowed_origins_can_read_every_answer() {
    let state = state(&Arc::new(FakePorts::default()));
    let (cors_origins, rate_limit) = ("https://a.example".parse().unwrap(), "1".parse().unwrap());
    let router =
        api::router(AppState { cors_origins: Some(cors_origins), rate_limit: Some(rate_limit), ..state });
    for _ in 0..3 {
        assert_eq!(
            ask(&router, preflight("https://a.example")).await.status,
            200,
            "preflights do not count towards the limit"
        );
    }
    let nothing = Request::get("/nothing");
    for (request, status) in [(list(), 200), (list(), 429), (nothing, 404)] {
        let answer = ask(&router, request.header("origin", "https://a.example")).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), "https://a.example");
        let exposed = listed(&answer, "access-control-expose-headers");
        for name in answer.headers.keys().map(|name| name.as_str()).filter(|name| !is_always_readable(name)) {
            assert!(exposed.contains(name), "{name} in {exposed:?}");
        }
    }
}

#[tokio::test]
async fn without_origins_there_is_no_cors() {
    let fake = Arc::new(FakePorts::default());
    let answer = send(&fake, preflight("https://a.example").body(Body::empty()).unwrap()).await;
    answer.is_problem(405, "/problems/method-not-allowed");
    assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")));
}
