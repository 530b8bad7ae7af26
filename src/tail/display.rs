//! Formats an event of the feed as a line for people. [`super::run`] prints the line.

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::style::{shortened, to_seconds, without_controls};

/// The maximum length of the data on a line, in characters.
const MAX_DATA: usize = 100;

/// The members of an item that a line shows.
#[derive(Debug, Deserialize)]
struct FeedItem {
    version: u64,
    recorded_at: String,
    #[serde(rename = "type")]
    event_type: String,
    data: Map<String, Value>,
}

/// Formats an item as a line: time, order, version, type, and the beginning of the data.
pub(super) fn line(item: &str) -> anyhow::Result<String> {
    let item: FeedItem =
        serde_json::from_str(item).context("the service answered with an item that is not an event")?;
    let FeedItem { version, recorded_at, event_type, data } = item;
    let order = data.get("order_id").and_then(Value::as_str).unwrap_or("-");
    let time = to_seconds(&recorded_at);
    let line = format!("{time}  {order}  v{version:<3} {event_type:<24} {}", short(&data));
    Ok(without_controls(line.trim_end()).replace('\n', " "))
}

/// The members of the data as `name=value`. For a list or an object, the line shows the number of its elements.
fn short(data: &Map<String, Value>) -> String {
    let shown = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        Value::Array(elements) => format!("{name}=[{}]", elements.len()),
        Value::Object(members) => format!("{name}={{{}}}", members.len()),
        value => format!("{name}={value}"),
    };
    let members: Vec<_> = data.iter().filter(|(name, _)| *name != "order_id").map(shown).collect();
    shortened(&members.join(" "), MAX_DATA)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(event_type: &str, data: &Value) -> String {
        let item = json!({ "version": 3, "recorded_at": "2026-11-23T10:00:00.123456Z", "type": event_type, "data": data });
        line(&item.to_string()).unwrap()
    }

    #[test]
    fn a_line_has_time_order_version_type_and_data() {
        let paid = json!({ "order_id": "o-1", "payment_id": "p-1", "amount": 900 });
        let expected = "2026-11-23T10:00:00  o-1  v3   order_paid               amount=900 payment_id=p-1";
        assert_eq!(shown("order_paid", &paid), expected);
        let nested =
            json!({ "order_id": "o-1", "items": [1, 2], "contact": { "name": "x" }, "ship_unpaid": true });
        assert!(shown("order_created", &nested).ends_with("contact={1} items=[2] ship_unpaid=true"));
        assert_eq!(
            shown("order_confirmed", &json!({ "order_id": "o-1" })),
            "2026-11-23T10:00:00  o-1  v3   order_confirmed"
        );
    }

    #[test]
    fn a_line_stays_one_short_line_without_control_characters() {
        let data = json!({ "order_id": "o-1", "notes": format!("\u{1b}[2J\n{}", "ä".repeat(500)) });
        let line = shown("order_annotated", &data);
        assert!(
            line.contains("\u{fffd}[2J ä") && line.ends_with('…') && line.chars().count() < 170,
            "{line}"
        );
    }
}
