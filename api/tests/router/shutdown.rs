//! Tests stopping the server: requests in progress are finished, and all other connections are closed.

use std::sync::Arc;

use api::ServeOptions;
use axum::routing::get;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fakes::{FakePorts, router};
use crate::serving::{DEADLINE, HEALTH, HOLDERS, LARGE, SHORT, TestServer, answer, gated, patient, rest};

#[tokio::test]
async fn shutdown_finishes_requests_and_closes_idle_connections() {
    let (router, asked, may_answer) = gated();
    let server = TestServer::start(router, patient()).await;
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
    timeout(DEADLINE, server.ended).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_ends_after_the_grace_period() {
    let (router, asked, _) = gated();
    let server = TestServer::start(router, ServeOptions { grace: SHORT, ..patient() }).await;
    let mut busy = server.sent("GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    asked.notified().await;
    server.stop.send(()).unwrap();
    timeout(DEADLINE, server.ended).await.unwrap().unwrap().unwrap();
    assert!(rest(&mut busy).await.is_empty());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_clients_that_do_nothing() {
    let large = get(|| async { vec![b'x'; LARGE] });
    for held in HOLDERS.into_iter().chain(["GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n"]) {
        let router = router(&Arc::new(FakePorts::default())).route("/large", large.clone());
        let server = TestServer::start(router, ServeOptions { grace: SHORT, ..patient() }).await;
        let _stuck = server.sent(held).await;
        answer(&mut server.sent(HEALTH).await).await;
        server.stop.send(()).unwrap();
        timeout(DEADLINE, server.ended).await.unwrap().unwrap().unwrap();
    }
}
