//! Prints subscriptions for `orders webhooks list` and `orders webhooks show`.

use serde_json::Value;

use super::OneArgs;
use crate::api_client::ApiClient;
use crate::style::without_controls;
use crate::table::{Listing, aligned};

pub(super) async fn list(client: &ApiClient, json: bool) -> anyhow::Result<()> {
    let page: Value = client.get("/v1/webhooks").await?;
    let webhooks = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    Listing { items: webhooks, json, nothing: "no webhook subscriptions", reached: None }.print(table)
}

fn table(webhooks: &[Value]) -> Vec<String> {
    let head = ["ID", "STATE", "BEHIND BY", "HELD ORDERS", "TYPES", "URL", "DESCRIPTION"];
    let row = |webhook: &Value| {
        let text = |name: &str| webhook[name].as_str().unwrap_or("-").to_owned();
        [
            text("id"),
            text("state"),
            lag(&webhook["progress"]),
            webhook["progress"]["held_orders"].to_string(),
            types(webhook),
            text("url"),
            text("description"),
        ]
    };
    aligned(head, webhooks.iter().map(row))
}

/// The selected types, in words.
fn types(webhook: &Value) -> String {
    let types: Vec<_> = webhook["types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match types.as_slice() {
        [] => "all".to_owned(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// How far deliveries lag behind the recorded events, in words.
pub(super) fn lag(progress: &Value) -> String {
    let events = progress["lag_events"].as_u64().map(|events| format!("{events} events"));
    let age = progress["lag_ms"].as_u64().filter(|ms| *ms > 0).map(|ms| {
        let age = std::time::Duration::from_millis(ms);
        humantime::format_duration(if ms < 1000 { age } else { std::time::Duration::from_secs(ms / 1000) })
            .to_string()
    });
    match (events, age) {
        (Some(events), Some(age)) => format!("{events}, {age}"),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => "unknown".to_owned(),
    }
}

pub(super) async fn show(one: &OneArgs, json: bool) -> anyhow::Result<()> {
    let webhook: Value = one.client()?.get(&one.path("")?).await?;
    if json {
        return crate::print(&serde_json::to_string_pretty(&webhook)?);
    }
    lines(&webhook).iter().try_for_each(|line| crate::print(&without_controls(line)))
}

fn lines(webhook: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        lines.extend(value.filter(|value| !value.is_empty()).map(|value| format!("{name:<16} {value}")));
    };
    let (progress, stopped) = (&webhook["progress"], &webhook["stopped"]);
    let of = |object: &Value, name: &str| object[name].as_str().map(str::to_owned);
    let list = |values: Option<Vec<&str>>| values.map(|values| values.join(", "));
    add("id", of(webhook, "id"));
    add("state", of(webhook, "state"));
    if let (Some(reason), Some(at)) = (of(stopped, "reason"), of(stopped, "at")) {
        add("stopped", Some(format!("{at}: {reason}")));
    }
    add("url", of(webhook, "url"));
    let all = webhook["types"].as_array();
    let named = list(all.map(|all| all.iter().filter_map(Value::as_str).collect()));
    add("types", named.map(|named| if named.is_empty() { "all".to_owned() } else { named }));
    add("customer", of(webhook, "customer_id"));
    add("description", of(webhook, "description"));
    add("headers", list(webhook["headers"].as_object().map(|it| it.keys().map(String::as_str).collect())));
    for secret in webhook["secrets"].as_array().into_iter().flatten().skip(1) {
        add("earlier secret", of(secret, "expires_at").map(|end| format!("signs until {end}")));
    }
    add("behind by", Some(lag(progress)));
    add("held orders", Some(progress["held_orders"].to_string()));
    add("held since", of(progress, "held_since"));
    add("last success", of(progress, "succeeded_at"));
    add("its event", of(progress, "succeeded_recorded_at").map(|at| format!("was recorded at {at}")));
    add("failing since", of(progress, "failing_since"));
    add("last error", of(progress, "last_error"));
    add("cursor", of(progress, "cursor"));
    add("revision", Some(webhook["revision"].to_string()));
    add("created", of(webhook, "created_at"));
    add("updated", of(webhook, "updated_at"));
    lines.extend(next_commands(webhook));
    lines
}

/// The commands that an operator may want to run next.
fn next_commands(webhook: &Value) -> Vec<String> {
    let id = webhook["id"].as_str().unwrap_or_default();
    let mut commands = Vec::new();
    if webhook["state"] != "active" {
        commands.push(format!("{:<16} orders webhooks test {id}", "test it:"));
        commands.push(format!("{:<16} orders webhooks resume {id}", "resume it:"));
    }
    if webhook["progress"]["held_orders"].as_u64().is_some_and(|orders| orders > 0) {
        commands.push(format!("{:<16} orders webhooks deliveries {id}", "look closer:"));
    }
    if !commands.is_empty() {
        commands.insert(0, String::new());
    }
    commands
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn webhook() -> Value {
        json!({
            "id": "0199d3a0-0000-7000-8000-000000000001", "state": "disabled", "url": "https://shop.example/\u{1b}[2J",
            "types": ["order_paid", "order_shipped"], "headers": { "x-key": "•" }, "revision": 3,
            "stopped": { "reason": "All deliveries failed.", "at": "2026-11-23T10:00:00Z" },
            "secrets": [{}, { "expires_at": "2026-11-24T10:00:00Z" }],
            "progress": { "lag_events": 12, "lag_ms": 61_500, "held_orders": 2, "last_error": "the status 500" },
            "created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-23T10:00:00Z",
        })
    }

    #[test]
    fn a_stopped_subscription_is_shown_with_the_reason_and_the_next_commands() {
        let text = lines(&webhook()).join("\n");
        for part in [
            "stopped          2026-11-23T10:00:00Z: All deliveries failed.",
            "types            order_paid, order_shipped",
            "earlier secret   signs until 2026-11-24T10:00:00Z",
            "behind by        12 events, 1m 1s",
            "resume it:       orders webhooks resume 0199d3a0-0000-7000-8000-000000000001",
            "look closer:     orders webhooks deliveries 0199d3a0-0000-7000-8000-000000000001",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }

    #[test]
    fn a_table_has_aligned_columns_without_control_characters() {
        let lines = table(&[webhook()]);
        let column = |name: &str| lines[0].find(name).unwrap();
        assert!(lines[1][column("TYPES")..].starts_with("order_paid and 1 more"), "{lines:?}");
        assert!(lines[1].contains("https://shop.example/\u{fffd}[2J"), "{lines:?}");
    }

    #[test]
    fn a_lag_is_shown_in_the_units_that_are_known() {
        assert_eq!(lag(&json!({ "lag_events": 0, "lag_ms": 0 })), "0 events");
        assert_eq!(lag(&json!({ "lag_ms": 250 })), "250ms");
        assert_eq!(lag(&json!({})), "unknown");
    }
}
