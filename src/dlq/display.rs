//! Prints dead letters for `orders dlq list` and `orders dlq show`.

use std::io::Write;

use serde_json::Value;

use super::FilterArgs;
use super::api::{self, DeadLetterDetails, DeadLetterSummary};
use crate::api_client::ApiClient;
use crate::style::{shortened, to_seconds, without_controls};
use crate::table::{Listing, aligned};

/// The maximum length of a detail in the table, in characters.
const MAX_DETAIL: usize = 80;

pub(super) async fn list(
    client: &ApiClient,
    filter: &FilterArgs,
    state: Option<String>,
    limit: usize,
    json: bool,
) -> anyhow::Result<()> {
    let (letters, more) = api::list(client, filter, state, limit).await?;
    let reached = more.then_some(limit);
    Listing { items: &letters, json, nothing: "no dead letters", reached }.print(table)
}

fn table(letters: &[DeadLetterSummary]) -> Vec<String> {
    let head = ["ID", "PARKED AT", "STATE", "REASON", "ORDER", "EVENT", "DETAIL"];
    let row = |letter: &DeadLetterSummary| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        [
            letter.id.clone(),
            to_seconds(&letter.parked_at).to_owned(),
            letter.state.clone(),
            letter.reason.clone(),
            or_dash(&letter.order_id),
            or_dash(&letter.event_type),
            shortened(&letter.detail, MAX_DETAIL),
        ]
    };
    aligned(head, letters.iter().map(row))
}

/// Writes the body to standard output, byte for byte.
pub(super) async fn print_body(client: &ApiClient, id: &str) -> anyhow::Result<()> {
    let letter: domain::DeadLetter = client.get(&api::dead_letter_path(id)?).await?;
    Ok(std::io::stdout().lock().write_all(&letter.body.0)?)
}

pub(super) async fn show(client: &ApiClient, id: &str, json: bool) -> anyhow::Result<()> {
    let path = api::dead_letter_path(id)?;
    if json {
        let letter: Value = client.get(&path).await?;
        return crate::print(&serde_json::to_string_pretty(&letter)?);
    }
    let letter: DeadLetterDetails = client.get(&path).await?;
    lines(&letter).iter().try_for_each(|line| crate::print(&without_controls(line)))
}

fn lines(letter: &DeadLetterDetails) -> Vec<String> {
    let summary = &letter.summary;
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<&str>| {
        lines.extend(value.filter(|value| !value.is_empty()).map(|value| format!("{name:<12} {value}")));
    };
    let text = |name: &str| summary.others.get(name).and_then(Value::as_str);
    add("id", Some(&summary.id));
    add("state", Some(&summary.state));
    add("reason", Some(&summary.reason));
    add("detail", Some(&summary.detail));
    add("order", summary.order_id.as_deref());
    add("event", summary.event_type.as_deref());
    add("event id", summary.event_id.as_deref());
    add("correlation", text("correlation_id"));
    add("from", text("origin"));
    add("sent", text("sent_at"));
    add(
        "received",
        Some(&format!(
            "{} times, first {}",
            summary.receive_count,
            text("first_received_at").unwrap_or("unknown")
        )),
    );
    add("parked", Some(&summary.parked_at));
    add("replays", Some(&summary.replays.to_string()).filter(|_| summary.replays > 0).map(String::as_str));
    for repair in summary.others.get("repairs").and_then(Value::as_array).into_iter().flatten() {
        let member = |name: &str| repair[name].as_str().unwrap_or("unknown");
        add("repaired", Some(&format!("by {} at {}", member("by"), member("at"))));
    }
    if let Some(discarded) = summary.others.get("discarded") {
        let member = |name: &str| discarded[name].as_str().unwrap_or("unknown").to_owned();
        add("discarded", Some(&format!("by {} at {}: {}", member("by"), member("at"), member("reason"))));
    }
    if letter.sequence.len() > 1 {
        add("in sequence", Some(&place_in_sequence(letter)));
    }
    add("redrive", Some(&letter.prediction.describe()));
    lines.push(String::new());
    if summary.others.get("original").is_some() {
        lines.push("body, repaired:".to_owned());
    }
    lines.push(body(&summary.others));
    lines.push(String::new());
    lines.extend(next_commands(letter));
    lines
}

