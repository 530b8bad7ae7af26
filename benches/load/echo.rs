//! The echo that rates are compared with, and an echo that also waits for the disk. No service that stores a request
//! before it answers can be faster than the second one.

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
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A body to store, with the request that waits for it.
type Job = (Value, oneshot::Sender<()>);

/// Answers every JSON body with the same body, on the port in `PORT`.
pub(super) async fn bare() -> anyhow::Result<()> {
    serve(Router::new().route("/", post(async |Json(body): Json<Value>| Json(body)))).await
}

/// Like `bare`, but answers only after the body is on the disk. One thread writes all pending bodies to this file and
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
            // The client may have closed the connection.
            let _ = request.send(());
        }
    }
}

async fn serve(router: Router) -> anyhow::Result<()> {
    let port = std::env::var("PORT").context("PORT")?;
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    Ok(axum::serve(listener, router).await?)
}
