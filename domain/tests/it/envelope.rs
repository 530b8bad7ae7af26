//! The JSON of an envelope: what we write, what we read, and what newer producers may add.

use domain::{Envelope, EventType, RecordedEvent};
use serde_json::{Value, json};

use crate::given::{envelope, eur, event, recorded};

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn decode(message: &Value) -> Envelope {
    Envelope::decode(message.to_string().as_bytes(), eur()).unwrap()
}

/// The expected JSON data of an event of this type, as [`event`] builds it.
fn data(event_type: EventType) -> Value {
    let mut data = match event_type {
        EventType::Created => json!({
            "customer_id": "customer-1", "currency": "EUR", "total": 2999, "metadata": {"gift": "yes"},
            "items": [
                {"sku": "mug", "quantity": 2, "unit_price": 1250}, {"sku": "tea", "quantity": 1, "unit_price": 499}
            ],
        }),
        EventType::Amended => json!({"items": [{"sku": "pot", "quantity": 3, "unit_price": 2000}]}),
        EventType::Confirmed | EventType::Delivered => json!({}),
        EventType::Paid => json!({"payment_id": "pay-1", "amount": 2999}),
        EventType::Shipped => json!({"carrier": "Post", "tracking_number": "track-1"}),
        EventType::Cancelled => json!({"reason": "changed their mind"}),
        EventType::Returned => json!({"reason": "does not fit"}),
        EventType::Refunded => json!({"refund_id": "refund-1", "amount": 2999}),
    };
    data["order_id"] = json!("order-1");
    data
}

/// The expected JSON message for an event of this type, as [`envelope`] wraps it.
fn message(event_type: EventType) -> Value {
    json!({
        "event_id": "00000000-0000-0000-0000-000000000001", "type": event_type.as_str(), "schema_version": 1,
        "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "request-1", "data": data(event_type),
    })
}

#[test]
fn every_event_type_is_written_as_this_json_and_read_from_it() {
    for event_type in EventType::ALL {
        let envelope = envelope(event(event_type));
        assert_eq!(value(&envelope.encode()), message(event_type), "{event_type}");
        assert_eq!(decode(&message(event_type)), envelope, "{event_type}");
    }
}

#[test]
fn optional_fields_are_written_only_if_present() {
    let mut json = message(EventType::Confirmed);
    json["expected_version"] = json!(4);
    json["request_hash"] = json!("c0ffee");
    json["actor"] = json!("client-a");
    let envelope = decode(&json);
    assert_eq!(envelope.expected_version, Some(4));
    assert_eq!(envelope.request_hash.as_deref(), Some("c0ffee"));
    assert_eq!(envelope.actor.as_deref(), Some("client-a"));
    assert_eq!(value(&envelope.encode()), json);
}

#[test]
fn null_is_the_same_as_absent_in_the_envelope() {
    let mut json = message(EventType::Confirmed);
    for field in ["expected_version", "request_hash", "actor"] {
        json[field] = Value::Null;
    }
    assert_eq!(decode(&json), decode(&message(EventType::Confirmed)));
}

#[test]
fn data_without_required_members_may_be_empty() {
    for event_type in EventType::ALL {
        if matches!(event_type, EventType::Created | EventType::Amended) {
            continue;
        }
        let mut bare = message(event_type);
        bare["data"] = json!({"order_id": "order-1"});
        assert_eq!(value(&decode(&bare).encode()), bare, "{event_type}");
    }
}

#[test]
fn unknown_fields_are_ignored_at_every_level() {
    for event_type in EventType::ALL {
        let mut newer = message(event_type);
        newer["trace"] = json!({"sampled": true, "parents": [1, null, "x"]});
        newer["data"]["channel"] = json!(["web"]);
        if newer["data"].get("items").is_some() {
            newer["data"]["items"][0]["colour"] = json!({"name": "red"});
        }
        assert_eq!(decode(&newer), decode(&message(event_type)), "{event_type}");
    }
}

#[test]
fn a_log_entry_is_the_envelope_with_version_and_time_of_recording() {
    let entry = recorded(7, event(EventType::Paid));
    let mut expected = value(&entry.envelope.encode());
    expected["version"] = json!(7);
    expected["recorded_at"] = json!("2026-11-23T10:07:30Z");
    assert_eq!(value(&entry.encode()), expected);
    assert_eq!(RecordedEvent::decode(&entry.encode(), eur()), Ok(entry));
}
