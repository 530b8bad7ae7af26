//! Tests that operators soon get answers about deliveries while other programs want every processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PATIENCE, subscribe};
use crate::support::eventually::eventually_within;
use crate::support::http::serve;
use crate::support::service::{Service, order};

const ORDERS: usize = 5;
/// How long an answer may take. The service gives up a request after 10 seconds.
const LIMIT: Duration = Duration::from_secs(2);

/// Threads that want every processor, until this value is dropped.
struct BusyThreads(Arc<AtomicBool>);

impl BusyThreads {
    fn start() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        for _ in 0..8 * thread::available_parallelism().unwrap().get() {
            let ended = Arc::clone(&ended);
            thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(ended)
    }
}

impl Drop for BusyThreads {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Orders whose first event the receiver refuses: the id of each order, and the id of the event.
async fn refused(service: &Service, id: &str) -> Vec<(String, String)> {
    for _ in 0..ORDERS {
        service.accept("/v1/orders", &order("c-1")).await;
    }
    let list = eventually_within(PATIENCE, "the deliveries fail", async || {
        let (_, list) = service.get(&format!("/v1/webhooks/{id}/deliveries?state=retrying")).await;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        if items.len() == ORDERS { Ok(items) } else { Err(items) }
    })
    .await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.iter().map(|delivery| (text(&delivery["order_id"]), text(&delivery["event_id"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn skips_and_replays_are_soon_carried_out_while_every_processor_is_busy() {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), &["--webhooks-allow-private"]);
    let url = serve(Router::new().fallback(async || StatusCode::INTERNAL_SERVER_ERROR)).await;
    let (id, _) = subscribe(&service, &json!({ "url": url })).await;
    let deliveries = refused(&service, &id).await;
    let _busy = BusyThreads::start();
    for (order_id, event_id) in deliveries {
        let skip = format!("/v1/webhooks/{id}/deliveries/{event_id}/skip");
        let replay = format!("/v1/webhooks/{id}/replay");
        for (path, body) in [(skip, json!({ "reason": "a test" })), (replay, json!({ "order_id": order_id }))]
        {
            let began = Instant::now();
            let answer = service.ask(Method::POST, &path, &[], Some(&body)).await;
            let took = began.elapsed();
            assert!(answer.status < 300 && took < LIMIT, "{path} took {took:?}: {answer:?}");
        }
    }
}
