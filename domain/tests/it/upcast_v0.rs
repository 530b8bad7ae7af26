//! Tests that messages in schema version 0 are upcast. The messages are exactly what a Python producer writes with
//! `json.dumps`.

use domain::derived_ids::derive_event_id;
use domain::event::{Cancelled, Created, Delivered, Empty, Paid, Refunded, Returned, Shipped};
use domain::{Currency, CustomerId, Envelope, Event, EventType, LineItem, LineItems, OrderId};
use serde_json::json;

use crate::given::{self, amount, eur, line, text, time};

const SENT: &str = "2026-11-23T10:00:00.123456";
const CORRELATION: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";

/// A message as a v0 producer sends it. Its time has no offset, because it comes from
/// `datetime.utcnow().isoformat()`.
pub(crate) fn sent(event_type: &str, data: &str) -> String {
    format!(
        r#"{{"type": "{event_type}", "data": {data}, "timestamp": "{SENT}", "correlation_id": "{CORRELATION}"}}"#
    )
}

fn decode(message: &str) -> Envelope {
    Envelope::decode(message.as_bytes(), eur()).unwrap_or_else(|error| panic!("{message}: {error}"))
}

fn created(data: &str) -> Created {
    match decode(&sent("order_created", data)).event {
        Event::Created(created) => created,
        other => panic!("{other:?} is not a creation"),
    }
}

#[test]
fn an_order_created_message_becomes_a_created_event() {
    let message = concat!(
        r#"{"type": "order_created", "data": {"order_id": "order-1001", "customer_id": "customer-7", "#,
        r#""items": [{"product_id": "mug", "quantity": 2, "price": 1250}], "total": 2999}, "#,
        r#""timestamp": "2026-11-23T10:00:00.123456", "#,
        r#""correlation_id": "f47ac10b-58cc-4372-a567-0e02b2c3d479"}"#,
    );
    let expected = Envelope {
        event_id: "67b14061-d374-596c-8bae-eab8d8c762d6".parse().unwrap(),
        order_id: OrderId::parse("order-1001").unwrap(),
        timestamp: time("2026-11-23T10:00:00.123456Z"),
        correlation_id: CORRELATION.parse().unwrap(),
        expected_version: None,
        request_hash: None,
        actor: None,
        event: Event::Created(Created {
            customer_id: CustomerId::parse("customer-7").unwrap(),
            // The stated total exceeds the sum of the lines, for example because of shipping costs.
            adjustments: serde_json::from_value(json!([
                {"adjustment_id": "stated_total", "kind": "other", "amount": 499}
            ]))
            .unwrap(),
            ..given::created(LineItems::parse(vec![line("mug", 2, Some(1250))]).unwrap(), 2999)
        }),
    };
    assert_eq!(decode(message), expected);
    assert_eq!(
        Envelope::decode(&expected.encode(), eur()),
        Ok(expected),
        "the envelope is the same after encoding in the current version"
    );
}