/// Describes the position of a dead letter in its parked sequence, and the beginning of that sequence.
fn place_in_sequence(letter: &DeadLetterDetails) -> String {
    let length = letter.sequence.len();
    let place = letter.sequence.iter().position(|id| *id == letter.summary.id);
    let place = place.map_or_else(|| format!("after {length}"), |place| (place + 1).to_string());
    let (more, and_more) = if letter.sequence_is_cut { ("more than ", ", …") } else { ("", "") };
    format!("{place} of {more}{length}: {}{and_more}", letter.sequence.join(", "))
}

/// The body as indented JSON, as text, or as base64.
fn body(members: &serde_json::Map<String, Value>) -> String {
    let Some(text) = members.get("body").and_then(Value::as_str) else {
        let coded = members.get("body_base64").and_then(Value::as_str).unwrap_or_default();
        return format!("(not text; in base64) {coded}");
    };
    let json: Option<Value> = serde_json::from_str(text).ok();
    json.and_then(|json| serde_json::to_string_pretty(&json).ok()).unwrap_or_else(|| text.to_owned())
}

/// The commands that an operator may want to run next.
fn next_commands(letter: &DeadLetterDetails) -> Vec<String> {
    let id = &letter.summary.id;
    let redrive = match &letter.summary.order_id {
        Some(order) => format!("orders dlq redrive --order {order} --dry-run"),
        None => format!("orders dlq redrive {id} --dry-run"),
    };
    let all = [
        ("look closer:", format!("orders dlq show {id} --body > body.json")),
        ("repair it:", format!("orders dlq repair {id} --body body.json")),
        ("redrive it:", redrive),
        ("or discard it:", format!("orders dlq discard {id} --reason TEXT")),
    ];
    let open = letter.summary.state == "parked";
    all.into_iter().filter(|_| open).map(|(what, command)| format!("{what:<15} {command}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: &str, order: Option<&str>) -> DeadLetterSummary {
        let json = serde_json::json!({
            "id": id, "state": "parked", "reason": "malformed", "detail": "x".repeat(100), "order_id": order,
            "parked_at": "2026-11-23T10:00:00.123456Z", "receive_count": 1, "replays": 0, "origin": "embedded",
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_table_has_aligned_columns() {
        let lines = table(&[letter("1", None), letter("1234", Some("o-1"))]);
        assert_eq!(lines.len(), 3);
        let column = |name: &str| lines[0].find(name).unwrap();
        assert_eq!(&lines[2][column("ORDER")..column("ORDER") + 3], "o-1");
        assert_eq!(&lines[1][column("PARKED AT")..column("STATE")], "2026-11-23T10:00:00  ");
        assert!(lines[1].ends_with('…') && lines[1].chars().count() < 160);
    }

    #[test]
    fn control_characters_of_a_message_are_not_printed() {
        let mut poisoned = letter("1", None);
        poisoned.detail = "\u{1b}[2Jgone\nnext\u{7}".to_owned();
        let line = table(&[poisoned]).remove(1);
        assert!(line.ends_with("\u{fffd}[2Jgone next\u{fffd}"), "{line:?}");
    }

    #[test]
    fn a_body_is_shown_as_json_or_text_or_base64() {
        let body = |json: Value| body(json.as_object().unwrap());
        assert_eq!(body(serde_json::json!({ "body": r#"{"a":1}"# })), "{\n  \"a\": 1\n}");
        assert_eq!(body(serde_json::json!({ "body": "{ cut" })), "{ cut");
        assert!(body(serde_json::json!({ "body_base64": "/w==" })).ends_with("/w=="));
    }
}
