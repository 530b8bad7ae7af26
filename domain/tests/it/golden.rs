//! Tests the golden corpus: every format of an event that was ever written can still be read, and the logs fold to
//! the pinned orders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use domain::{Envelope, Event, EventType, Order, OrderId, RecordedEvent};
use serde_json::Value;

use crate::given::eur;

fn read(name: &str) -> String {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "tests", "fixtures", "golden", name].iter().collect();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Reads the corpus of schema version 0 as log entries. The messages of each order get the versions 1, 2, 3 …
fn v0() -> Vec<RecordedEvent> {
    let mut versions = BTreeMap::<OrderId, u64>::new();
    let decode = |line: &str| {
        let envelope =
            Envelope::decode(line.as_bytes(), eur()).unwrap_or_else(|error| panic!("{line}: {error}"));
        let version = versions.entry(envelope.order_id.clone()).or_default();
        *version += 1;
        RecordedEvent { version: *version, recorded_at: envelope.timestamp, repaired: None, envelope }
    };
    read("article-v0.jsonl").lines().map(decode).collect()
}

/// The log entries in the given file of the corpus.
fn logged(file: &str) -> Vec<RecordedEvent> {
    let decode = |line: &str| {
        RecordedEvent::decode(line.as_bytes(), eur()).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    read(file).lines().map(decode).collect()
}

/// Each order's state after its events, as JSON.
fn folded(events: &[RecordedEvent]) -> BTreeMap<String, Value> {
    let mut orders = BTreeMap::<OrderId, Order>::new();
    for event in events {
        let id = &event.envelope.order_id;
        let order = Order::apply(orders.remove(id), event).unwrap_or_else(|error| panic!("{id}: {error}"));
        orders.insert(id.clone(), order);
    }
    // The pinned orders were written before orders had `recorded_at`. So they lack this member, and it is checked
    // separately.
    let latest: BTreeMap<_, _> =
        events.iter().map(|event| (&event.envelope.order_id, event.recorded_at)).collect();
    let pinned = |(id, order): (OrderId, Order)| {
        assert_eq!(order.recorded_at, Some(latest[&id]), "{id}");
        let order = Order { recorded_at: None, ..order };
        (id.to_string(), serde_json::to_value(order).unwrap())
    };
    orders.into_iter().map(pinned).collect()
}

/// The pinned orders of one file, by id.
fn expected(file: &str) -> BTreeMap<String, Value> {
    let json = json(&read("expected.json"));
    let orders = json[file].as_array().unwrap();
    orders.iter().map(|order| (order["order_id"].as_str().unwrap().to_owned(), order.clone())).collect()
}

#[test]
fn messages_in_version_0_fold_to_the_pinned_orders() {
    assert_eq!(folded(&v0()), expected("article-v0.jsonl, counted"));
}

#[test]
fn the_logs_fold_to_the_pinned_orders() {
    for file in ["v1.jsonl", "v2.jsonl"] {
        assert_eq!(folded(&logged(file)), expected(&format!("{file}, counted")), "{file}");
    }
}

/// Keeps only those members of an order that version 1 also projected, with the same meaning. In version 1, the total
/// did not follow from counters, and `payment` and `shipment` contained the latest event.
fn as_in_version_1(mut order: Value) -> Value {
    let keep = |names: &[&str], json: &mut Value| {
        json.as_object_mut().unwrap().retain(|name, _| names.contains(&name.as_str()));
    };
    for line in order["items"].as_array_mut().unwrap() {
        keep(&["sku", "quantity", "unit_price"], line);
    }
    let members = [
        "order_id",
        "customer_id",
        "status",
        "version",
        "currency",
        "items",
        "metadata",
        "created_at",
        "updated_at",
    ];
    keep(&members, &mut order);
    order
}

#[test]
fn the_orders_are_as_programs_of_version_1_projected_them() {
    for file in ["article-v0.jsonl", "v1.jsonl"] {
        let counted = expected(&format!("{file}, counted"));
        let projected = expected(file);
        assert_eq!(counted.len(), projected.len());
        for (id, order) in projected {
            let after = &counted[&id];
            assert_eq!(as_in_version_1(after.clone()), as_in_version_1(order.clone()), "{id}");
            let is_reduced = |line: &Value| line.get("cancelled").is_some() || line.get("returned").is_some();
            if !after["items"].as_array().unwrap().iter().any(is_reduced) {
                assert_eq!(after["total"], order["total"], "{id}");
            }
            // The current program can read a projection that version 1 stored. `lacks_counters` must return true if
            // the log folds to another order.
            let stored: Order = serde_json::from_value(order.clone()).unwrap();
            assert_eq!(stored.lacks_counters(), serde_json::to_value(&stored).unwrap() != *after, "{id}");
        }
    }
}

#[test]
fn the_pinned_orders_can_be_read_as_orders() {
    for file in ["article-v0.jsonl, counted", "v1.jsonl, counted", "v2.jsonl, counted"] {
        for (id, order) in expected(file) {
            let read_back: Order = serde_json::from_value(order.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read_back).unwrap(), order, "{id}");
            assert!(!read_back.lacks_counters(), "{id}");
        }
    }
}

