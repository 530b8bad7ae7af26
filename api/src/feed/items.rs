//! Writes an event of the feed as JSON. `page` and `stream` call [`write_item`], and so do the examples of the descriptions.

use crate::ports::feed::FeedEvent;

/// Appends the event as one line of JSON: its position and its cursor, then the members of an order's log entry.
/// `operates` states whether the client is an operator. Operators see more of an event.
pub(crate) fn write_item(json: &mut Vec<u8>, event: FeedEvent, cursor: &str, operates: bool) {
    let FeedEvent { position, event: mut recorded, .. } = event;
    recorded.conceal(operates);
    json.extend_from_slice(br#"{"position":"#);
    serde_json::to_writer(&mut *json, &position).expect("writing a string as JSON to a vector cannot fail");
    // The cursor needs no escaping, because it consists of letters, digits, - and _.
    json.extend_from_slice(br#","cursor":""#);
    json.extend_from_slice(cursor.as_bytes());
    json.extend_from_slice(br#"","#);
    let entry = recorded.encode();
    json.extend_from_slice(entry.strip_prefix(b"{").unwrap_or(&entry));
}

#[cfg(test)]
mod tests {
    use domain::{Currency, RecordedEvent};
    use serde_json::{Value, json};

    use super::*;
    use crate::ports::feed::FeedCursor;

    #[test]
    fn an_item_is_the_log_entry_with_position_and_cursor() {
        let entry = json!({
            "version": 1, "recorded_at": "2026-11-23T10:59:00Z", "event_id": "0199d3a0-0000-7000-8000-000000000001",
            "type": "order_created", "schema_version": 2, "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "r",
            "request_hash": "5e8c24a0b1d39f70", "data": {
                "order_id": "o-1", "customer_id": "c-1", "currency": "EUR", "total": 1,
                "items": [{ "line_id": "1", "sku": "A", "quantity": 1, "unit_price": 1 }],
            },
        });
        let currency = Currency::parse("EUR").unwrap();
        let recorded = RecordedEvent::decode(entry.to_string().as_bytes(), currency).unwrap();
        let mut expected = serde_json::to_value(&recorded).unwrap();
        expected["position"] = "3-7".into();
        expected["cursor"] = "AbC_-1".into();
        expected.as_object_mut().unwrap().remove("request_hash");

        let event = FeedEvent { position: "3-7".to_owned(), cursor: FeedCursor(vec![7]), event: recorded };
        let mut json = b"before".to_vec();
        write_item(&mut json, event, "AbC_-1", true);
        let item = json.strip_prefix(b"before").unwrap();
        assert!(!item.contains(&b'\n'), "an item of a stream must be one line");
        assert_eq!(serde_json::from_slice::<Value>(item).unwrap(), expected);
    }
}
