//! A webhook receiver with axum and the crate `standardwebhooks`: `cargo run --example webhook_receiver -- [PORT] [FILE]`
//!
//! WEBHOOK_SECRET is the subscription's secret. The receiver does what every receiver should do:
//!
//! - It verifies the signature over the body's bytes before it parses them.
//! - It stores the event durably before it answers with a 2xx status. It does the actual work after the answer.
//! - It recognizes repeated events by their `webhook-id`, also after a restart.
//! - It answers a repeated event with a 2xx status. With any other status, the service would deliver the event
//!   again, and hold back later events of its order.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use standardwebhooks::Webhook;

const MAX_BODY: usize = 1 << 20;

/// The received events: a file with one event on each line, and the ids in memory.
struct Inbox {
    ids: HashSet<String>,
    file: File,
}

impl Inbox {
    fn open(path: &str) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // A crash can cut off the last line. The request with that event was not answered, so the service delivers the
        // event again.
        let complete = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(complete as u64)?;
        let lines = text[..complete].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let id =
            |line| Ok(serde_json::from_slice::<Value>(line)?["id"].as_str().unwrap_or_default().to_owned());
        let ids = lines.map(id).collect::<anyhow::Result<_>>()?;
        Ok(Self { ids, file })
    }

    /// Stores the event. Returns whether it is new.
    fn add(&mut self, id: &str, event: &Value) -> std::io::Result<bool> {
        if self.ids.contains(id) {
            return Ok(false);
        }
        self.file.write_all(format!("{event}\n").as_bytes())?;
        self.file.sync_data()?;
        Ok(self.ids.insert(id.to_owned()))
    }
}

struct Receiver {
    webhook: Webhook,
    inbox: Mutex<Inbox>,
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if receiver.webhook.verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    // A test event belongs to no order and is not stored. It only needs an answer.
    if event["type"] == "orders.webhook_test" {
        return StatusCode::NO_CONTENT;
    }
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let Ok(mut inbox) = receiver.inbox.lock() else { return StatusCode::INTERNAL_SERVER_ERROR };
    match inbox.add(id, &event) {
        Ok(is_new) => {
            if is_new {
                let subject = event["subject"].as_str().unwrap_or_default();
                let kind = event["type"].as_str().unwrap_or_default();
                say(&format!("{subject} version {}: {kind}", event["orderversion"]));
            }
            StatusCode::NO_CONTENT
        }
        // The event could not be stored. With this status, the service delivers the event again.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Prints a line. Ignores the error if the reader has closed the pipe.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(9000), |port| port.parse()).context("the port is not a number")?;
    let file = arguments.next().unwrap_or_else(|| "received.jsonl".to_owned());
    let secret = std::env::var("WEBHOOK_SECRET").context("WEBHOOK_SECRET is not set")?;
    let inbox = Mutex::new(Inbox::open(&file)?);
    let receiver = Arc::new(Receiver { webhook: Webhook::new(&secret)?, inbox });
    let router =
        Router::new().fallback(post(receive)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(receiver);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    say(&format!("listening on http://{}", listener.local_addr()?));
    axum::serve(listener, router).await?;
    Ok(())
}
