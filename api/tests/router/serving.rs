//! Serving over TCP, and stopping without cutting anyone off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::fakes::{Fake, router};

async fn ask(connection: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn shutdown_finishes_requests_and_closes_idle_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let slow = get(|| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "slow"
    });
    let router = router(&Arc::new(Fake::default())).route("/slow", slow);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(api::serve(listener, router, async move { stopped.await.unwrap() }));

    let mut idle = TcpStream::connect(address).await.unwrap();
    ask(&mut idle, "/healthz").await;
    let mut buffer = [0; 4096];
    let read = idle.read(&mut buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200 OK"));
    let mut busy = TcpStream::connect(address).await.unwrap();
    ask(&mut busy, "/slow").await;
    tokio::time::sleep(Duration::from_millis(100)).await;

    let stopping = Instant::now();
    stop.send(()).unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("slow"), "{answer}");
    assert_eq!(idle.read(&mut buffer).await.unwrap(), 0);
    server.await.unwrap().unwrap();
    assert!(stopping.elapsed() < Duration::from_secs(3));
    assert!(TcpStream::connect(address).await.is_err());
}
