//! Tests messages that cannot be decoded: the error, the position that the error names, and the ids that can still be
//! found.

use domain::{DecodeError, Envelope, Event, EventType, ParkReason, RecordedEvent};
use domain::{MessageIdentity, identify};
use serde_json::{Value, json};

use crate::given::{envelope, eur, event, recorded};

fn message(event_type: EventType) -> Value {
    serde_json::from_slice(&envelope(event(event_type)).encode()).unwrap()
}

fn refused(message: &[u8]) -> DecodeError {
    Envelope::decode(message, eur()).expect_err(&String::from_utf8_lossy(message))
}

/// The error for a message of `event_type` in which the value at `pointer` is replaced by `value`.
fn refused_with(event_type: EventType, pointer: &str, value: Value) -> DecodeError {
    let mut json = message(event_type);
    *json.pointer_mut(pointer).unwrap() = value;
    refused(json.to_string().as_bytes())
}

/// The error for a message of `event_type` in which `parent` lacks the field `name`.
fn refused_without(event_type: EventType, parent: &str, name: &str) -> DecodeError {
    let mut json = message(event_type);
    json.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    refused(json.to_string().as_bytes())
}

#[test]
fn a_message_that_is_not_an_envelope_is_malformed() {
    let messages: &[&[u8]] = &[
        b"",
        b" ",
        b"hello",
        b"{",
        b"null",
        b"1",
        b"\"order_created\"",
        b"[]",
        b"{}",
        b"{\"type\": \"order_paid\"}",
        b"{\"type\": 1, \"data\": {}}",
        b"{\"type\": \"order_paid\", \"data\": {}} {}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"{\"type\": \"order_paid\", \"type\": \"order_paid\", \"data\": {}}",
        br#"["order_paid", {"order_id": "o"}, "2026-11-23T10:00:00Z", null, 1, null, null, null, null]"#,
    ];
    for message in messages {
        let error = refused(message);
        assert_eq!(error.reason(), ParkReason::Malformed, "{error}");
        assert!(error.to_string().starts_with("the message is not an event envelope: "), "{error}");
    }
}

#[test]
fn the_error_for_a_malformed_envelope_contains_the_field_or_the_place() {
    let cases = [
        (refused(b"{\"type\": \"order_paid\"}"), "`data` is required at line 1 column 22"),
        (refused(b"{\"data\": {}}"), "`type` is required at line 1 column 12"),
        (refused(b"{\"type\": nope}"), "a JSON value is missing at line 1 column 11"),
        (refused_without(EventType::Paid, "", "timestamp"), "`timestamp` is required"),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), format!("the message is not an event envelope: {expected}"));
    }
    let fields = [
        (
            "/timestamp",
            json!("noon"),
            "timestamp must be an RFC 3339 time, such as 2026-11-23T10:00:00Z at line 1",
        ),
        ("/correlation_id", json!(""), "correlation id must be 1–128 visible ASCII characters at line 1"),
        ("/event_id", json!("event-1"), "event_id: UUID parsing failed"),
        (
            "/schema_version",
            json!("1"),
            "schema_version: must be an integer from 0 to 4294967295, not a string at line 1",
        ),
        ("/schema_version", json!(-1), "schema_version: must be an integer from 0 to 4294967295 at line 1"),
    ];
    for (pointer, value, expected) in fields {
        let error = refused_with(EventType::Paid, pointer, value);
        assert_eq!(error.reason(), ParkReason::Malformed);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn the_error_for_an_unknown_type_contains_the_type() {
    for name in ["order_exploded", "", "ORDER_PAID", "order_updated"] {
        let error = refused_with(EventType::Paid, "/type", json!(name));
        assert_eq!(error, DecodeError::UnknownType(name.to_owned()));
        assert_eq!(error.reason(), ParkReason::UnknownType);
        assert_eq!(error.to_string(), format!("unknown event type {name:?}"));
    }
}

#[test]
fn the_error_for_an_unknown_schema_version_contains_it_whatever_the_type_and_data() {
    for version in [0, 3, u32::MAX] {
        let mut json = message(EventType::Paid);
        json["schema_version"] = json!(version);
        json["type"] = json!("order_of_the_future");
        json["data"]["amount"] = json!({"value": "29.99"});
        let error = refused(json.to_string().as_bytes());
        assert_eq!(error, DecodeError::UnknownSchema(version));
        assert_eq!(error.reason(), ParkReason::UnknownSchema);
        assert_eq!(
            error.to_string(),
            format!("unknown schema version {version}: this program reads up to 2")
        );
    }
}

#[test]
fn the_error_for_invalid_data_contains_the_path_and_the_rule() {
    use EventType as E;
    let text = "x".repeat(501);
    let cases = [
        (
            E::Created,
            "/data/items/0/quantity",
            json!(0),
            "data.items[0].quantity: quantity must be 1–1000000",
        ),
        (
            E::Created,
            "/data/items/1/quantity",
            json!("2"),
            "data.items[1].quantity: must be an integer, not a string",
        ),
        (E::Created, "/data/items/1/unit_price", json!(-1), "data.items[1].unit_price: amount must be 0–"),
        (E::Created, "/data/items/0/sku", json!(""), "data.items[0].sku: sku must be 1–64 characters"),
        (E::Created, "/data/items", json!([]), "data.items: items must have 1–1000 lines"),
        (E::Created, "/data/items", json!("mug"), "data.items: must be an array, not a string"),
        (E::Created, "/data/total", json!(29.99), "data.total: must be an integer, not 29.99"),
        (E::Created, "/data/currency", json!("eur"), "data.currency: currency must be an ISO 4217 code"),
        (E::Created, "/data/customer_id", json!(7), "data.customer_id: must be a string, not 7"),
        (
            E::Created,
            "/data/metadata",
            json!({"": "x"}),
            "data.metadata: metadata must have at most 20 entries",
        ),
        (E::Created, "/data/order_id", json!("a b"), "data.order_id: order id must be 1–64 characters"),
        (
            E::Amended,
            "/data/items/0/unit_price",
            json!("x"),
            "data.items[0].unit_price: must be an integer, not a string",
        ),
        (E::Paid, "/data/amount", json!(1.5), "data.amount: must be an integer, not 1.5"),
        (E::Shipped, "/data/carrier", json!(" "), "data.carrier: text must be 1–128 characters"),
        (E::Cancelled, "/data/reason", json!(text), "data.reason: text must be 1–500 characters"),
        (E::Returned, "/data/reason", json!(["x"]), "data.reason: must be a string, not an array"),
        (E::Refunded, "/data/refund_id", json!("a\u{0}"), "data.refund_id: text must be 1–128 characters"),
    ];
    for (event_type, pointer, value, expected) in cases {
        let error = refused_with(event_type, pointer, value);
        assert_eq!(error.reason(), ParkReason::Invalid);
        assert!(error.to_string().starts_with(&format!("invalid {expected}")), "{error}");
    }
}

#[test]
fn the_error_for_missing_data_contains_the_field() {
    let cases = [
        (refused_without(EventType::Created, "/data", "order_id"), "data: `order_id` is required"),
        (refused_without(EventType::Created, "/data", "customer_id"), "data: `customer_id` is required"),
        (refused_without(EventType::Created, "/data", "currency"), "data: `currency` is required"),
        (refused_without(EventType::Created, "/data", "items"), "data: `items` is required"),
        (refused_without(EventType::Created, "/data", "total"), "data: `total` is required"),
        (refused_without(EventType::Created, "/data/items/0", "sku"), "data.items[0]: `sku` is required"),
        (refused_without(EventType::Held, "/data", "hold"), "data: `hold` is required"),
        (refused_without(EventType::PaymentVoided, "/data", "payment_id"), "data: `payment_id` is required"),
    ];
    for (error, expected) in cases {
        assert_eq!(error.reason(), ParkReason::Invalid);
        assert!(error.to_string().starts_with(&format!("invalid {expected}")), "{error}");
    }
}

#[test]
fn data_that_is_not_an_object_is_invalid() {
    for data in [json!(null), json!(1), json!("order-1"), json!([]), json!(["order-1", null])] {
        let error = refused_with(EventType::Paid, "/data", data.clone());
        assert_eq!(error.reason(), ParkReason::Invalid, "{data}");
        assert!(error.to_string().starts_with("invalid data: "), "{data}: {error}");
    }
}

#[test]
fn an_amendment_must_price_every_line() {
    let line = json!([{"sku": "mug", "quantity": 1, "unit_price": 1}, {"sku": "yacht", "quantity": 1}]);
    let error = refused_with(EventType::Amended, "/data/items", line);
    assert!(
        error.to_string().starts_with("invalid data.items: items must have a unit price on every line"),
        "{error}"
    );
}

#[test]
fn a_log_entry_needs_its_version_and_time_of_recording() {
    let entry: Value = serde_json::from_slice(&recorded(1, event(EventType::Created)).encode()).unwrap();
    for field in ["version", "recorded_at"] {
        let mut entry = entry.clone();
        entry.as_object_mut().unwrap().remove(field).unwrap();
        let error = RecordedEvent::decode(entry.to_string().as_bytes(), eur()).unwrap_err();
        assert_eq!(error.reason(), ParkReason::Malformed);
        assert!(error.to_string().contains(&format!("`{field}` is required")), "{error}");
    }
}

#[test]
fn ids_are_found_in_broken_messages_if_they_are_unambiguous() {
    let id = "67b14061-d374-596c-8bae-eab8d8c762d6";
    let both =
        format!(r#"{{"event_id": "{id}", "type": 9, "data": {{"order_id": "order-1", "total": "x"}}}}"#);
    let cases = [
        (both.as_str(), Some("order-1"), Some(id)),
        (r#"{"data": {"order_id": "order-1"}}"#, Some("order-1"), None),
        (r#"{"event_id": "x", "data": {"order_id": "order-1"}}"#, Some("order-1"), None),
        (r#"{"event_id": 7, "data": {"order_id": 7}}"#, None, None),
        (r#"{"data": {"order_id": "not an id"}}"#, None, None),
        (r#"{"data": "order-1"}"#, None, None),
        (r#"{"order_id": "order-1"}"#, None, None),
        ("[]", None, None),
        ("7.5", None, None),
        (r#""order_id""#, None, None),
        (r#"{"data": ["order-1"]}"#, None, None),
        (r#"{"data": {"order_id": "order\u002d1"}}"#, Some("order-1"), None),
        (r#"{"data": {"order_id": "order-2", "order_id": "order-1"}}"#, None, None),
        (r#"{"data": {"data": {"order_id": "order-1"}, "event_id": "x"}, "other": [{}, 1e400]}"#, None, None),
        (
            r#"{"event_id": {"event_id": "x"}, "data": {"order_id": "order-1"}, "more": [[[]]]}"#,
            Some("order-1"),
            None,
        ),
        // Truncated messages. The first two contain the id of one order, and the third contains the ids of two orders.
        (r#"{"data": {"order_id": "order-1"}"#, Some("order-1"), None),
        (r#"{"data": {"order_id" : "order-1", "note": "order_id"#, Some("order-1"), None),
        (r#"{"data": {"order_id": "order-1", "of": {"order_id": "order-2"}"#, None, None),
        (r#"{"data": {"order_id": "order-"#, None, None),
        ("", None, None),
    ];
    for (message, order_id, event_id) in cases {
        let identity = identify(message.as_bytes());
        assert_eq!(identity.order_id.as_ref().map(|id| id.as_str()), order_id, "{message}");
        assert_eq!(identity.event_id.map(|id| id.to_string()).as_deref(), event_id, "{message}");
    }
    assert_eq!(identify(b"\xff"), MessageIdentity::default());
}

#[test]
fn an_integer_may_be_written_with_a_fraction_or_an_exponent() {
    for (amount, minor) in [("450.0", 450), ("1e3", 1000), ("-0.0", 0)] {
        let text = message(EventType::Paid).to_string();
        let at = text.find("\"amount\":").unwrap() + "\"amount\":".len();
        let end = at + text[at..].find([',', '}']).unwrap();
        let text = format!("{}{amount}{}", &text[..at], &text[end..]);
        let Event::Paid(paid) = Envelope::decode(text.as_bytes(), eur()).unwrap().event else { panic!() };
        assert_eq!(paid.amount.map(|amount| amount.minor()), Some(minor), "{amount}");
    }
    let error = refused_with(EventType::Paid, "/data/amount", json!(1e30));
    assert_eq!(error.to_string(), "invalid data.amount: amount must be 0–9007199254740991 in minor units");
}

#[test]
fn a_long_value_does_not_make_a_long_error() {
    let long = "x".repeat(1 << 20);
    let error = refused_with(EventType::Paid, "/type", json!(long)).to_string();
    assert!(error.len() < 200, "{}", error.len());
    let error = refused_with(EventType::Paid, "/data/amount", json!(long)).to_string();
    assert!(error.len() < 200, "{}", error.len());
    let error = refused_with(EventType::Created, "/data/metadata", json!({ long.as_str(): 1 })).to_string();
    assert!(error.len() < 300, "{}", error.len());
}

#[test]
fn the_error_points_to_the_wrong_member() {
    let pointer = |error: DecodeError| error.pointer().map(str::to_owned);
    for (event_type, at, value) in [
        (EventType::Paid, "/data/amount", json!("9")),
        (EventType::Created, "/data/items/0/quantity", json!(-1)),
        (EventType::Created, "/data/items", json!(7)),
        (EventType::Paid, "/event_id", json!("x")),
        (EventType::Paid, "/type", json!("order_blessed")),
        (EventType::Paid, "/schema_version", json!(99)),
    ] {
        assert_eq!(pointer(refused_with(event_type, at, value)).as_deref(), Some(at));
    }
    // The name of a client's member is escaped as RFC 6901 demands.
    let metadata = refused_with(EventType::Created, "/data/metadata", json!({ "a/b~c.d": 1 }));
    assert_eq!(pointer(metadata).as_deref(), Some("/data/metadata/a~1b~0c.d"));
    // A missing member is shown at its parent.
    assert_eq!(pointer(refused_without(EventType::Paid, "/data", "order_id")).as_deref(), Some("/data"));
    assert_eq!(pointer(refused(b"{")), None);
    // Members of version 0, which are read one by one.
    let v0 = br#"{"type":"order_created","timestamp":"2026-11-23T10:00:00Z","data":{"order_id":"o","customer_id":"c","items":["a",{"sku":7}]}}"#;
    assert_eq!(pointer(refused(v0)).as_deref(), Some("/data/items/1/sku"));
}
