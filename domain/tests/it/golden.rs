//! The golden corpus: every shape of event ever written can still be read, and folds to the pinned order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use domain::{Envelope, Event, Order, OrderId, RecordedEvent};
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

/// The messages in schema version 0, recorded in the order of the file.
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

fn v1() -> Vec<RecordedEvent> {
    let decode = |line: &str| {
        RecordedEvent::decode(line.as_bytes(), eur()).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    read("v1.jsonl").lines().map(decode).collect()
}

/// Each order's state after its events, as JSON.
fn folded(events: &[RecordedEvent]) -> BTreeMap<String, Value> {
    let mut orders = BTreeMap::<OrderId, Order>::new();
    for event in events {
        let id = &event.envelope.order_id;
        let order = Order::apply(orders.remove(id), event).unwrap_or_else(|error| panic!("{id}: {error}"));
        orders.insert(id.clone(), order);
    }
    // The pinned orders were written before orders had `recorded_at`.
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
    assert_eq!(folded(&v0()), expected("article-v0.jsonl"));
}

#[test]
fn the_log_in_version_1_folds_to_the_pinned_orders() {
    assert_eq!(folded(&v1()), expected("v1.jsonl"));
}

#[test]
fn the_pinned_orders_can_be_read_as_orders() {
    for (id, order) in expected("article-v0.jsonl").into_iter().chain(expected("v1.jsonl")) {
        let read_back: Order = serde_json::from_value(order.clone()).unwrap();
        assert_eq!(serde_json::to_value(read_back).unwrap(), order, "{id}");
    }
}

#[test]
fn messages_in_version_0_get_the_pinned_event_ids() {
    let ids: Vec<_> = v0().iter().map(|event| Value::from(event.envelope.event_id.to_string())).collect();
    assert_eq!(Value::from(ids), json(&read("expected.json"))["article_event_ids"]);
}

#[test]
fn the_log_in_version_1_is_written_as_it_was_read() {
    for (line, event) in read("v1.jsonl").lines().zip(v1()) {
        assert_eq!(json(std::str::from_utf8(&event.encode()).unwrap()), json(line));
    }
}

#[test]
fn messages_in_version_0_fold_to_the_same_orders_after_encoding_in_version_1() {
    let logged: Vec<_> =
        v0().iter().map(|event| RecordedEvent::decode(&event.encode(), eur()).unwrap()).collect();
    assert_eq!(folded(&logged), expected("article-v0.jsonl"));
}

/// Every path of field names that occurs in the events of `lines`, written as `order_paid data.amount`.
fn fields(lines: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in lines.lines().map(json) {
        let event_type = line["type"].as_str().unwrap();
        let names = |value: &Value, prefix: &str| -> Vec<String> {
            value.as_object().unwrap().keys().map(|name| format!("{event_type} {prefix}{name}")).collect()
        };
        found.extend(names(&line, ""));
        found.extend(names(&line["data"], "data."));
    }
    found
}

#[test]
fn the_corpus_has_every_event_type_and_every_optional_field_present_and_absent() {
    let optional = [
        "order_created data.metadata",
        "order_paid data.payment_id",
        "order_paid data.amount",
        "order_shipped data.carrier",
        "order_shipped data.tracking_number",
        "order_cancelled data.reason",
        "order_returned data.reason",
        "order_refunded data.refund_id",
        "order_refunded data.amount",
        "order_created request_hash",
        "order_created actor",
        "order_paid repaired",
        "order_amended expected_version",
    ];
    let text = read("v1.jsonl");
    for field in optional {
        let event_type = field.split(' ').next().unwrap();
        let of_type = |line: &&str| json(line)["type"] == event_type;
        let with = text.lines().filter(of_type).filter(|line| fields(line).contains(field)).count();
        let all = text.lines().filter(of_type).count();
        assert!(0 < with && with < all, "{field} is in {with} of {all} lines");
    }
    for file in ["article-v0.jsonl", "v1.jsonl"] {
        assert!(read(file).ends_with('\n'));
    }
    let types = |events: &[RecordedEvent]| -> BTreeSet<_> {
        events.iter().map(|event| event.envelope.event.event_type().as_str()).collect()
    };
    assert_eq!(types(&v1()).len(), 9);
    assert_eq!(types(&v0()).len(), 8, "all but order_amended, which version 0 does not have");
    let unpriced =
        |event: &RecordedEvent| matches!(&event.envelope.event, Event::Created(c) if !c.items.is_priced());
    assert!(v1().iter().any(unpriced) && v0().iter().any(unpriced));
}
