//! Tests backups with the real program, as operators use them: restores to random moments of a service under
//! load, backups and restores that are killed, and damaged backups.

#[cfg(feature = "aws")]
mod aws;
mod damage;
mod killed;
mod moments;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::recorded::{exported, whole_feed};
use crate::support::service::{Api, Service, order, orders, run};

/// Backs up the folder, which no service uses.
fn back_up(data: &Path, target: &Path) {
    let output = orders(&["backup"]).arg(target).arg("--data").arg(data).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Backs up the data of a running service.
fn back_up_live(url: &str, target: &Path) {
    let output = orders(&["backup"]).arg(target).args(["--url", url]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn try_restore(source: &Path, data: &Path, flags: &[&str]) -> Output {
    orders(&["restore"]).arg(source).arg("--data").arg(data).args(flags).output().unwrap()
}

/// Restores, and returns the report.
fn restore(source: &Path, data: &Path, flags: &[&str]) -> Value {
    let output = try_restore(source, data, &[flags, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs `orders backup verify`. Returns whether it found no fault, and its output.
fn verify(source: &Path, flags: &[&str]) -> (bool, String) {
    let output = orders(&["backup", "verify"]).arg(source).args(flags).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).unwrap())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// The events in the log of a folder, by order and version.
fn export(data: &Path) -> BTreeMap<(String, u64), Value> {
    let key = |event: &Value| (text(&event["data"]["order_id"]), event["version"].as_u64().unwrap());
    exported(data).into_iter().map(|event| (key(&event), event)).collect()
}

/// Places an order, confirms it, and proposes an event that is refused. Returns the receipts, once they have outcomes.
async fn place(service: &Api, customer: &str) -> Vec<Value> {
    let created = service.accept("/v1/orders", &order(customer)).await;
    let path = format!("/v1/orders/{}/events", text(&created["order_id"]));
    let mut receipts = vec![service.outcome(&created).await];
    for kind in ["order_confirmed", "order_delivered"] {
        let receipt = service.accept(&path, &json!({ "type": kind })).await;
        receipts.push(service.outcome(&receipt).await);
    }
    receipts
}

/// A stopped folder with some orders of every outcome.
async fn filled(data: &Path, count: usize) -> Vec<Value> {
    let mut service = Service::start(data, &[]);
    let mut receipts = Vec::new();
    for _ in 0..count {
        receipts.extend(place(&service, "c-1").await);
    }
    assert!(service.terminate().success());
    receipts
}

fn assert_consistent(data: &Path) {
    let check = run(&["rebuild", "--check"], data);
    assert!(check.status.success(), "{check:?}");
}
