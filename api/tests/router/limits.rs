//! Tests rate limits, and headers for browsers and caches.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::AppState;
use api::auth::Principal;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::request::Builder;
use axum::http::{Method, Request};

use crate::fakes::{Answer, FakePorts, get, send, send_to, state};

fn limited(limit: &str) -> Router {
    api::router(AppState {
        rate_limit: Some(limit.parse().unwrap()),
        ..state(&Arc::new(FakePorts::default()))
    })
}

async fn ask(router: &Router, request: Builder) -> Answer {
    send_to(router.clone(), request.body(Body::empty()).unwrap()).await
}

fn list() -> Builder {
    Request::get("/v1/orders?customer_id=c-1").header("host", "localhost")
}

fn of_principal(subject: &str) -> Builder {
    list().extension(Principal { subject: subject.to_owned(), ..Principal::anyone() })
}

fn of_peer(address: &str) -> Builder {
    list().extension(ConnectInfo(address.parse::<SocketAddr>().unwrap()))
}

#[track_caller]
fn state_of(answer: &Answer) -> (u16, &str, &str) {
    (answer.status.as_u16(), answer.header("ratelimit"), answer.header("retry-after"))
}

#[tokio::test(start_paused = true)]
async fn a_client_is_limited_to_its_rate_and_burst() {
    let router = limited("2/5");
    let step = Duration::from_millis(500);
    // Each entry contains the number of time steps before a request, and the expected status.
    let table = [
        (0, (200, r#""default";r=4;t=1"#, "")),
        (0, (200, r#""default";r=3;t=1"#, "")),
        (0, (200, r#""default";r=2;t=2"#, "")),
        (0, (200, r#""default";r=1;t=2"#, "")),
        (0, (200, r#""default";r=0;t=3"#, "")),
        (0, (429, r#""default";r=0;t=3"#, "1")),
        (1, (200, r#""default";r=0;t=3"#, "")),
        (0, (429, r#""default";r=0;t=3"#, "1")),
        (100, (200, r#""default";r=4;t=1"#, "")),
    ];
    for (number, (steps, expected)) in table.into_iter().enumerate() {
        tokio::time::advance(step * steps).await;
        let answer = ask(&router, of_principal("a")).await;
        assert_eq!(state_of(&answer), expected, "request {number}");
        assert_eq!(answer.header("ratelimit-policy"), r#""default";q=5;w=3"#);
        if answer.status == 429 {
            answer.is_problem(429, "/problems/too-many-requests");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_client_has_a_limit_of_its_own() {
    let router = limited("1");
    let clients: [fn() -> Builder; 7] = [
        || of_principal("a"),
        || of_principal("b"),
        || of_principal("b").extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 9], 1)))),
        || of_peer("192.0.2.1:1000"),
        || of_peer("192.0.2.1:2000"),
        || of_peer("192.0.2.2:1000"),
        // An anonymous client is counted by its address.
        || of_principal("").extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 2], 1)))),
    ];
    let mut statuses = vec![];
    for client in clients {
        statuses.push(ask(&router, client()).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 200, 429, 200, 429]);
}

#[tokio::test(start_paused = true)]
async fn only_v1_requests_are_limited_and_only_if_configured() {
    let router = limited("1");
    for _ in 0..3 {
        for path in ["/healthz", "/readyz", "/openapi.json", "/docs/"] {
            let answer = ask(&router, Request::get(path)).await;
            assert_eq!(state_of(&answer), (200, "", ""), "{path}");
        }
    }
    let router = api::router(state(&Arc::new(FakePorts::default())));
    for _ in 0..100 {
        let answer = ask(&router, of_principal("a")).await;
        assert_eq!((state_of(&answer), answer.header("ratelimit-policy")), ((200, "", ""), ""));
    }
}

#[tokio::test]
async fn answers_have_headers_for_browsers_and_caches() {
    let fake = Arc::new(FakePorts::default());
    for (path, cached) in [
        ("/v1/orders?customer_id=c-1", "no-store"),
        ("/v1/orders", "no-store"),
        ("/v1/orders/o-1", "no-store"),
        ("/healthz", ""),
        ("/nothing", ""),
        ("/openapi.json", ""),
    ] {
        let answer = get(&fake, path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), cached, "{path}");
        assert_eq!(answer.header("content-security-policy"), "", "{path}");
    }
    let refused = Request::builder().method(Method::DELETE).uri("/v1/orders").body(Body::empty()).unwrap();
    assert_eq!(send(&fake, refused).await.header("cache-control"), "no-store");

    let page = get(&fake, "/try/").await;
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-frame-options"), "DENY");
    let policy = page.header("content-security-policy");
    for rule in ["default-src 'self'", "img-src 'self' data:", "frame-ancestors 'none'"] {
        assert!(policy.split("; ").any(|given| given == rule), "{rule} in {policy}");
    }
    // The page's content security policy forbids inline scripts, so every script must have a `src`.
    let html = String::from_utf8(page.body).unwrap();
    assert!(html.matches("<script").count() == html.matches("<script src=").count(), "{html}");
}
