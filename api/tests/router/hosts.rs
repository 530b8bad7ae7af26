//! Tests which host names the service answers to.

use std::net::SocketAddr;
use std::sync::Arc;

use api::{AppState, Hosts, ServeOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fakes::{FakePorts, QueueBehaviour, state};

async fn serve(hosts: Hosts) -> SocketAddr {
    let router = api::router(AppState { hosts, ..state(&Arc::new(FakePorts::default())) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Nothing stops the server explicitly. Its task ends with the runtime of the test.
    tokio::spawn(api::serve(listener, router, ServeOptions::default(), std::future::pending()));
    address
}

/// Sends the request. Returns the status, and the problem's type if the answer is a problem.
async fn answer(address: SocketAddr, request: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).await.unwrap();
    let problem = text.split("\"type\":\"").nth(1).and_then(|rest| rest.split('"').next());
    (text[9..12].parse().unwrap(), problem.unwrap_or_default().to_owned())
}

fn get(target: &str, version: &str, hosts: &str) -> String {
    format!("GET {target} HTTP/{version}\r\n{hosts}connection: close\r\n\r\n")
}

#[tokio::test]
async fn every_request_must_have_exactly_one_host() {
    let bad = (400, "/problems/bad-request".to_owned());
    let ok = (200, String::new());
    for hosts in [Hosts::Any, Hosts::Local(Default::default())] {
        let address = serve(hosts).await;
        for (version, headers, expected) in [
            ("1.1", "", &bad),
            ("1.1", "host: localhost\r\nhost: localhost\r\n", &bad),
            ("1.1", "host: local host\r\n", &bad),
            ("1.1", "host: user@localhost\r\n", &bad),
            ("1.1", "host: localhost/x\r\n", &bad),
            ("1.0", "host: localhost\r\nhost: localhost\r\n", &bad),
            ("1.1", "host: localhost\r\n", &ok),
            ("1.1", "Host: 127.0.0.1:8080\r\n", &ok),
            ("1.1", "host: [::1]:1\r\n", &ok),
        ] {
            for path in ["/healthz", "/v1/orders?customer_id=c-1"] {
                assert_eq!(
                    answer(address, &get(path, version, headers)).await,
                    *expected,
                    "{version} {headers}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_service_without_authentication_answers_to_local_names_only() {
    let (any, local) = (serve(Hosts::Any).await, serve(Hosts::Local(Default::default())).await);
    let allowing = serve(Hosts::Local("orders.internal".parse().unwrap())).await;
    let foreign = (421, "/problems/foreign-host".to_owned());
    for (target, host) in [
        ("/v1/orders?customer_id=c-1", "rebound.example:8080"),
        ("/docs/", "localhost.example"),
        ("/v1/orders?customer_id=c-1", "192.168.0.7"),
        // If the request target is an absolute URL, the host of that URL counts, and not the header.
        ("http://rebound.example/v1/orders?customer_id=c-1", "localhost"),
    ] {
        let request = get(target, "1.1", &format!("host: {host}\r\n"));
        assert_eq!(answer(local, &request).await, foreign, "{request}");
        assert_eq!(answer(allowing, &request).await, foreign, "{request}");
        assert_eq!(answer(any, &request).await.0, 200, "{request}");
    }
    let allowed = get("/v1/orders?customer_id=c-1", "1.1", "host: ORDERS.internal:80\r\n");
    assert_eq!(answer(local, &allowed).await, foreign);
    assert_eq!(answer(allowing, &allowed).await.0, 200);
    assert_eq!(answer(local, &get("/healthz", "1.1", "host:\r\n")).await, foreign);
    assert_eq!(answer(local, &get("http://localhost/healthz", "1.1", "host: x\r\n")).await.0, 200);
}

/// An HTML form on another site can send these content types without a preflight request. A form cannot send
/// `application/json`.
#[tokio::test]
async fn requests_that_a_html_form_can_send_are_refused() {
    let fake = Arc::new(FakePorts {
        queue: QueueBehaviour::Accepts,
        log: vec![crate::fakes::created("o-1", "c-1")],
        ..FakePorts::default()
    });
    let order = r#"{"customer_id":"c","currency":"EUR","items":[{"sku":"A","quantity":1,"unit_price":1}]}"#;
    let batch = format!("{{\"orders\":[{order}]}}");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""] {
        for (path, body) in [
            ("/v1/orders", order),
            ("/v1/orders/batch", &batch),
            ("/v1/orders/o-1/events", r#"{"type":"order_confirmed"}"#),
        ] {
            let request = axum::http::Request::post(path).header("origin", "https://other.example");
            let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
            let answer = crate::fakes::send(&fake, request.body(body.to_owned().into()).unwrap()).await;
            answer.is_problem(415, "/problems/unsupported-media-type");
        }
    }
    assert_eq!(fake.published(), []);
}
