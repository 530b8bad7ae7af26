//! Tests requests that are answered before their body is read. The answer must reach a client that sends all of its
//! body before it reads.

use std::sync::Arc;
use std::time::Duration;

use api::auth::{Auth, IssuerKeys, KeyRefresh, TokenRules, TokenVerifier};
use api::{AppState, ServeOptions};
use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::fakes::{FakePorts, state};

const DEADLINE: Duration = Duration::from_secs(30);
/// The size of a body in bytes. The body does not fit into the buffers of both sockets, so the server must read it.
const LARGE: usize = 5 << 20;
const TRIES: usize = 20;

async fn serve(router: Router) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServeOptions { threads: 2, ..ServeOptions::default() };
    // Nothing stops the server explicitly. Its task ends with the runtime of the test.
    tokio::spawn(api::serve(listener, router, options, std::future::pending()));
    address
}

fn open() -> Router {
    api::router(state(&Arc::new(FakePorts::default())))
}

/// A router that accepts one request and refuses further ones because of its rate limit.
fn limited() -> Router {
    let rate_limit = Some("1/1".parse().unwrap());
    api::router(AppState { rate_limit, ..state(&Arc::new(FakePorts::default())) })
}

/// A router that refuses every token.
fn closed() -> Router {
    let keys = IssuerKeys::of_file(std::path::Path::new("/nonexistent"), KeyRefresh::FILE);
    let rules = TokenRules {
        issuer: "i".to_owned(),
        audience: "a".to_owned(),
        leeway: Duration::from_secs(60),
        scope_prefix: None,
    };
    let auth = Auth::Tokens(Arc::new(TokenVerifier::new(keys, rules)));
    api::router(AppState { auth, ..state(&Arc::new(FakePorts::default())) })
}

/// Sends the whole request before it reads the answer, as Python's `http.client` does.
async fn answer(connection: &mut TcpStream, head: &str, body: &[u8]) -> String {
    let exchange = async {
        connection.write_all(head.as_bytes()).await.expect("the head is sent");
        connection.write_all(body).await.expect("the body is sent");
        one_answer(connection).await
    };
    timeout(DEADLINE, exchange).await.expect("the request is answered in time")
}

async fn one_answer(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !(text.windows(4).any(|bytes| bytes == b"\r\n\r\n") && text.ends_with(b"}")) {
        let mut buffer = [0; 4096];
        let read = connection.read(&mut buffer).await.expect("no reset");
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(text).unwrap()
}

fn post(path: &str, headers: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n")
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn answers_to_unread_bodies_arrive_and_the_connection_stays_usable() {
    let (open, closed, limited) = (serve(open()).await, serve(closed()).await, serve(limited()).await);
    let body = vec![b' '; LARGE];
    let key = format!("{JSON}idempotency-key: \"\r\n");
    for (server, path, headers, status) in [
        (open, "/nothing", JSON, "404"),
        (open, "/healthz", JSON, "405"),
        (open, "/v1/orders", &key, "400"),
        (open, "/v1/orders", "content-type: text/plain\r\n", "415"),
        (open, "/v1/orders", JSON, "413"),
        (open, "/v1/orders/batch", JSON, "413"),
        (closed, "/v1/orders", JSON, "401"),
        (limited, "/v1/orders", JSON, "413"),
        (limited, "/v1/orders", JSON, "429"),
    ] {
        let tries = if server == limited { 1 } else { TRIES };
        for attempt in 0..tries {
            let mut connection = TcpStream::connect(server).await.unwrap();
            let text = answer(&mut connection, &post(path, headers, LARGE), &body).await;
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{attempt}: {text}");
            // The server has read this body to its end, so the same connection can serve another request.
            let next = answer(&mut connection, HEALTH, b"").await;
            assert!(next.starts_with("HTTP/1.1 200 OK"), "{next}");
        }
    }
}

#[tokio::test]
async fn a_chunked_body_that_is_too_large_is_read_to_its_end() {
    let server = serve(open()).await;
    let head =
        format!("POST /v1/orders HTTP/1.1\r\nhost: localhost\r\n{JSON}transfer-encoding: chunked\r\n\r\n");
    let mut body = format!("{LARGE:x}\r\n").into_bytes();
    body.extend(vec![b' '; LARGE]);
    body.extend(b"\r\n0\r\n\r\n");
    for _ in 0..TRIES {
        let mut connection = TcpStream::connect(server).await.unwrap();
        let text = answer(&mut connection, &head, &body).await;
        assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
        assert!(answer(&mut connection, HEALTH, b"").await.starts_with("HTTP/1.1 200 OK"));
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_to_discard_is_answered_and_closes_the_connection() {
    let server = serve(open()).await;
    let length = (16 << 20) + 1;
    let body = vec![b' '; length];
    let mut connection = TcpStream::connect(server).await.unwrap();
    let text = answer(&mut connection, &post("/v1/orders", JSON, length), &body[..LARGE]).await;
    assert!(text.starts_with("HTTP/1.1 413 ") && text.contains("connection: close"), "{text}");
    let closed = timeout(DEADLINE, connection.read_to_end(&mut Vec::new())).await;
    closed.expect("the connection is closed in time").expect("the connection is not reset");
}

#[tokio::test]
async fn a_client_that_expects_100_continue_is_answered_without_its_body() {
    let server = serve(open()).await;
    let expecting = format!("{JSON}expect: 100-continue\r\n");
    let mut connection = TcpStream::connect(server).await.unwrap();
    let text = answer(&mut connection, &post("/nothing", &expecting, LARGE), b"").await;
    assert!(text.starts_with("HTTP/1.1 404 ") && text.contains("connection: close"), "{text}");
    // A client that sends its body without waiting for `100 Continue` gets the answer, too.
    let mut connection = TcpStream::connect(server).await.unwrap();
    let text = answer(&mut connection, &post("/nothing", &expecting, LARGE), &vec![b' '; LARGE]).await;
    assert!(text.starts_with("HTTP/1.1 404 ") && text.contains("connection: close"), "{text}");
    // If a request is accepted, the client gets `100 Continue` and then sends its body.
    let order = r#"{"customer_id":"c","currency":"EUR","items":[{"sku":"A","quantity":1,"unit_price":1}]}"#;
    let mut connection = TcpStream::connect(server).await.unwrap();
    connection.write_all(post("/v1/orders", &expecting, order.len()).as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    connection.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(answer(&mut connection, "", order.as_bytes()).await.starts_with("HTTP/1.1 202 "));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered() {
    let server = serve(open()).await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(LARGE));
    for _ in 0..TRIES {
        let mut connection = TcpStream::connect(server).await.unwrap();
        connection.write_all(head.as_bytes()).await.expect("the whole head is sent");
        let mut text = Vec::new();
        timeout(DEADLINE, connection.read_to_end(&mut text)).await.unwrap().expect("no reset");
        assert!(text.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&text));
    }
}

#[tokio::test]
async fn a_body_that_never_ends_does_not_hold_its_connection() {
    let server = serve(closed()).await;
    let mut connection = TcpStream::connect(server).await.unwrap();
    let head =
        format!("POST /v1/orders HTTP/1.1\r\nhost: localhost\r\n{JSON}transfer-encoding: chunked\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let endless = async {
        // The body has far more bytes than the server discards before it closes the connection.
        for _ in 0..(256 << 20) / chunk.len() {
            if connection.write_all(&chunk).await.is_err() {
                return;
            }
        }
        panic!("the client could send the whole body");
    };
    timeout(DEADLINE, endless).await.expect("the connection is closed in time");
}
