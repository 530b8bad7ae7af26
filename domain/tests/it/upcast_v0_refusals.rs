//! Tests messages in schema version 0 that are refused. The decoder guesses nothing, and each error names the invalid
//! field.

use domain::{Envelope, ParkReason};

use crate::given::eur;
use crate::upcast_v0::sent;

fn refusal(message: &str) -> (ParkReason, String) {
    let error = Envelope::decode(message.as_bytes(), eur()).expect_err(message);
    (error.reason(), error.to_string())
}

fn check(event_type: &str, cases: &[(&str, &str)]) {
    for (data, expected) in cases {
        let (reason, message) = refusal(&sent(event_type, data));
        assert_eq!((reason, message.as_str()), (ParkReason::Invalid, *expected), "{data}");
    }
}

#[test]
fn decimal_amounts_are_refused() {
    check(
        "order_created",
        &[
            (
                r#"{"order_id": "o", "customer_id": "c", "items": ["mug"], "total": 99.99}"#,
                "invalid data.total: 99.99 is not an integer in minor units",
            ),
            (
                r#"{"order_id": "o", "customer_id": "c", "items": ["mug"], "total": 100.0}"#,
                "invalid data.total: 100.0 is not an integer in minor units",
            ),
            (
                r#"{"order_id": "o", "customer_id": "c", "items": ["mug"], "total": "99.99"}"#,
                "invalid data.total: \"99.99\" is not an integer in minor units",
            ),
            (
                r#"{"order_id": "o", "customer_id": "c", "items": ["a", {"sku": "b", "price": 9.5}], "total": 1}"#,
                "invalid data.items[1].unit_price: 9.5 is not an integer in minor units",
            ),
        ],
    );
    check(
        "order_updated",
        &[(
            r#"{"order_id": "o", "status": "paid", "amount": 99.99}"#,
            "invalid data.amount: 99.99 is not an integer in minor units",
        )],
    );
}

#[test]
fn amounts_out_of_range_are_refused() {
    check(
        "order_created",
        &[
            (
                r#"{"order_id": "o", "customer_id": "c", "items": ["mug"], "total": -1}"#,
                "invalid data.total: amount must be 0–9007199254740991 in minor units",
            ),
            (
                r#"{"order_id": "o", "customer_id": "c", "items": [{"id": "a", "qty": 2, "price": 9007199254740991}]}"#,
                "invalid data.items: total must not exceed 9007199254740991 in minor units",
            ),
        ],
    );
}

#[test]
fn lines_of_unknown_shape_are_refused() {
    let data =
        |items: &str| format!(r#"{{"order_id": "o", "customer_id": "c", "items": {items}, "total": 1}}"#);
    let cases = [
        ("[]", "invalid data.items: items must have 1–1000 lines"),
        ("null", "invalid data.items: must be an array"),
        (r#"{"mug": 1}"#, "invalid data.items: must be an array"),
        ("[7]", "invalid data.items[0].sku: is missing, or not a string"),
        ("[{}]", "invalid data.items[0].sku: is missing, or not a string"),
        (r#"[["mug"]]"#, "invalid data.items[0].sku: is missing, or not a string"),
        (r#"["mug", {"product_id": 42}]"#, "invalid data.items[1].sku: is missing, or not a string"),
        (r#"[""]"#, "invalid data.items[0].sku: sku must be 1–64 characters, without control characters"),
        (r#"[{"sku": "a", "qty": 0}]"#, "invalid data.items[0].quantity: quantity must be 1–1000000"),
        (r#"[{"sku": "a", "qty": 1.5}]"#, "invalid data.items[0].quantity: quantity must be 1–1000000"),
    ];
    for (items, expected) in cases {
        check("order_created", &[(&data(items), expected)]);
    }
}

#[test]
fn errors_in_other_fields_contain_their_name() {
    check(
        "order_created",
        &[
            (
                r#"{"order_id": "o", "customer_id": "c", "items": ["mug"]}"#,
                "invalid data.total: is missing, and not every line has a price",
            ),
            (
                r#"{"order_id": "o", "items": ["mug"], "total": 1}"#,
                "invalid data.customer_id: customer id must be 1–128 characters, without control characters",
            ),
            (
                r#"{"order_id": "o", "customer_id": "c", "items": ["mug"], "total": 1, "currency": "euro"}"#,
                "invalid data.currency: currency must be an ISO 4217 code in upper case, such as EUR",
            ),
            (
                r#"{"order_id": "o", "customer_id": "c", "items": ["mug"], "total": 1, "metadata": {"a": 1}}"#,
                "invalid data.metadata: must be a string, not 1",
            ),
        ],
    );
    check(
        "order_updated",
        &[(
            r#"{"order_id": "o", "status": "shipped", "carrier": 7}"#,
            "invalid data.carrier: text must be 1–128 characters, without control characters",
        )],
    );
}

#[test]
fn a_status_without_an_event_is_refused() {
    check(
        "order_updated",
        &[
            (
                r#"{"order_id": "o", "status": "pending"}"#,
                "invalid data.status: no event leads to status \"pending\"",
            ),
            (
                r#"{"order_id": "o", "status": "lost"}"#,
                "invalid data.status: no event leads to status \"lost\"",
            ),
            (
                r#"{"order_id": "o", "status": "Paid"}"#,
                "invalid data.status: no event leads to status \"Paid\"",
            ),
            (r#"{"order_id": "o"}"#, "invalid data.status: no event leads to status \"\""),
            (r#"{"order_id": "o", "status": 3}"#, "invalid data.status: no event leads to status \"\""),
        ],
    );
}

#[test]
fn an_unknown_type_is_refused() {
    let (reason, message) = refusal(&sent("payment_received", r#"{"order_id": "o"}"#));
    assert_eq!(
        (reason, message.as_str()),
        (ParkReason::UnknownType, "unknown event type \"payment_received\"")
    );
}

#[test]
fn a_message_without_any_timestamp_is_refused() {
    let (reason, message) =
        refusal(r#"{"type": "order_updated", "data": {"order_id": "o", "status": "paid"}}"#);
    assert_eq!(reason, ParkReason::Malformed);
    assert_eq!(message, "the message is not an event envelope: `timestamp` is required");
}
