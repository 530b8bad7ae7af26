//! Tests serving over TCP: time and size limits for slow clients. `connection_slots` and `shutdown` use the same
//! server.
//!
//! Each test shortens only the limit that it tests. The other limits are a minute or more, which is longer than
//! [`DEADLINE`]. So none of them can close a connection during a test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::ServeOptions;
use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::fakes::{FakePorts, QueueBehaviour, router};

pub(crate) const SHORT: Duration = Duration::from_millis(100);
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
const POST: &str = "POST /v1/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
/// The size of an answer in bytes. The answer does not fit into the buffers of the sockets, so the client must read it.
pub(crate) const LARGE: usize = 64 << 20;

pub(crate) fn patient() -> ServeOptions {
    ServeOptions {
        threads: 2,
        head_timeout: MINUTE,
        body_timeout: MINUTE,
        request_timeout: MINUTE,
        write_timeout: MINUTE,
        grace: MINUTE,
        ..ServeOptions::default()
    }
}

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) ended: JoinHandle<anyhow::Result<()>>,
}

impl TestServer {
    pub(crate) async fn start(router: Router, options: ServeOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let until = async { stopped.await.unwrap_or_default() };
        Self { address, stop, ended: tokio::spawn(api::serve(listener, router, options, until)) }
    }

