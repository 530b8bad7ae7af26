//! Tests connection limits: which connection is closed to make room for a new one, and how threads share the
//! connections.

use std::net::SocketAddr;
use std::sync::Arc;

use api::ServeOptions;
use axum::Router;
use axum::routing::get;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::fakes::{FakePorts, router};
use crate::serving::{HEALTH, HOLDERS, LARGE, SHORT, TestServer, answer, gated, patient, rest};

#[tokio::test]
async fn no_client_occupies_the_last_slot_forever() {
    let one = ServeOptions { max_connections: 1, ..patient() };
    // To free the slot, the server immediately closes a connection that is idle between two requests.
    let server = TestServer::with(one).await;
    let mut first = server.sent(HEALTH).await;
    answer(&mut first).await;
    let mut second = server.sent(HEALTH).await;
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200 OK"));
    assert!(rest(&mut first).await.is_empty());

    // A connection that sends nothing is closed at its timeout.
    let server = TestServer::with(ServeOptions { head_timeout: SHORT, ..one }).await;
    let _silent = server.connect().await;
    assert!(answer(&mut server.sent(HEALTH).await).await.starts_with("HTTP/1.1 200 OK"));

    // A connection that does not read its answer is closed at its timeout.
    let large = get(|| async { vec![b'x'; LARGE] });
    let router = router(&Arc::new(FakePorts::default())).route("/large", large);
    let server = TestServer::start(router, ServeOptions { write_timeout: SHORT, ..one }).await;
    let mut greedy = server.sent("GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer(&mut server.sent(HEALTH).await).await.starts_with("HTTP/1.1 200 OK"));
    assert!(rest(&mut greedy).await.len() < LARGE);
}

/// Connects to the server from the given local address, so that the server sees a separate client.
fn connect_from(address: &str, server: SocketAddr) -> std::net::TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let from: SocketAddr = address.parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&server.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

#[tokio::test]
async fn one_address_cannot_keep_others_out() {
    let (router, _, _) = gated();
    let options = ServeOptions { max_connections: 40, max_connections_per_address: 20, ..patient() };
    for held in HOLDERS.into_iter().chain(["GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n"]) {
        let server = TestServer::start(router.clone(), options).await;
        let mut holders = Vec::new();
        for _ in 0..100 {
            // The server may close connections above their address's share, so the write may fail.
            let mut connection = server.connect().await;
            let _ = connection.write_all(held.as_bytes()).await;
            holders.push(connection);
        }
        let mut bystander = TcpStream::from_std(connect_from("127.0.0.2:0", server.address)).unwrap();
        bystander.write_all(HEALTH.as_bytes()).await.unwrap();
        // No timeout frees a slot in this test, because each timeout is a minute.
        let text = answer(&mut bystander).await;
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{held:?}: {text}");
    }
}

#[tokio::test]
async fn the_longest_idle_connection_of_the_address_with_the_most_is_closed() {
    let options = ServeOptions { max_connections: 8, max_connections_per_address: 8, ..patient() };
    let server = TestServer::with(options).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(server.connect().await);
    }
    // Each connection from the second address replaces the oldest connection of the first address, until both addresses have
    // the same number of connections.
    let mut others = Vec::new();
    for oldest in silent.iter_mut().take(4) {
        let mut other = TcpStream::from_std(connect_from("127.0.0.2:0", server.address)).unwrap();
        other.write_all(HEALTH.as_bytes()).await.unwrap();
        answer(&mut other).await;
        others.push(other);
        assert!(rest(oldest).await.is_empty());
    }
    // If both addresses have the same number of connections, a new connection replaces an idle connection from
    // its own address.
    let mut fifth = TcpStream::from_std(connect_from("127.0.0.2:0", server.address)).unwrap();
    fifth.write_all(HEALTH.as_bytes()).await.unwrap();
    answer(&mut fifth).await;
    assert!(rest(&mut others[0]).await.is_empty());
    silent[7].write_all(HEALTH.as_bytes()).await.unwrap();
    assert!(answer(&mut silent[7]).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn connections_are_spread_evenly_over_the_threads() {
    let thread = get(async || format!("{{\"{:?}\":0}}", std::thread::current().id()));
    let server = TestServer::start(Router::new().route("/", thread), patient()).await;
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
