//! Tests decoding: it is the inverse of encoding, ignores members that newer producers add, and never panics.

use domain::identify;
use domain::{Envelope, Order, RecordedEvent};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::arbitrary;
use crate::given::eur;

/// Any small JSON value.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-5..5_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!("order_updated")),
        Just(json!("paid")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-z_]{0,8}", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Adds the JSON pointers to `value` and to every value inside it to `found`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                pointers(inner, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(values) => {
            for (i, inner) in values.iter().enumerate() {
                pointers(inner, &format!("{at}/{i}"), found);
            }
        }
        _ => {}
    }
}

/// One change to a message: a value is replaced, or a field is removed or added.
#[derive(Debug, Clone)]
enum Change {
    Replace(Value),
    Remove(Index),
    Insert(String, Value),
}

fn change() -> impl Strategy<Value = (Index, Change)> {
    let change = prop_oneof![
        value().prop_map(Change::Replace),
        any::<Index>().prop_map(Change::Remove),
        ("[a-z_]{1,10}", value()).prop_map(|(name, value)| Change::Insert(name, value)),
    ];
    (any::<Index>(), change)
}

fn mutate(message: &mut Value, at: Index, change: Change) {
    let mut found = Vec::new();
    pointers(message, "", &mut found);
    let target = message.pointer_mut(&found[at.index(found.len())]).unwrap();
    match (change, target) {
        (Change::Replace(value), target) => *target = value,
        (Change::Remove(which), Value::Object(fields)) if !fields.is_empty() => {
            let name = which.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
            fields.remove(&name);
        }
        (Change::Insert(name, value), Value::Object(fields)) => {
            fields.insert(name, value);
        }
        _ => {}
    }
}

/// Decodes `message` with every decoder. A decoded value must survive encoding, and an error must have a text and a
/// reason.
fn decode_all(message: &[u8]) {
    match Envelope::decode(message, eur()) {
        Ok(envelope) => assert_eq!(Envelope::decode(&envelope.encode(), eur()), Ok(envelope)),
        Err(error) => assert!(!error.to_string().is_empty() && !error.reason().as_str().is_empty()),
    }
    if let Ok(entry) = RecordedEvent::decode(message, eur()) {
        assert_eq!(RecordedEvent::decode(&entry.encode(), eur()), Ok(entry));
    }
    let _: Result<Order, _> = serde_json::from_slice(message);
    let _ = identify(message);
}

proptest! {
    #[test]
    fn an_event_is_written_as_serde_writes_it(event in arbitrary::recorded()) {
        prop_assert_eq!(event.encode(), serde_json::to_vec(&event).unwrap());
        prop_assert_eq!(event.envelope.encode(), serde_json::to_vec(&event.envelope).unwrap());
    }

    #[test]
    fn an_envelope_is_decoded_as_it_was_encoded(envelope in arbitrary::envelope()) {
        let bytes = envelope.encode();
        let identity = identify(&bytes);
        prop_assert_eq!((identity.order_id, identity.event_id), (Some(envelope.order_id.clone()), Some(envelope.event_id)));
        prop_assert_eq!(identity.event_type.as_deref(), Some(envelope.event.event_type().as_str()));
        prop_assert_eq!(Envelope::decode(&bytes, eur()), Ok(envelope));
    }

    #[test]
    fn a_log_entry_is_decoded_as_it_was_encoded(entry in arbitrary::recorded()) {
        prop_assert_eq!(RecordedEvent::decode(&entry.encode(), eur()), Ok(entry));
    }

    #[test]
    fn unknown_fields_change_nothing(entry in arbitrary::recorded(), added in value()) {
        let mut json: Value = serde_json::from_slice(&entry.encode()).unwrap();
        let mut found = Vec::new();
        pointers(&json, "", &mut found);
        for at in found.iter().filter(|at| !at.starts_with("/data/metadata")) {
            if let Some(Value::Object(fields)) = json.pointer_mut(at) {
                fields.insert("x_unknown".to_owned(), added.clone());
            }
        }
        prop_assert_eq!(RecordedEvent::decode(json.to_string().as_bytes(), eur()), Ok(entry));
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in vec(any::<u8>(), 0..200)) {
        decode_all(&bytes);
    }

    #[test]
    fn no_json_makes_decoding_panic(json in value()) {
        decode_all(json.to_string().as_bytes());
    }

    #[test]
    fn no_change_of_a_message_makes_decoding_panic(
        entry in arbitrary::recorded(),
        is_v0 in any::<bool>(),
        changes in vec(change(), 1..4),
    ) {
        let mut json: Value = serde_json::from_slice(&entry.encode()).unwrap();
        if is_v0 {
            json.as_object_mut().unwrap().remove("schema_version");
        }
        for (at, change) in changes {
            mutate(&mut json, at, change);
        }
        decode_all(json.to_string().as_bytes());
    }

    #[test]
    fn no_garbled_message_makes_decoding_panic(
        entry in arbitrary::recorded(),
        edits in vec((any::<Index>(), any::<Option<u8>>()), 1..6),
    ) {
        let mut bytes = entry.encode();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            match byte {
                Some(byte) => bytes[at] = byte,
                None => bytes.truncate(at.max(1)),
            }
        }
        decode_all(&bytes);
    }
}

#[test]
fn deep_nesting_is_refused_without_overflowing_the_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let created = json!({"type": "order_created", "timestamp": "2026-11-23T10:00:00Z"});
    let paid = json!({"type": "order_paid", "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z"});
    let with_data = |envelope: &Value, data: &str| {
        format!("{},\"data\":{data}}}", envelope.to_string().trim_end_matches('}'))
    };
    for message in [
        deep.clone(),
        with_data(&created, &deep),
        with_data(&created, &format!(r#"{{"order_id":"o","items":{deep}}}"#)),
        with_data(&paid, &format!(r#"{{"order_id":"o","amount":{deep}}}"#)),
    ] {
        Envelope::decode(message.as_bytes(), eur()).unwrap_err();
        assert_eq!(identify(message.as_bytes()).event_id, None);
    }
}
