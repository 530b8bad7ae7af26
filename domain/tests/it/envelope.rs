//! Tests the JSON of an envelope: what we write, what we read, and which additions by newer producers we accept.

use domain::{Envelope, EventType, RecordedEvent};
use serde_json::{Value, json};

use crate::given::{data, envelope, eur, event, recorded};

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn decode(message: &Value) -> Envelope {
    Envelope::decode(message.to_string().as_bytes(), eur()).unwrap()
}

/// The expected JSON of the envelope that [`envelope`] returns for the given type of event.
fn message(event_type: EventType) -> Value {
    let mut data = data(event_type);
    data["order_id"] = json!("order-1");
    json!({
        "event_id": "00000000-0000-0000-0000-000000000001", "type": event_type.as_str(), "schema_version": 2,
        "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "request-1", "data": data,
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
        if !event_type.required_data().is_empty() {
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
        for member in ["items", "adjustments"] {
            if let Some(Value::Object(first)) = newer["data"].pointer_mut(&format!("/{member}/0")) {
                first.insert("colour".to_owned(), json!({"name": "red"}));
            }
        }
        if let Some(Value::Object(contact)) = newer["data"].get_mut("contact") {
            contact.insert("fax".to_owned(), json!(7));
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
