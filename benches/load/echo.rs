//! The servers that the benchmarks need besides the service: two echoes, and a receiver of webhooks. One echo
//! only answers. The other echo also waits for the disk, and no service that stores a request before it
//! answers can be faster. The receiver uses as little CPU time as possible, because a real receiver runs on
//! another machine.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anyhow::Context;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A body to store, and the channel that reports to the request that the body is stored.
type Job = (Value, oneshot::Sender<()>);

/// Answers every JSON body with the same body, on the port in `PORT`.
pub(super) async fn bare() -> anyhow::Result<()> {
    serve(Router::new().route("/", post(async |Json(body): Json<Value>| Json(body)))).await
}

/// Like `bare`, but answers only after the body is on the disk. One thread writes all pending bodies to `path` and
/// syncs it.
pub(super) async fn durable(path: &Path) -> anyhow::Result<()> {
    let file = File::create_new(path)?;
    let (jobs, pending) = mpsc::channel();
    thread::spawn(move || store(file, &pending));
    let echo = async |State(jobs): State<Sender<Job>>, Json(body): Json<Value>| {
        let (stored, wait) = oneshot::channel();
        jobs.send((body.clone(), stored)).expect("the writer thread has ended");
        wait.await.expect("the writer thread has ended");
        Json(body)
    };
    serve(Router::new().route("/", post(echo)).with_state(jobs)).await
}

fn store(mut file: File, pending: &Receiver<Job>) {
    while let Ok(first) = pending.recv() {
        let (mut bytes, mut stored) = (Vec::new(), Vec::new());
        for (body, request) in std::iter::once(first).chain(pending.try_iter()) {
            serde_json::to_writer(&mut bytes, &body).expect("JSON can be written to memory");
            bytes.push(b'\n');
            stored.push(request);
        }
        file.write_all(&bytes).and_then(|()| file.sync_data()).expect("the file can be written");
        for request in stored {
            // Sending fails if the client has closed the connection.
            let _ = request.send(());
        }
    }
}

/// Answers every request with 204, without reading it.
pub(super) async fn sink() -> anyhow::Result<()> {
    let listener = listen().await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer_all(stream));
    }
}

async fn answer_all(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 << 10);
    while stream.read_buf(&mut buffer).await? > 0 {
        while let Some(length) = request_length(&buffer).filter(|length| *length <= buffer.len()) {
            buffer.drain(..length);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        }
    }
    Ok(())
}

/// The length of the request with which the buffer begins, once its head is complete.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let body = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    Some(head + body.and_then(|length| length.parse().ok()).unwrap_or(0))
}

async fn listen() -> anyhow::Result<TcpListener> {
    let port = std::env::var("PORT").context("PORT")?;
    Ok(TcpListener::bind(format!("127.0.0.1:{port}")).await?)
}

async fn serve(router: Router) -> anyhow::Result<()> {
    Ok(axum::serve(listen().await?, router).await?)
}
