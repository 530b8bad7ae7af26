//! Tests `kill -9` under load: no accepted event is lost or applied twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::eventually::{check, eventually};
use crate::support::recorded::exported;
use crate::support::service::{Service, order, run};

const ROUNDS: usize = 20;
const CLIENTS: usize = 16;
/// The number of orders that the service accepts in each round before it is killed.
const ACCEPTED: usize = 150;

/// Posts orders until the service is killed. Each order is followed by a confirmation, and every third order also by an
/// illegal event. Returns the receipts.
async fn load(service: Arc<Service>, accepted: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Vec<Value> {
    let mut receipts = Vec::new();
    let post = async |path: &str, body: &Value| -> Option<Value> {
        let response = service.send(Method::POST, path, Some(body)).await.ok()?;
        let (status, text) = (response.status(), response.text().await.ok()?);
        assert_eq!(status, 202, "{text}");
        accepted.fetch_add(1, Ordering::Relaxed);
        Some(serde_json::from_str(&text).unwrap())
    };
    while !stop.load(Ordering::Relaxed) {
        let Some(created) = post("/v1/orders", &order("crash")).await else { break };
        let path = format!("/v1/orders/{}/events", created["order_id"].as_str().unwrap());
        receipts.push(created);
        let mut kinds = vec!["order_confirmed"];
        if receipts.len() % 3 == 0 {
            kinds.push("order_delivered");
        }
        for kind in kinds {
            let Some(receipt) = post(&path, &json!({ "type": kind })).await else { return receipts };
            receipts.push(receipt);
        }
    }
    receipts
}

/// Kills the service under load. Returns the receipts of the clients.
async fn round(data: &std::path::Path, flags: &[&str]) -> Vec<Value> {
    let service = Arc::new(Service::start(data, flags));
    let (accepted, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(load(service.clone(), accepted.clone(), stop.clone()));
    }
    let enough = async || {
        let count = accepted.load(Ordering::Relaxed);
        check(count >= ACCEPTED, count)
    };
    eventually("the service accepts enough events", enough).await;
    service.signal("KILL");
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_by_kill_9() {
    nothing_is_lost(&["--log-level", "warn,orders=info"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_accepted_is_lost_by_kill_9_if_every_event_is_queued() {
    nothing_is_lost(&["--log-level", "warn,orders=info", "--always-queue"]).await;
}

async fn nothing_is_lost(flags: &[&str]) {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut receipts = Vec::new();
    for _ in 0..ROUNDS {
        receipts.extend(round(&data, flags).await);
    }
    assert!(receipts.len() >= ROUNDS * ACCEPTED);

    // The ledger must be balanced, which means accepted = recorded + rejected + duplicate + parked + in flight. At
    // the end, nothing may be in flight.
    let mut service = Service::start(&data, flags);
    let mut versions: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for receipt in &receipts {
        let outcome = service.outcome(receipt).await;
        let state = outcome["state"].as_str().unwrap();
        let expected = if receipt["type"] == "order_delivered" { "rejected" } else { "recorded" };
        assert_eq!(state, expected, "{outcome}");
        *counts.entry(state.to_owned()).or_default() += 1;
        if let Some(version) = outcome["version"].as_u64() {
            let order_id = outcome["order_id"].as_str().unwrap().to_owned();
            assert!(
                versions.entry(order_id).or_default().insert(version),
                "two events have the same version: {outcome}"
            );
        }
    }
    // The service may have accepted further events whose answers the client did not get.
    let ledger = service.settled().await;
    assert!(ledger["accepted"].as_u64().unwrap() >= receipts.len() as u64, "{ledger}");
    assert!(service.terminate().success());

    // The log contains each accepted event once, in order. The log may also contain events that were accepted
    // before the kill, without an answer.
    let mut logged: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    let mut event_ids = BTreeSet::new();
    for event in exported(&data) {
        assert!(event_ids.insert(event["event_id"].as_str().unwrap().to_owned()), "recorded twice: {event}");
        let entry = logged.entry(event["data"]["order_id"].as_str().unwrap().to_owned()).or_default();
        entry.push((event["version"].as_u64().unwrap(), event["type"].as_str().unwrap().to_owned()));
    }
    for (order_id, events) in &logged {
        let kinds = ["order_created", "order_confirmed"].map(str::to_owned);
        let expected: Vec<_> = (1..).zip(kinds).take(events.len()).collect();
        assert_eq!(*events, expected, "order {order_id}");
    }
    assert!(event_ids.len() >= counts["recorded"]);
    let check = run(&["rebuild", "--check"], &data);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}