#[test]
fn the_words_and_the_balance_of_the_orders_are_the_pinned_ones() {
    let derived = &json(&read("expected.json"))["v2.jsonl, derived"];
    for (id, order) in expected("v2.jsonl, counted") {
        let order: Order = serde_json::from_value(order).unwrap();
        let (payment, fulfilment) = (order.payment_status(), order.fulfilment_status());
        assert_eq!(serde_json::json!([payment, fulfilment, order.money().balance]), derived[&id], "{id}");
    }
}

#[test]
fn messages_in_version_0_get_the_pinned_event_ids() {
    let ids: Vec<_> = v0().iter().map(|event| Value::from(event.envelope.event_id.to_string())).collect();
    assert_eq!(Value::from(ids), json(&read("expected.json"))["article_event_ids"]);
}

#[test]
fn the_log_in_version_2_is_written_byte_for_byte_as_it_was_read() {
    for (line, event) in read("v2.jsonl").lines().zip(logged("v2.jsonl")) {
        assert_eq!(String::from_utf8(event.encode()).unwrap(), line);
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
    }
}

#[test]
fn older_versions_fold_to_the_same_orders_after_encoding_in_version_2() {
    for (file, events) in [("article-v0.jsonl", v0()), ("v1.jsonl", logged("v1.jsonl"))] {
        let rewritten: Vec<_> =
            events.iter().map(|event| RecordedEvent::decode(&event.encode(), eur()).unwrap()).collect();
        assert_eq!(rewritten, events, "{file}");
        assert_eq!(folded(&rewritten), expected(&format!("{file}, counted")), "{file}");
    }
}

/// Whether the entry has the member at the given path, such as `data.items.line_id`. For an array, one
/// element with the member is enough.
fn has(value: &Value, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match (value, rest) {
        (Value::Array(values), _) => values.iter().any(|value| has(value, path)),
        (_, None) => value.get(name).is_some(),
        (_, Some(rest)) => value.get(name).is_some_and(|value| has(value, rest)),
    }
}

#[test]
fn the_corpus_has_every_event_type_and_every_optional_member_present_and_absent() {
    let of_version_1 = "
        order_created data.metadata request_hash actor
        order_paid data.payment_id data.amount repaired
        order_shipped data.carrier data.tracking_number
        order_cancelled data.reason
        order_returned data.reason
        order_refunded data.refund_id data.amount
        order_amended expected_version";
    let of_version_2 = "
        order_created data.metadata data.adjustments data.reference data.contact data.notes data.expires_at
        order_created data.ship_unpaid data.items.line_id data.items.name data.items.unit_price
        order_created data.adjustments.label data.adjustments.line_id request_hash actor
        order_amended data.items data.adjustments data.contact data.reference expected_version
        order_annotated data.metadata data.notes
        order_held data.reason
        order_released data.reason
        order_payment_authorized data.method
        order_paid data.payment_id data.amount data.method data.settles repaired
        order_shipped data.carrier data.tracking_number data.shipment_id data.items
        order_delivered data.shipment_id
        order_cancelled data.reason data.items
        order_return_requested data.reason data.return_id data.items
        order_returned data.reason data.return_id data.items
        order_refunded data.refund_id data.amount data.payment_id data.reason data.goodwill data.settles";
    for (file, optional) in [("v1.jsonl", of_version_1), ("v2.jsonl", of_version_2)] {
        let lines: Vec<Value> = read(file).lines().map(json).collect();
        for row in optional.lines().filter(|row| !row.trim().is_empty()) {
            let (event_type, paths) = row.trim().split_once(' ').unwrap();
            let of_type: Vec<_> = lines.iter().filter(|line| line["type"] == event_type).collect();
            for path in paths.split(' ') {
                let with = of_type.iter().filter(|line| has(line, path)).count();
                assert!(0 < with && with < of_type.len(), "{file}: {event_type} {path} is in {with} lines");
            }
        }
    }
}

#[test]
fn the_corpus_has_every_event_type_of_its_version() {
    for file in ["article-v0.jsonl", "v1.jsonl", "v2.jsonl"] {
        assert!(read(file).ends_with('\n'));
    }
    let types = |events: &[RecordedEvent]| -> BTreeSet<_> {
        events.iter().map(|event| event.envelope.event.event_type().as_str()).collect()
    };
    assert_eq!(types(&logged("v2.jsonl")).len(), EventType::ALL.len());
    assert_eq!(types(&logged("v1.jsonl")).len(), 9);
    assert_eq!(types(&v0()).len(), 8, "version 0 has the event types of version 1 except order_amended");
    let unpriced =
        |event: &RecordedEvent| matches!(&event.envelope.event, Event::Created(c) if !c.items.is_priced());
    assert!(logged("v1.jsonl").iter().any(unpriced) && v0().iter().any(unpriced));
}