    pub(crate) async fn with(options: ServeOptions) -> Self {
        Self::start(router(&Arc::new(FakePorts::default())), options).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Opens a connection and sends the given text.
    pub(crate) async fn sent(&self, request: &str) -> TcpStream {
        let mut connection = self.connect().await;
        connection.write_all(request.as_bytes()).await.unwrap();
        connection
    }
}

/// Reads the next answer, whose body must be JSON.
pub(crate) async fn answer(connection: &mut TcpStream) -> String {
    let mut text = String::new();
    while !(text.contains("\r\n\r\n") && text.ends_with('}')) {
        let mut buffer = [0; 4096];
        let read = timeout(DEADLINE, connection.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    text
}

/// Reads until the connection is closed or reset.
pub(crate) async fn rest(connection: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // If the connection was reset, reading returns an error. That counts as closed, too.
    let _ = timeout(DEADLINE, connection.read_to_end(&mut bytes))
        .await
        .expect("the connection is closed in time");
    bytes
}

/// Sends one byte at a time, with pauses, until the server closes the connection. Returns the connection without
/// closing it.
async fn trickle<W: AsyncWriteExt + Unpin>(mut connection: W, bytes: &[u8]) -> W {
    let mut pause = interval(SHORT / 5);
    for byte in bytes {
        pause.tick().await;
        if connection.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    connection
}

/// Beginnings of requests. A client that sends only such a beginning keeps its connection open.
pub(crate) const HOLDERS: [&str; 3] = [
    "",
    "GET /healthz HTTP/1.1\r\nhost:",
    "POST /v1/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
];

/// A router with a path `/slow`, and two `Notify`. The first reports that a request has arrived. The second lets the
/// router answer the request.
pub(crate) fn gated() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (asked, may_answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gates = (asked.clone(), may_answer.clone());
    let slow = get(move || async move {
        gates.0.notify_one();
        gates.1.notified().await;
        "slow"
    });
    (router(&Arc::new(FakePorts::default())).route("/slow", slow), asked, may_answer)
}

#[tokio::test]
async fn a_connection_with_slow_headers_is_closed() {
    let server = TestServer::with(ServeOptions { head_timeout: SHORT, ..patient() }).await;
    for (begun, trickled) in
        [("", 0), ("GET /healthz HTTP/1.1\r\nhost:", 0), ("GET /healthz HTTP/1.1\r\nx:", 1000)]
    {
        let (mut read, write) = server.sent(begun).await.into_split();
        let rest = vec![b'x'; trickled];
        let slow = trickle(write, &rest);
        let mut came = Vec::new();
        let (_open, closed) = tokio::join!(slow, timeout(DEADLINE, read.read_to_end(&mut came)));
        let _ = closed.expect("the connection is closed in time");
        assert!(came.is_empty(), "{begun}");
    }
    // The time limit for the head also applies to the second request of a connection.
    let mut connection = server.sent(HEALTH).await;
    assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200 OK"));
    connection.write_all(&HEALTH.as_bytes()[..20]).await.unwrap();
    assert!(rest(&mut connection).await.is_empty());
}

#[tokio::test]
async fn a_slow_body_is_answered_and_its_connection_closed() {
    let server = TestServer::with(ServeOptions { body_timeout: SHORT, ..patient() }).await;
    for (framing, trickled) in
        [("content-length: 1000", 0), ("content-length: 1000", 999), ("transfer-encoding: chunked", 0)]
    {
        let (mut read, write) = server.sent(&format!("{POST}{framing}\r\n\r\n")).await.into_split();
        let body = vec![b' '; trickled];
        let slow = trickle(write, &body);
        let mut came = Vec::new();
        let (_open, closed) = tokio::join!(slow, timeout(DEADLINE, read.read_to_end(&mut came)));
        let _ = closed.expect("the connection is closed in time");
        let text = String::from_utf8(came).unwrap();
        assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{framing}: {text}");
        assert!(text.contains("connection: close") && text.contains("/problems/request-timeout"), "{text}");
    }
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_cancelled() {
    let fake = Arc::new(FakePorts { queue: QueueBehaviour::Hangs, ..FakePorts::default() });
    let options = ServeOptions { request_timeout: SHORT, ..patient() };
    let server = TestServer::start(router(&fake), options).await;
    let body = r#"{"customer_id":"c","currency":"EUR","items":[{"sku":"A","quantity":1,"unit_price":1}]}"#;
    let mut connection = server.sent(&format!("{POST}content-length: {}\r\n\r\n{body}", body.len())).await;
    let text = answer(&mut connection).await;
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("/problems/outcome-unknown"), "{text}");
    connection.write_all(HEALTH.as_bytes()).await.unwrap();
    assert!(
        answer(&mut connection).await.starts_with("HTTP/1.1 200 OK"),
        "the connection still serves requests"
    );
}

#[tokio::test]
async fn the_size_of_a_head_is_limited() {
    let server = TestServer::with(ServeOptions { max_head_bytes: 16 << 10, ..patient() }).await;
    let long = |bytes: usize| format!("x: {}\r\n", "x".repeat(bytes));
    let many = |count: usize| "x: y\r\n".repeat(count);
    for (headers, status) in [
        (long(15_000), "200 OK"),
        (long(17_000), "431 "),
        (long(200_000), "431 "),
        (many(98), "200 OK"),
        (many(99), "431 "),
    ] {
        let (mut read, mut write) = server.connect().await.into_split();
        let request =
            format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        let mut came = Vec::new();
        // The write or the read may fail, because the server closes the connection when the head is too large.
        let _ = tokio::join!(write.write_all(request.as_bytes()), read.read_to_end(&mut came));
        let text = String::from_utf8(came).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{} bytes: {text}", headers.len());
    }
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = TestServer::with(ServeOptions { idle_timeout: SHORT, ..patient() }).await;
    let mut connection = server.sent(&HEALTH.repeat(2)).await;
    assert_eq!(rest(&mut connection).await.windows(6).filter(|bytes| *bytes == b"200 OK").count(), 2);
}

#[tokio::test]
async fn a_client_that_reads_gets_the_whole_answer() {
    let large = get(|| async { vec![b'x'; LARGE] });
    let router = router(&Arc::new(FakePorts::default())).route("/large", large);
    let server =
        TestServer::start(router, ServeOptions { write_timeout: Duration::from_secs(5), ..patient() }).await;
    let mut connection = server.sent("GET /large HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(rest(&mut connection).await.len() > LARGE);
}
