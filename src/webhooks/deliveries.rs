//! The commands about deliveries: `deliveries`, `skip` and `test`.

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::{OneArgs, checked_id};
use crate::api_client::List;
use crate::style::{shortened, to_seconds, without_controls};
use crate::table::{Listing, aligned};

/// The maximum length of an error in the table, in characters.
const MAX_ERROR: usize = 80;

/// Selects deliveries.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// List only deliveries in this state: delivered, retrying, held, gave_up or skipped.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// List only deliveries of this order's events.
    #[arg(long, value_name = "ORDER")]
    order: Option<String>,
    /// List at most this many deliveries.
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    limit: usize,
}

pub(super) async fn list(one: &OneArgs, filter: &FilterArgs, json: bool) -> anyhow::Result<()> {
    let mut conditions = Vec::new();
    conditions.extend(filter.state.clone().map(|state| ("state", state)));
    conditions.extend(filter.order.clone().map(|order| ("order_id", order)));
    let list = List { path: &one.path("/deliveries")?, filter: conditions, cursor: "after" };
    let (deliveries, more): (Vec<Value>, bool) = list.read(&one.client()?, filter.limit).await?;
    let reached = more.then_some(filter.limit);
    Listing { items: &deliveries, json, nothing: "no deliveries", reached }.print(table)
}

fn table(deliveries: &[Value]) -> Vec<String> {
    let head = ["EVENT ID", "STATE", "ORDER", "VERSION", "EVENT", "ATTEMPTS", "NEXT ATTEMPT", "LAST ATTEMPT"];
    let row = |delivery: &Value| {
        let text = |name: &str| delivery[name].as_str().unwrap_or("-").to_owned();
        [
            text("event_id"),
            text("state"),
            text("order_id"),
            delivery["version"].to_string(),
            text("event_type"),
            delivery["attempts"].to_string(),
            to_seconds(&text("next_attempt_at")).to_owned(),
            outcome(delivery),
        ]
    };
    aligned(head, deliveries.iter().map(row))
}

/// Why a delivery was skipped, or the result of its last attempt.
fn outcome(delivery: &Value) -> String {
    if let Some(reason) = delivery["skipped"]["reason"].as_str() {
        return shortened(&format!("skipped: {reason}"), MAX_ERROR);
    }
    let attempt = &delivery["last_attempt"];
    match (attempt["error"].as_str(), attempt["status"].as_u64()) {
        (Some(error), _) => shortened(error, MAX_ERROR),
        (None, Some(status)) => format!("{status} in {} ms", attempt["latency_ms"]),
        (None, None) => "-".to_owned(),
    }
}

pub(super) async fn skip(one: &OneArgs, event_id: &str, reason: &str) -> anyhow::Result<()> {
    let path = one.path(&format!("/deliveries/{}/skip", checked_id(event_id)?))?;
    one.client()?.post_without_answer(&path, &json!({ "reason": reason })).await?;
    crate::print(&format!("{event_id} is skipped; the later events of its order are delivered next"))
}

pub(super) async fn test(one: &OneArgs, json: bool) -> anyhow::Result<()> {
    let attempt: Value = one.client()?.post(&one.path("/test")?, &json!({})).await?;
    let (status, error) = (attempt["status"].as_u64(), attempt["error"].as_str());
    if json {
        crate::print(&serde_json::to_string_pretty(&attempt)?)?;
    } else {
        let answer = status.map_or("no answer".to_owned(), |status| format!("status {status}"));
        crate::print(&format!("{answer} after {} ms", attempt["latency_ms"]))?;
        if let Some(body) = attempt["body_excerpt"].as_str().filter(|body| !body.is_empty()) {
            crate::print(&without_controls(body))?;
        }
    }
    match error {
        Some(error) => bail!("the test failed: {}", without_controls(error)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_the_last_attempt_or_the_reason_of_a_skip() {
        let delivery = |state: &str, more: Value| {
            let mut delivery = json!({
                "event_id": "0199d3a0-0000-7000-8000-000000000001", "state": state, "order_id": "o-1", "version": 3,
                "event_type": "order_paid", "attempts": 2,
            });
            delivery.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            delivery
        };
        let lines = table(&[
            delivery(
                "retrying",
                json!({ "next_attempt_at": "2026-11-23T10:05:00.123Z",
                    "last_attempt": { "error": "x".repeat(100), "latency_ms": 3 } }),
            ),
            delivery("delivered", json!({ "last_attempt": { "status": 200, "latency_ms": 12 } })),
            delivery("skipped", json!({ "skipped": { "reason": "known\u{7}" } })),
            delivery("held", json!({})),
        ]);
        assert!(lines[1].contains("2026-11-23T10:05:00  xxx") && lines[1].ends_with('…'), "{lines:#?}");
        assert!(lines[2].ends_with("200 in 12 ms"), "{lines:#?}");
        assert!(lines[3].ends_with("skipped: known\u{fffd}"), "{lines:#?}");
        assert!(lines[4].ends_with("-"), "{lines:#?}");
    }
}
