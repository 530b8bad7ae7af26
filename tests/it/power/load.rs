//! The clients that write and read while a run is recorded.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};

use super::answers::{Fact, collect};
use crate::support::service::{Api, PATIENCE, order};

/// Clients that write.
const WRITERS: usize = 3;
/// The number of clients that read during the load.
const READERS: usize = 2;

/// Writers place orders and propose legal and illegal events for them, one by one and in batches. Readers read
/// everything as often as they can.
pub(super) async fn drive(api: &Api, orders_each: usize) {
    let (receipts, feed) = (Mutex::new(Vec::new()), Mutex::new(String::new()));
    let writing = AtomicUsize::new(WRITERS);
    let writers = async {
        let write = async || {
            write(api, orders_each, &receipts).await;
            writing.fetch_sub(1, Ordering::SeqCst);
        };
        tokio::join!(write(), write(), write());
    };
    let read = async |which: usize| {
        let mut round = which;
        while writing.load(Ordering::SeqCst) > 0 {
            look(api, &receipts, &feed, round).await;
            round += READERS;
        }
    };
    tokio::join!(writers, read(0), read(1));
}

/// The customer of all orders.
const CUSTOMER: &str = "power";

async fn write(api: &Api, orders: usize, receipts: &Mutex<Vec<Value>>) {
    let post = async |path: &str, body: &Value| {
        let receipt = api.accept(path, body).await;
        receipts.lock().unwrap().push(receipt.clone());
        receipt
    };
    for number in 0..orders {
        if number % 8 == 7 {
            let body = json!({ "orders": [order(CUSTOMER), order(CUSTOMER), order(CUSTOMER)] });
            let answer = api.ask(Method::POST, "/v1/orders/batch", &[], Some(&body)).await;
            assert!((200..300).contains(&answer.status), "{answer:?}");
        }
        let created = post("/v1/orders", &order(CUSTOMER)).await;
        let path = format!("/v1/orders/{}/events", created["order_id"].as_str().unwrap());
        post(&path, &json!({ "type": "order_confirmed" })).await;
        if number % 4 == 1 {
            // The event is illegal in the present state, so the service accepts and then rejects it.
            post(&path, &json!({ "type": "order_delivered" })).await;
        }
        if number % 3 == 2 {
            let paid = json!({ "type": "order_paid", "data": { "payment_id": format!("p-{number}"), "amount": 1800 } });
            post(&path, &paid).await;
        }
    }
}

/// Sends one read request, whose answer the recording contains. `feed` contains the query parameter with the cursor of
/// the next page of the feed, or is empty.
async fn look(api: &Api, receipts: &Mutex<Vec<Value>>, feed: &Mutex<String>, round: usize) {
    if round % 6 == 5 {
        let after = feed.lock().unwrap().clone();
        let (_, page) = api.get(&format!("/v1/events?limit=20{after}")).await;
        *feed.lock().unwrap() = format!("&after={}", page["next_cursor"].as_str().unwrap());
        return;
    }
    let latest = {
        let receipts = receipts.lock().unwrap();
        receipts.len().checked_sub(1 + round % 3).map(|at| receipts[at].clone())
    };
    let link = |name: &str| latest.as_ref().map(|it| it["links"][name].as_str().unwrap().to_owned());
    let path = match round % 6 {
        0 => Some(format!("/v1/orders?customer_id={CUSTOMER}")),
        1 => link("order"),
        2 => link("self"),
        3 => link("order").map(|order| format!("{order}/events")),
        _ => Some("/v1/pipeline".to_owned()),
    };
    if let Some(path) = path {
        // The status of the answer does not matter, because an accepted order need not be recorded yet.
        api.get(&path).await;
    }
}

/// Places large orders until the first journal in `data` has `bytes` bytes. Returns some of the receipts as
/// facts.
pub(super) async fn fill(api: &Api, data: &Path, bytes: u64) -> Vec<Fact> {
    let mut rng = Rng::with_seed(1);
    let mut facts = Vec::new();
    let journal = data.join("store/0.jnl");
    while fs::metadata(&journal).unwrap().blocks() * 512 < bytes {
        let body = json!({ "orders": (0..20).map(|_| large(&mut rng)).collect::<Vec<_>>() });
        let answer = api.ask(Method::POST, "/v1/orders/batch", &[], Some(&body)).await;
        let mut accepted = Vec::new();
        collect(&answer.body, &mut accepted);
        assert_eq!(accepted.len(), 20, "{answer:?}");
        facts.push(accepted.swap_remove(0));
    }
    facts
}

/// Places large orders and reads them until `done` returns true, and then a few more times.
pub(super) async fn fill_and_look(api: &Api, done: impl Fn() -> bool) {
    let mut rng = Rng::with_seed(2);
    let start = Instant::now();
    let mut rounds_left = 10;
    while rounds_left > 0 {
        rounds_left -= usize::from(done());
        assert!(start.elapsed() < PATIENCE, "the load does not reach the expected state");
        let receipt = api.accept("/v1/orders", &large(&mut rng)).await;
        let look = async |path: &str| drop(api.get(path).await);
        let order = receipt["links"]["order"].as_str().unwrap();
        let confirmation = json!({ "type": "order_confirmed" });
        let events = format!("{order}/events");
        tokio::join!(
            api.accept(&events, &confirmation),
            look(receipt["links"]["self"].as_str().unwrap()),
            look("/v1/pipeline")
        );
    }
}

/// An order of tens of kilobytes that is hard to compress.
pub(super) fn large(rng: &mut Rng) -> Value {
    let mut text = |length: usize| (0..length).map(|_| rng.alphanumeric()).collect::<String>();
    let items: Vec<_> =
        (0..200).map(|_| json!({ "sku": text(64), "quantity": 1, "unit_price": 1 })).collect();
    let metadata: serde_json::Map<_, _> =
        (0..20).map(|number| (format!("k{number}"), Value::from(text(500)))).collect();
    json!({ "customer_id": "large", "currency": "EUR", "items": items, "metadata": metadata })
}
