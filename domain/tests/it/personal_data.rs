//! Tests that personal data appears neither in errors, nor in the details of dead letters, nor in debug output.

use domain::{DeadLetter, Envelope, EventType, Order};
use serde_json::{Value, json};

use crate::given::{envelope, eur, event, recorded, time};

fn message(event_type: EventType) -> Value {
    serde_json::from_slice(&envelope(event(event_type)).encode()).unwrap()
}

#[test]
fn errors_about_personal_data_do_not_repeat_it() {
    let cases = [
        (json!({"contact": {"phone": 4_915_123_456_i64}}), "invalid data.contact.phone: must be a string"),
        (json!({"contact": {"name": true}}), "invalid data.contact.name: must be a string"),
        (
            json!({"contact": {"email": "ada at example.com"}}),
            "invalid data.contact.email: email must be an e-mail",
        ),
        (json!({"contact": {"name": "Ada\u{7}4915123456"}}), "invalid data.contact.name: text must be 1–200"),
        (json!({"contact": 4_915_123_456_i64}), "invalid data.contact: must be an object"),
        (
            json!({"contact": {"shipping_address": {"line1": 4_915_123_456_i64, "city": "Köln", "country": "DE"}}}),
            "invalid data.contact.shipping_address.line1: must be a string",
        ),
        (
            json!({"contact": {"shipping_address": {"line1": "a", "city": "b", "country": "4915123456"}}}),
            "invalid data.contact.shipping_address.country: country must be an ISO 3166-1 alpha-2 code",
        ),
        (json!({"notes": 4_915_123_456_i64}), "invalid data.notes: must be a string"),
    ];
    for event_type in [EventType::Created, EventType::Amended, EventType::Annotated] {
        for (members, expected) in &cases {
            if !members
                .as_object()
                .unwrap()
                .keys()
                .all(|name| message(event_type)["data"].get(name).is_some())
            {
                continue;
            }
            let mut json = message(event_type);
            json["data"].as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            let error = Envelope::decode(json.to_string().as_bytes(), eur()).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            for private in ["4915123456", "true", "ada at"] {
                assert!(!format!("{error} {error:?}").contains(private), "{error}");
            }
            // The detail of a dead letter is the text of the decoding error, and its ids are taken from the
            // message.
            let letter = DeadLetter::new(
                "m",
                json.to_string().into_bytes(),
                error.reason(),
                error.to_string(),
                time("2026-11-23T10:00:00Z"),
            );
            assert!(!letter.detail.contains("4915123456"));
        }
    }
}

#[test]
fn debug_output_contains_no_contact() {
    let created = recorded(1, event(EventType::Created));
    let order = Order::apply(None, &created).unwrap();
    for debug in [format!("{created:?}"), format!("{order:?}"), format!("{:?}", order.contact)] {
        assert!(debug.contains("Contact(…)"), "{debug}");
        for private in ["Lovelace", "ada@", "1234567", "Hauptstra", "Köln", "50667", "London"] {
            assert!(!debug.contains(private), "{debug}");
        }
    }
}
