//! Tests the HTTP protocol: unknown paths, methods, media types, sizes, correlation ids, health checks and the
//! documentation.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};

use crate::fakes::{FakePorts, QueueBehaviour, get, post, send};

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let fake = Arc::new(FakePorts::default());
    for path in ["/v1", "/v1/orders/", "/v1/orders/o/x", "/v2/orders", "/%ff", "/docs/nothing.js"] {
        get(&fake, path).await.is_problem(404, "/problems/not-found");
    }
    for (method, path, allow) in [
        (Method::DELETE, "/v1/orders", "POST,GET,HEAD"),
        (Method::PUT, "/v1/orders/o", "GET,HEAD"),
        (Method::PATCH, "/v1/orders/o/events", "POST,GET,HEAD"),
        (Method::POST, "/healthz", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = send(&fake, request).await;
        answer.is_problem(405, "/problems/method-not-allowed");
        let mut methods: Vec<_> = answer.header("allow").split(',').collect();
        let mut expected: Vec<_> = allow.split(',').collect();
        methods.sort_unstable();
        expected.sort_unstable();
        assert_eq!(methods, expected, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let fake = Arc::new(FakePorts::default());
    for path in ["/v1/orders", "/v1/orders/o/events"] {
        for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
            let mut request = Request::post(path);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let answer = send(&fake, request.body(Body::from("{}")).unwrap()).await;
            answer.is_problem(415, "/problems/unsupported-media-type");
        }
    }
}

#[tokio::test]
async fn a_body_may_have_256_kib() {
    const LIMIT: usize = 256 * 1024;
    let fake = Arc::new(FakePorts::default());
    let event = r#"{"type":"order_confirmed"}"#;
    let body = |size: usize| format!("{event}{}", " ".repeat(size - event.len()));
    let chunked = |size: usize| {
        let chunks: Vec<_> = body(size)
            .into_bytes()
            .chunks(1000)
            .map(|c| Ok::<_, Infallible>(Bytes::copy_from_slice(c)))
            .collect();
        Body::from_stream(futures_util::stream::iter(chunks))
    };
    assert_eq!(post(&fake, "/v1/orders/o/events", body(LIMIT)).await.status, 202);
    assert_eq!(post(&fake, "/v1/orders/o/events", chunked(LIMIT)).await.status, 202);
    for body in [Body::from(body(LIMIT + 1)), chunked(LIMIT + 1)] {
        let answer = post(&fake, "/v1/orders/o/events", body).await;
        answer.is_problem(413, "/problems/content-too-large");
        assert!(answer.json()["detail"].as_str().unwrap().contains("262144"));
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_a_bad_request() {
    let fake = Arc::new(FakePorts::default());
    let broken = futures_util::stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("secret"))]);
    post(&fake, "/v1/orders", Body::from_stream(broken)).await.is_problem(400, "/problems/bad-request");
}

#[tokio::test]
async fn every_answer_has_the_clients_correlation_id_or_a_new_one() {
    let fake = Arc::new(FakePorts::default());
    let long = "x".repeat(129);
    let table = [
        (vec![("x-correlation-id", "a-1")], Some("a-1")),
        (vec![("x-request-id", "r-1")], Some("r-1")),
        (vec![("x-correlation-id", "a-1"), ("x-request-id", "r-1")], Some("a-1")),
        (vec![("x-correlation-id", "a b"), ("x-request-id", "r-1")], Some("r-1")),
        (vec![("x-correlation-id", long.as_str())], None),
        (vec![], None),
    ];
    for (headers, expected) in table {
        for path in ["/healthz", "/nothing"] {
            let request = headers
                .iter()
                .fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
            let answer = send(&fake, request.body(Body::empty()).unwrap()).await;
            let id = answer.header("x-correlation-id");
            match expected {
                Some(expected) => assert_eq!(id, expected),
                None => assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7),
            }
        }
    }
}

#[tokio::test]
async fn liveness_and_readiness_are_reported() {
    let fake = Arc::new(FakePorts::default());
    assert_eq!(get(&fake, "/healthz").await.status, 200);
    assert_eq!(get(&fake, "/readyz").await.status, 200);

    let fake = Arc::new(FakePorts { broken: true, ..FakePorts::default() });
    assert_eq!(get(&fake, "/healthz").await.status, 200);
    let answer = get(&fake, "/readyz").await;
    answer.is_problem(503, "/problems/not-ready");
    assert_eq!(answer.json()["detail"], "The store does not answer.");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn a_service_that_cannot_accept_orders_stays_ready_for_reads() {
    let fake = Arc::new(FakePorts::default());
    let ok = serde_json::json!({ "status": "ok", "reads": "ok", "writes": "ok" });
    for path in ["/readyz", "/readyz?for=reads", "/readyz?for=writes"] {
        let answer = get(&fake, path).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, ok.clone()), "{path}");
    }
    get(&fake, "/readyz?for=lunch").await.is_problem(400, "/problems/invalid-parameter");

    let full = Arc::new(FakePorts { queue: QueueBehaviour::Full, ..FakePorts::default() });
    for path in ["/readyz", "/readyz?for=reads"] {
        let answer = get(&full, path).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["reads"]), (200, &"ok".into()), "{path}");
        assert_eq!(answer.json()["writes"], "refused");
        assert_eq!(answer.json()["detail"], "The disk has 0 MiB left.");
    }
    let answer = get(&full, "/readyz?for=writes").await;
    answer.is_problem(503, "/problems/not-ready");
    assert_eq!(answer.json()["detail"], "The disk has 0 MiB left.");
}

#[tokio::test]
async fn the_documentation_loads_nothing_from_other_hosts() {
    let fake = Arc::new(FakePorts::default());
    assert_eq!(get(&fake, "/docs").await.header("location"), "/docs/");
    assert_eq!(get(&fake, "/try").await.header("location"), "/try/");
    for path in ["/try/", "/try/swagger-initializer.js", "/try/index.css"] {
        let answer = get(&fake, path).await;
        assert_eq!(answer.status, 200, "{path}");
        let text = String::from_utf8(answer.body).unwrap();
        assert!(!text.contains("http://") && !text.contains("https://"), "{path}: {text}");
    }
    for path in ["/docs/", "/docs/operations/createWebhook", "/docs/events/order_paid"] {
        let page = String::from_utf8(get(&fake, path).await.body).unwrap();
        for outside in ["href=\"http", "src=", "<script", "@import", "url(h"] {
            assert!(!page.contains(outside), "{outside} in {path}: {page}");
        }
    }
    assert!(get(&fake, "/try/swagger-ui-bundle.js").await.body.len() > 100_000);
    let initializer = String::from_utf8(get(&fake, "/try/swagger-initializer.js").await.body).unwrap();
    assert!(initializer.contains("/openapi.json") && initializer.contains("none"), "{initializer}");
}
