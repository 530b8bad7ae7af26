//! Clients that write orders until the service is killed, or until they are stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::eventually::{check, eventually};
use super::service::{Api, Service, order};

/// Clients that write at the same time. Each creates one order after the other, with a confirmation and a note.
pub struct Writers {
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The number of events that the service has accepted.
    accepted: AtomicUsize,
    is_stopped: AtomicBool,
}

impl Writers {
    pub fn start(service: &Arc<Service>, count: usize) -> Self {
        let (mut tasks, shared) = (JoinSet::new(), Arc::<Shared>::default());
        for _ in 0..count {
            tasks.spawn(write(Arc::clone(service), Arc::clone(&shared)));
        }
        Self { tasks, shared }
    }

    /// Waits until the service has accepted `events` events.
    pub async fn have_written(&self, events: usize) {
        eventually("the service accepts enough events", async || {
            let accepted = self.shared.accepted.load(SeqCst);
            check(accepted >= events, accepted)
        })
        .await;
    }

    /// Stops the clients after their current orders, and waits until they have ended.
    pub async fn stop(self) {
        self.shared.is_stopped.store(true, SeqCst);
        self.tasks.join_all().await;
    }
}

async fn write(service: Arc<Service>, shared: Arc<Shared>) {
    while !shared.is_stopped.load(SeqCst) {
        let Some(id) = post(&service, "/v1/orders", &order("c-1"), &shared).await else { return };
        let path = format!("/v1/orders/{id}/events");
        for event in [
            json!({ "type": "order_confirmed" }),
            json!({ "type": "order_annotated", "data": { "notes": "n" } }),
        ] {
            if post(&service, &path, &event, &shared).await.is_none() {
                return;
            }
        }
    }
}

/// Posts the body. Returns the id of the order, or `None` if the service does not answer.
async fn post(api: &Api, path: &str, body: &Value, shared: &Shared) -> Option<String> {
    let response = api.send(Method::POST, path, Some(body)).await.ok()?;
    let receipt: Value = serde_json::from_str(&response.text().await.ok()?).ok()?;
    shared.accepted.fetch_add(1, SeqCst);
    Some(receipt["order_id"].as_str()?.to_owned())
}
