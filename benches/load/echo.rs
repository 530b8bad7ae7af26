//! The echo that rates are compared with, and one that also waits for the disk, which is as much as any service can do that
//! answers when it has stored something.

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

/// A body to be stored, and who waits for that.
type Job = (Value, oneshot::Sender<()>);

/// Answers every JSON body with itself, on the port that the environment tells.
pub(super) async fn bare() -> anyhow::Result<()> {
    serve(Router::new().route("/", post(async |Json(body): Json<Value>| Json(body)))).await
}

/// The same, once the body is on the disk: one thread writes what has come into this file, syncs it, and tells.
pub(super) async fn durable(path: &Path) -> anyhow::Result<()> {
    let file = File::create_new(path)?;
    let (jobs, waiting) = mpsc::channel();
    thread::spawn(move || store(file, &waiting));
    let echo = async |State(jobs): State<Sender<Job>>, Json(body): Json<Value>| {
        let (stored, wait) = oneshot::channel();
        jobs.send((body.clone(), stored)).expect("its thread has ended");
        wait.await.expect("its thread has ended");
        Json(body)
    };
    serve(Router::new().route("/", post(echo)).with_state(jobs)).await
}

fn store(mut file: File, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let (mut bytes, mut stored) = (Vec::new(), Vec::new());
        for (body, tell) in std::iter::once(first).chain(waiting.try_iter()) {
            serde_json::to_writer(&mut bytes, &body).expect("JSON can be written to memory");
            bytes.push(b'\n');
            stored.push(tell);
        }
        file.write_all(&bytes).and_then(|()| file.sync_data()).expect("the disk takes it");
        for tell in stored {
            // The client may be gone.
            let _ = tell.send(());
        }
    }
}

async fn serve(router: Router) -> anyhow::Result<()> {
    let port = std::env::var("PORT").context("PORT")?;
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    Ok(axum::serve(listener, router).await?)
}
