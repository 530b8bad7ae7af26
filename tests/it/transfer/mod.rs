//! Tests `orders export` and `orders import` with the real binary. Nothing is lost or changed on the way from
//! one store to another, a killed import can run again, and lines that cannot be imported are reported.

#[cfg(feature = "aws")]
mod aws;
mod conflicts;
mod killed;
mod lines;
mod round_trip;
mod running;
mod tables;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::service::{orders, run};

/// Runs `orders import` of a file into a data folder.
pub fn import(file: &Path, data: &Path, arguments: &[&str]) -> Output {
    let mut command = orders(&["import", "--default-currency", "EUR"]);
    command.args(arguments).arg(file).arg("--data").arg(data).output().unwrap()
}

/// The output of a command, which must have succeeded.
#[track_caller]
pub fn printed(output: &Output) -> String {
    let text = text(output);
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Everything that a command printed.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[track_caller]
pub fn export(data: &Path) -> String {
    printed(&run(&["export", "--default-currency", "EUR"], data))
}

/// Asserts that the derived writes, the feed and the ledger of the folder agree with its log.
#[track_caller]
pub fn check(data: &Path) {
    let output = run(&["rebuild", "--check"], data);
    assert!(output.status.success(), "{}", text(&output));
}

pub fn file(folder: &Path, name: &str, lines: &[String]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    path
}

/// The line of an event.
pub fn line(order: &str, version: u64, number: u64, kind: &str, data: &Value) -> String {
    let mut data = data.clone();
    data["order_id"] = order.into();
    json!({
        "version": version, "recorded_at": "2026-11-23T10:00:00Z", "type": kind, "schema_version": 2,
        "event_id": format!("0199d3a0-0000-7000-8000-{number:012}"), "timestamp": "2026-11-23T10:00:00Z",
        "correlation_id": "r", "data": data,
    })
    .to_string()
}

/// The data of an `order_created` event.
pub fn order_data() -> Value {
    let items = json!([{ "line_id": "1", "sku": "tea", "quantity": 2, "unit_price": 450 }]);
    json!({ "customer_id": "c-1", "currency": "EUR", "items": items, "total": 900 })
}

/// The lines of `count` orders, each with an `order_created` and an `order_confirmed` event.
pub fn two_events_of(count: u64) -> Vec<String> {
    let of_order = |number: u64| {
        let order = format!("order-{number:06}");
        [
            line(&order, 1, 2 * number, "order_created", &order_data()),
            line(&order, 2, 2 * number + 1, "order_confirmed", &json!({})),
        ]
    };
    (0..count).flat_map(of_order).collect()
}
