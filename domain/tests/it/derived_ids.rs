//! Tests that derived ids are the same on every backend and never change. Never edit the literals: they were computed
//! with another implementation of UUIDv5.

use domain::derived_ids::{
    derive_event_id, event_id_for_deadline, event_id_for_key, ids_for_item, ids_for_key,
    subscription_id_for_key,
};
use domain::{CorrelationId, EventId, EventType, OrderId};
use uuid::Uuid;

use crate::given::time;

fn derived(order_id: &str, event_type: EventType, timestamp: &str) -> EventId {
    derive_event_id(&OrderId::parse(order_id).unwrap(), event_type, time(timestamp))
}

#[test]
fn derived_event_ids_are_pinned() {
    let cases = [
        ("2026-11-23T10:00:00.123456", EventType::Created, "67b14061-d374-596c-8bae-eab8d8c762d6"),
        ("2026-11-23T10:00:00.123456", EventType::Paid, "9adaa5f9-de05-5e87-8017-4d83128131bc"),
        ("2026-11-23T10:00:00", EventType::Created, "b4fde03f-2f9d-5d5d-ac1a-9ee8dfc92b20"),
    ];
    for (timestamp, event_type, pinned) in cases {
        assert_eq!(derived("order-1001", event_type, timestamp).to_string(), pinned);
    }
}

#[test]
fn a_derived_event_id_depends_on_order_type_and_instant_only() {
    let id = derived("order-1", EventType::Paid, "2026-11-23T10:00:00");
    assert_eq!(id, derived("order-1", EventType::Paid, "2026-11-23T11:00:00.000+01:00"), "the same instant");
    assert_ne!(id, derived("order-2", EventType::Paid, "2026-11-23T10:00:00"));
    assert_ne!(id, derived("order-1", EventType::Shipped, "2026-11-23T10:00:00"));
    assert_ne!(id, derived("order-1", EventType::Paid, "2026-11-23T10:00:00.000001"));
}

#[test]
fn ids_for_a_key_are_pinned() {
    let cases = [
        ("client-a", "key-1", "578f1850-2870-5e9b-be49-c9528d86f6f9", "9a8e14aa-c812-5c11-99a8-7d80762465c5"),
        ("", "k", "a166cc40-aa9a-54ca-9d5e-81d00d42054d", "f6a83a53-f688-5dcc-89ac-c99382813cf0"),
        ("ünï", "k é", "7fd35bac-41b9-5083-accc-08119d55a929", "aaf7414b-a3b0-5762-a346-5e96a06eb94a"),
    ];
    for (principal, key, order_id, event_id) in cases {
        let ids = ids_for_key(principal, key);
        assert_eq!(
            (ids.0.as_str(), ids.1.to_string().as_str()),
            (order_id, event_id),
            "{principal:?} {key:?}"
        );
    }
}

#[test]
fn ids_for_the_orders_of_a_batch_are_pinned() {
    let cases = [
        (
            "client-a",
            "key-1",
            0,
            "6e24d75c-2f72-5322-8060-22d63bdfcb7a",
            "c6eae8fd-6f00-5177-8435-9cbae1bd8754",
        ),
        (
            "client-a",
            "key-1",
            99,
            "7ff7e426-bb63-569e-990f-9515e1fff7e2",
            "574116e2-f44a-544e-be32-ec2c62709c5a",
        ),
        ("", "k", 0, "02f3edae-a6e8-5f35-8550-7ff65e895495", "51910cf1-cff8-5fbe-bff3-3d0bd3c4efc7"),
        ("ünï", "k é", 10, "09610b81-f9ff-5c7e-b63a-ead9d17be32b", "75994abb-6dc7-5bf6-9836-5c3260f6bd7e"),
    ];
    for (principal, key, place, order_id, event_id) in cases {
        let ids = ids_for_item(principal, key, place);
        assert_eq!((ids.0.as_str(), ids.1.to_string().as_str()), (order_id, event_id), "{key:?} {place}");
    }
    let event_id = event_id_for_key("client-a", &OrderId::parse("o-1").unwrap(), "key-1");
    assert_eq!(event_id.to_string(), "a3f3e1b4-f04d-5465-af41-606c6c371f91");
}

#[test]
fn the_id_of_an_expiry_depends_on_order_deadline_and_version_and_is_pinned() {
    let id = |order_id: &str, deadline: &str, version: u64| {
        event_id_for_deadline(&OrderId::parse(order_id).unwrap(), time(deadline), version).to_string()
    };
    let (noon, later) = ("2026-11-29T12:00:00Z", "2026-11-29T12:00:00.000001Z");
    assert_eq!(id("order-1", noon, 1), "53a18da0-1422-5e61-b634-8ccf99e247e3");
    assert_eq!(id("order-1", noon, 2), "29e06a4d-583d-58d2-a833-abbb8a1d9b30");
    assert_ne!(id("order-1", later, 1), id("order-1", noon, 1));
    assert_ne!(id("order-2", noon, 1), id("order-1", noon, 1));
}

#[test]
fn the_ids_of_a_batch_differ_from_those_of_single_requests() {
    let item = ids_for_item("alice", "k", 0);
    for key in ["k 0", "k", "k0", "0"] {
        let single = ids_for_key("alice", key);
        assert!(single.0 != item.0 && single.1 != item.1, "{key}");
    }
    assert_ne!(ids_for_item("alice", "k", 1).1, ids_for_item("alice", "k 1", 0).1);
    assert_ne!(ids_for_item("alice", "k1", 0).1, ids_for_item("alice", "k", 10).1);
}

#[test]
fn different_principals_and_keys_give_different_ids() {
    let parts =
        [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), ("a1:b", "c"), ("a", "1:bc"), ("1:a", "bc")];
    let mut ids: Vec<Uuid> = parts
        .iter()
        .flat_map(|(principal, key)| {
            let (order_id, event_id) = ids_for_key(principal, key);
            [order_id.as_str().parse().unwrap(), event_id.as_uuid()]
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2 * parts.len());
}

#[test]
fn a_uuid_becomes_an_id_in_its_hyphenated_lower_case_form() {
    let uuid = Uuid::from_u128(0x019A_B0C2_7D1E_7CC3_98C4_DC0C_0C07_398F);
    let text = "019ab0c2-7d1e-7cc3-98c4-dc0c0c07398f";
    assert_eq!(OrderId::from(uuid).as_str(), text);
    assert_eq!(CorrelationId::from(uuid).as_str(), text);
    assert_eq!(EventId::from(uuid).to_string(), text);
}

#[test]
fn the_same_key_gives_different_event_ids_for_different_orders() {
    let (a, b) = (OrderId::parse("a").unwrap(), OrderId::parse("b").unwrap());
    let id = event_id_for_key("alice", &a, "key");
    assert_eq!(event_id_for_key("alice", &a, "key"), id);
    let others = [
        event_id_for_key("bob", &a, "key"),
        event_id_for_key("alice", &b, "key"),
        event_id_for_key("alice", &a, "other key"),
        ids_for_key("alice", "key").1,
    ];
    assert!(others.iter().all(|other| *other != id), "{others:?}");
}

#[test]
fn subscription_ids_for_a_key_are_pinned() {
    let cases = [
        ("client-a", "key-1", "55050367-ec65-51a4-8a32-ad026887755a"),
        ("", "key-1", "ae2ffcee-bf32-5a1c-8a4c-cfd52ece66e9"),
    ];
    for (principal, key, pinned) in cases {
        assert_eq!(subscription_id_for_key(principal, key).to_string(), pinned);
    }
}
