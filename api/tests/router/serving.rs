//! Serving over TCP: what slow and greedy clients get, and stopping without cutting anyone off.
//!
//! Each test shortens the one limit that it is about. The others are those of production, or a minute: longer than
//! [`PATIENCE`], so that it cannot be them.

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

use crate::fakes::{Fake, Queue, router};

const SHORT: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
const POST: &str = "POST /v1/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
/// More than the system buffers for a client that does not read.
const LARGE: usize = 64 << 20;

fn patient() -> ServeOptions {
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

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    async fn start(router: Router, options: ServeOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let until = async { stopped.await.unwrap_or_default() };
        Self { address, stop, ended: tokio::spawn(api::serve(listener, router, options, until)) }
    }

    async fn with(options: ServeOptions) -> Self {
        Self::start(router(&Arc::new(Fake::default())), options).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection that has sent this.
    async fn sent(&self, request: &str) -> TcpStream {
        let mut connection = self.connect().await;
        connection.write_all(request.as_bytes()).await.unwrap();
        connection
    }
}

/// The next answer, which has a body and is smaller than a buffer.
async fn answer(connection: &mut TcpStream) -> String {
    let mut text = String::new();
    while !(text.contains("\r\n\r\n") && text.ends_with('}')) {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, connection.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    text
}

/// All that comes until the connection is closed, one way or the other.
async fn rest(connection: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is a close as well.
    let _ = timeout(PATIENCE, connection.read_to_end(&mut bytes)).await.expect("it is closed in time");
    bytes
}

/// Sends a byte now and then, for as long as anyone takes it. What it gives back is still open for more.
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

#[tokio::test]
async fn slow_headers_are_cut_off() {
    let server = Server::with(ServeOptions { head_timeout: SHORT, ..patient() }).await;
    for (begun, trickled) in
        [("", 0), ("GET /healthz HTTP/1.1\r\nhost:", 0), ("GET /healthz HTTP/1.1\r\nx:", 1000)]
    {
        let (mut read, write) = server.sent(begun).await.into_split();
        let rest = vec![b'x'; trickled];
        let slow = trickle(write, &rest);
        let mut came = Vec::new();
        let (_open, closed) = tokio::join!(slow, timeout(PATIENCE, read.read_to_end(&mut came)));
        let _ = closed.expect("it is closed in time");
        assert!(came.is_empty(), "{begun}");
    }
    // So they are after a request that was in time.
    let mut connection = server.sent(HEALTH).await;
    assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200 OK"));
    connection.write_all(&HEALTH.as_bytes()[..20]).await.unwrap();
    assert!(rest(&mut connection).await.is_empty());
}

#[tokio::test]
async fn slow_bodies_are_answered_and_cut_off() {
    let server = Server::with(ServeOptions { body_timeout: SHORT, ..patient() }).await;
    for (framing, trickled) in
        [("content-length: 1000", 0), ("content-length: 1000", 999), ("transfer-encoding: chunked", 0)]
    {
        let (mut read, write) = server.sent(&format!("{POST}{framing}\r\n\r\n")).await.into_split();
        let body = vec![b' '; trickled];
        let slow = trickle(write, &body);
        let mut came = Vec::new();
        let (_open, closed) = tokio::join!(slow, timeout(PATIENCE, read.read_to_end(&mut came)));
        let _ = closed.expect("it is closed in time");
        let text = String::from_utf8(came).unwrap();
        assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{framing}: {text}");
        assert!(text.contains("connection: close") && text.contains("/problems/request-timeout"), "{text}");
    }
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_given_up() {
    let fake = Arc::new(Fake { queue: Queue::Hangs, ..Fake::default() });
    let options = ServeOptions { request_timeout: SHORT, ..patient() };
    let server = Server::start(router(&fake), options).await;
    let body = r#"{"customer_id":"c","currency":"EUR","items":[{"sku":"A","quantity":1,"unit_price":1}]}"#;
    let mut connection = server.sent(&format!("{POST}content-length: {}\r\n\r\n{body}", body.len())).await;
    let text = answer(&mut connection).await;
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("/problems/outcome-unknown"), "{text}");
    connection.write_all(HEALTH.as_bytes()).await.unwrap();
    assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200 OK"), "the connection goes on");
}

#[tokio::test]
async fn heads_have_a_size() {
    let server = Server::with(ServeOptions { max_head_bytes: 16 << 10, ..patient() }).await;
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
        // Either may end with an error, when the server has seen enough.
        let _ = tokio::join!(write.write_all(request.as_bytes()), read.read_to_end(&mut came));
        let text = String::from_utf8(came).unwrap();
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{} bytes: {text}", headers.len());
    }
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = Server::with(ServeOptions { idle_timeout: SHORT, ..patient() }).await;
    let mut connection = server.sent(&HEALTH.repeat(2)).await;
    assert_eq!(rest(&mut connection).await.windows(6).filter(|bytes| *bytes == b"200 OK").count(), 2);
}

#[tokio::test]
async fn no_client_holds_the_last_slot_for_ever() {
    let one = ServeOptions { max_connections: 1, ..patient() };
    // One that is between two requests makes room at once.
    let server = Server::with(one).await;
    let mut first = server.sent(HEALTH).await;
    answer(&mut first).await;
    let mut second = server.sent(HEALTH).await;
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200 OK"));
    assert!(rest(&mut first).await.is_empty());

    // One that never asks anything, when its time is up.
    let server = Server::with(ServeOptions { head_timeout: SHORT, ..one }).await;
    let _silent = server.connect().await;
    assert!(answer(&mut server.sent(HEALTH).await).await.starts_with("HTTP/1.1 200 OK"));

    // One that does not take its answer, likewise.
    let large = get(|| async { vec![b'x'; LARGE] });
    let router = router(&Arc::new(Fake::default())).route("/large", large);
    let server = Server::start(router, ServeOptions { write_timeout: SHORT, ..one }).await;
    let mut greedy = server.sent("GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer(&mut server.sent(HEALTH).await).await.starts_with("HTTP/1.1 200 OK"));
    assert!(rest(&mut greedy).await.len() < LARGE);
}

/// Connections from another address of this machine.
fn connect_from(address: &str, server: SocketAddr) -> std::net::TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let from: SocketAddr = address.parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

/// What the connections have sent that wait for their client for ever.
const HOLDERS: [&str; 3] = [
    "",
    "GET /healthz HTTP/1.1\r\nhost:",
    "POST /v1/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
];

#[tokio::test]
async fn one_address_cannot_keep_others_out() {
    let (router, _, _) = gated();
    let options = ServeOptions { max_connections: 40, max_connections_per_address: 20, ..patient() };
    for held in HOLDERS.into_iter().chain(["GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n"]) {
        let server = Server::start(router.clone(), options).await;
        let mut holders = Vec::new();
        for _ in 0..100 {
            // Those that come when its share is used up may be refused.
            let mut connection = server.connect().await;
            let _ = connection.write_all(held.as_bytes()).await;
            holders.push(connection);
        }
        let mut bystander = TcpStream::from_std(connect_from("127.0.0.2:0", server.address)).unwrap();
        bystander.write_all(HEALTH.as_bytes()).await.unwrap();
        // The limits of time that would free a slot are a minute here.
        let text = answer(&mut bystander).await;
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{held:?}: {text}");
    }
}

#[tokio::test]
async fn the_longest_silent_connection_of_the_greediest_address_gives_way() {
    let options = ServeOptions { max_connections: 8, max_connections_per_address: 8, ..patient() };
    let server = Server::with(options).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(server.connect().await);
    }
    // Each newcomer of another address takes the place of the oldest, until both have as many.
    let mut others = Vec::new();
    for oldest in silent.iter_mut().take(4) {
        let mut other = TcpStream::from_std(connect_from("127.0.0.2:0", server.address)).unwrap();
        other.write_all(HEALTH.as_bytes()).await.unwrap();
        answer(&mut other).await;
        others.push(other);
        assert!(rest(oldest).await.is_empty());
    }
    // An address with as many as any other gives way to itself, with what is idle first.
    let mut fifth = TcpStream::from_std(connect_from("127.0.0.2:0", server.address)).unwrap();
    fifth.write_all(HEALTH.as_bytes()).await.unwrap();
    answer(&mut fifth).await;
    assert!(rest(&mut others[0]).await.is_empty());
    silent[7].write_all(HEALTH.as_bytes()).await.unwrap();
    assert!(answer(&mut silent[7]).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn who_takes_an_answer_gets_all_of_it() {
    let large = get(|| async { vec![b'x'; LARGE] });
    let router = router(&Arc::new(Fake::default())).route("/large", large);
    let server =
        Server::start(router, ServeOptions { write_timeout: Duration::from_secs(5), ..patient() }).await;
    let mut connection = server.sent("GET /large HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(rest(&mut connection).await.len() > LARGE);
}

/// A router with a path that says when it is asked, and answers when it may.
fn gated() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (asked, may_answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gates = (asked.clone(), may_answer.clone());
    let slow = get(move || async move {
        gates.0.notify_one();
        gates.1.notified().await;
        "slow"
    });
    (router(&Arc::new(Fake::default())).route("/slow", slow), asked, may_answer)
}

#[tokio::test]
async fn shutdown_finishes_requests_and_closes_idle_connections() {
    let (router, asked, may_answer) = gated();
    let server = Server::start(router, patient()).await;
    let mut idle = server.sent(HEALTH).await;
    answer(&mut idle).await;
    let mut silent = server.connect().await;
    let mut busy = server.sent("GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    asked.notified().await;

    server.stop.send(()).unwrap();
    assert!(rest(&mut idle).await.is_empty());
    assert!(rest(&mut silent).await.is_empty());
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!server.ended.is_finished());
    may_answer.notify_one();
    assert!(rest(&mut busy).await.ends_with(b"slow"));
    timeout(PATIENCE, server.ended).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let (router, asked, _) = gated();
    let server = Server::start(router, ServeOptions { grace: SHORT, ..patient() }).await;
    let mut busy = server.sent("GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    asked.notified().await;
    server.stop.send(()).unwrap();
    timeout(PATIENCE, server.ended).await.unwrap().unwrap().unwrap();
    assert!(rest(&mut busy).await.is_empty());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_clients_who_do_nothing() {
    let large = get(|| async { vec![b'x'; LARGE] });
    for held in HOLDERS.into_iter().chain(["GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n"]) {
        let router = router(&Arc::new(Fake::default())).route("/large", large.clone());
        let server = Server::start(router, ServeOptions { grace: SHORT, ..patient() }).await;
        let _stuck = server.sent(held).await;
        answer(&mut server.sent(HEALTH).await).await;
        server.stop.send(()).unwrap();
        timeout(PATIENCE, server.ended).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn threads_share_the_connections_among_them() {
    let thread = get(async || format!("{{\"{:?}\":0}}", std::thread::current().id()));
    let server = Server::start(Router::new().route("/", thread), patient()).await;
    let connect = async || {
        let mut connection = server.sent("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let thread = answer(&mut connection).await.lines().last().unwrap().to_owned();
        (connection, thread)
    };
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(connect().await);
    }
    let first = &open[0].1;
    assert_eq!(open.iter().filter(|(_, thread)| thread == first).count(), 4, "{open:?}");
}
