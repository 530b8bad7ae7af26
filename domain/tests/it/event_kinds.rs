//! Tests the table of event kinds: its examples, and the members that it requires.

use domain::{Envelope, EventType};
use serde_json::{Value, json};

use crate::given::eur;

/// A complete message with the example data of the given event type.
fn example(event_type: EventType) -> Value {
    let mut data: Value = serde_json::from_str(event_type.example_data()).unwrap();
    data["order_id"] = json!("order-1");
    json!({
        "event_id": "00000000-0000-0000-0000-000000000001", "type": event_type.as_str(), "schema_version": 2,
        "timestamp": "2026-11-23T10:00:00Z", "correlation_id": "request-1", "data": data,
    })
}

fn decode(message: &Value) -> Option<Envelope> {
    Envelope::decode(message.to_string().as_bytes(), eur()).ok()
}

#[test]
fn every_example_is_an_event_of_its_type_and_contains_only_known_members() {
    for event_type in EventType::ALL {
        let message = example(event_type);
        let envelope = decode(&message).unwrap();
        assert_eq!(envelope.event.event_type(), event_type);
        assert_eq!(serde_json::from_slice::<Value>(&envelope.encode()).unwrap(), message, "{event_type}");
    }
}

#[test]
fn an_event_without_a_required_member_is_refused_and_without_another_one_is_not() {
    for event_type in EventType::ALL {
        let message = example(event_type);
        for name in message["data"].as_object().unwrap().keys() {
            let mut without = message.clone();
            without["data"].as_object_mut().unwrap().remove(name);
            // The total must be the sum of the lines and adjustments, so the test changes the total together with
            // them.
            if let Some(Value::Array(adjustments)) = message["data"].get("adjustments")
                && (name, event_type) == (&"adjustments".to_owned(), EventType::Created)
            {
                let adjusted: i64 = adjustments.iter().filter_map(|it| it["amount"].as_i64()).sum();
                without["data"]["total"] = json!(message["data"]["total"].as_i64().unwrap() - adjusted);
            }
            let is_required = name == "order_id" || event_type.required_data().contains(&name.as_str());
            assert_eq!(decode(&without).is_none(), is_required, "{event_type} without {name}");
        }
    }
}