#[test]
fn lines_may_have_several_shapes() {
    let cases: [(&str, LineItem); 15] = [
        (r#""mug""#, line("mug", 1, None)),
        (r#"{"sku": "mug"}"#, line("mug", 1, None)),
        (r#"{"product_id": "mug"}"#, line("mug", 1, None)),
        (r#"{"item_id": "mug"}"#, line("mug", 1, None)),
        (r#"{"id": "mug"}"#, line("mug", 1, None)),
        (r#"{"name": "A mug"}"#, line("A mug", 1, None)),
        (r#"{"sku": "mug", "name": "A mug"}"#, line("mug", 1, None)),
        (r#"{"sku": null, "name": "A mug"}"#, line("A mug", 1, None)),
        (r#"{"sku": "mug", "quantity": 3}"#, line("mug", 3, None)),
        (r#"{"sku": "mug", "qty": 3}"#, line("mug", 3, None)),
        (
            r#"{"sku": "mug", "product_id": "m", "quantity": 3, "qty": 4, "unit_price": 5, "price": 6}"#,
            line("mug", 3, Some(5)),
        ),
        (r#"{"sku": "mug", "unit_price": 1250}"#, line("mug", 1, Some(1250))),
        (r#"{"sku": "mug", "price": 0}"#, line("mug", 1, Some(0))),
        (r#"{"sku": "mug", "quantity": null, "price": null}"#, line("mug", 1, None)),
        (r#"{"id": "mug", "qty": 2, "price": 1250, "colour": ["red"]}"#, line("mug", 2, Some(1250))),
    ];
    for (item, expected) in cases {
        let data =
            format!(r#"{{"order_id": "order-1", "customer_id": "c", "items": [{item}], "total": 2999}}"#);
        assert_eq!(created(&data).items.lines(), [expected], "{item}");
    }
}

#[test]
fn a_stated_total_is_kept_and_a_missing_one_is_computed() {
    let priced = r#"{"sku": "mug", "quantity": 2, "price": 1250}"#;
    let total = |fields: &str| {
        created(&format!(r#"{{"order_id": "o", "customer_id": "c", "items": [{priced}]{fields}}}"#)).total
    };
    assert_eq!(total(r#", "total": 2999"#), amount(2999), "with shipping, say");
    assert_eq!(total(""), amount(2500));
    assert_eq!(total(r#", "total": null"#), amount(2500));
}

#[test]
fn currency_and_metadata_are_kept_if_a_producer_states_them() {
    let data = concat!(
        r#"{"order_id": "o", "customer_id": "c", "items": ["mug"], "total": 1, "#,
        r#""currency": "JPY", "metadata": {"gift": "yes"}}"#,
    );
    let created = created(data);
    assert_eq!(created.currency.as_str(), "JPY");
    assert_eq!(created.metadata.entries()["gift"], "yes");
}

#[test]
fn the_caller_sets_the_default_currency() {
    let message =
        sent("order_created", r#"{"order_id": "o", "customer_id": "c", "items": ["mug"], "total": 1}"#);
    let envelope = Envelope::decode(message.as_bytes(), Currency::parse("USD").unwrap()).unwrap();
    let Event::Created(created) = envelope.event else { panic!("the event is a creation") };
    assert_eq!(created.currency.as_str(), "USD");
}

#[test]
fn python_escapes_are_read() {
    let data = r#"{"order_id": "o", "customer_id": "Zo\u00eb", "items": ["\ud83e\uded6"], "total": 1}"#;
    let created = created(data);
    assert_eq!(created.customer_id.as_str(), "Zoë");
    assert_eq!(created.items.lines()[0].sku.as_str(), "🫖");
}

#[test]
fn an_order_updated_message_becomes_the_event_that_leads_to_its_status() {
    let bare = |status: &str| format!(r#"{{"order_id": "order-1", "status": "{status}"}}"#);
    let cases = [
        ("confirmed", Event::Confirmed(Empty {})),
        ("paid", Event::Paid(Paid { settles: true, ..Paid::default() })),
        ("shipped", Event::Shipped(Shipped::default())),
        ("delivered", Event::Delivered(Delivered::default())),
        ("cancelled", Event::Cancelled(Cancelled::default())),
        ("returned", Event::Returned(Returned::default())),
        ("refunded", Event::Refunded(Refunded { settles: true, ..Refunded::default() })),
    ];
    for (status, expected) in cases {
        let envelope = decode(&sent("order_updated", &bare(status)));
        assert_eq!(envelope.event, expected, "{status}");
        assert_eq!(envelope.order_id.as_str(), "order-1");
        assert_eq!(envelope.event_id, derive_event_id(&envelope.order_id, expected.event_type(), time(SENT)));
    }
}

#[test]
fn an_order_updated_message_may_contain_the_data_of_its_event() {
    let with = |fields: &str| format!(r#"{{"order_id": "order-1", "status": {fields}}}"#);
    let cases = [
        (
            r#""paid", "payment_id": "pay-1", "amount": 2999"#,
            Event::Paid(Paid {
                payment_id: text("pay-1"),
                amount: Some(amount(2999)),
                settles: true,
                ..Paid::default()
            }),
        ),
        (
            r#""shipped", "carrier": "Post", "tracking_number": "track-1""#,
            Event::Shipped(Shipped {
                carrier: text("Post"),
                tracking_number: text("track-1"),
                ..Shipped::default()
            }),
        ),
        (
            r#""cancelled", "reason": "late""#,
            Event::Cancelled(Cancelled { reason: text("late"), items: None }),
        ),
        (r#""returned", "reason": null"#, Event::Returned(Returned::default())),
        (
            r#""refunded", "refund_id": "refund-1", "amount": 0"#,
            Event::Refunded(Refunded {
                refund_id: text("refund-1"),
                amount: Some(amount(0)),
                settles: true,
                ..Refunded::default()
            }),
        ),
    ];
    for (fields, expected) in cases {
        assert_eq!(decode(&sent("order_updated", &with(fields))).event, expected, "{fields}");
    }
}

#[test]
fn a_v0_producer_may_send_the_event_types_of_later_versions_too() {
    let data = r#"{"order_id": "order-1", "items": [{"sku": "mug", "quantity": 1, "unit_price": 5}]}"#;
    assert_eq!(decode(&sent("order_amended", data)).event.event_type(), EventType::Amended);
    assert_eq!(
        decode(&sent("order_delivered", r#"{"order_id": "o"}"#)).event.event_type(),
        EventType::Delivered
    );
    let Event::Paid(paid) = decode(&sent("order_paid", r#"{"order_id": "o"}"#)).event else { panic!() };
    assert!(paid.settles, "the payment settles the order, as in version 1");
    let held = decode(&sent("order_held", r#"{"order_id": "o", "hold": "fraud-check"}"#)).event;
    assert_eq!(held.event_type(), EventType::Held);
}

#[test]
fn the_timestamp_in_the_data_is_used_only_if_the_envelope_has_none() {
    let data = r#"{"order_id": "o", "status": "paid", "timestamp": "2026-01-01T00:00:00"}"#;
    assert_eq!(decode(&sent("order_updated", data)).timestamp, time(SENT));

    let without = format!(r#"{{"type": "order_updated", "data": {data}}}"#);
    assert_eq!(decode(&without).timestamp, time("2026-01-01T00:00:00Z"));
}

#[test]
fn without_a_correlation_id_the_event_id_takes_its_place() {
    let envelope = decode(&format!(
        r#"{{"type": "order_updated", "data": {{"order_id": "o", "status": "paid"}}, "timestamp": "{SENT}"}}"#
    ));
    assert_eq!(envelope.correlation_id.as_str(), envelope.event_id.to_string());
}

#[test]
fn a_retry_has_the_same_event_id_whatever_its_correlation_id() {
    let first = sent("order_updated", r#"{"order_id": "o", "status": "paid"}"#);
    let retry = first.replace(CORRELATION, "0b5e9e0e-3f55-4ad3-8d2b-3c8b3d3c1c55");
    assert_ne!(first, retry);
    assert_eq!(decode(&first).event_id, decode(&retry).event_id);

    let others = [
        first.replace(r#""o""#, r#""p""#),
        first.replace(r#""paid""#, r#""shipped""#),
        first.replace(SENT, "2026-11-23T10:00:00.123457"),
    ];
    for other in others {
        assert_ne!(decode(&first).event_id, decode(&other).event_id, "{other}");
    }
}
