//! Tests the order that readers see: how each event changes the order, and logs that cannot be folded.

use domain::event::Amended;
use domain::{Event, EventType, LineItems, Order, OrderId};
use serde_json::json;

use crate::given::{
    after, amount, data, event, line, log, order_after, order_after_types, proposed, recorded, time,
};

#[test]
fn a_created_order_is_pending_at_version_1_and_has_all_that_was_stated() {
    let order = order_after_types("created").unwrap();
    let json = serde_json::to_value(&order).unwrap();
    let mut expected = data(EventType::Created);
    for (name, value) in [
        ("order_id", json!("order-1")),
        ("status", json!("pending")),
        ("version", json!(1)),
        ("created_at", json!("2026-11-23T10:01:00Z")),
        ("updated_at", json!("2026-11-23T10:01:00Z")),
        ("recorded_at", json!("2026-11-23T10:01:30Z")),
    ] {
        expected[name] = value;
    }
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Order>(json).unwrap(), order);
}

#[test]
fn no_events_make_no_order() {
    assert_eq!(Order::fold(&[]).unwrap(), None);
}

#[test]
fn an_amendment_replaces_each_part_that_it_states_and_no_other() {
    let before = order_after_types("created").unwrap();
    let after = order_after_types("created amended").unwrap();
    let sku = |order: &Order| order.items.iter().map(|line| line.sku.to_string()).collect::<Vec<_>>();
    assert_eq!((sku(&before), before.total), (vec!["mug".to_owned(), "tea".to_owned()], amount(2999)));
    assert_eq!((sku(&after), after.total, after.version), (vec!["pot".to_owned()], amount(6000), 2));
    assert!(after.adjustments.is_empty());
    assert_eq!(after.reference.as_ref().map(|reference| reference.as_str()), Some("PO-2"));
    assert_ne!(after.contact, before.contact);
    assert_eq!((&after.customer_id, &after.metadata), (&before.customer_id, &before.metadata));
    assert_eq!((&after.notes, after.expires_at), (&before.notes, before.expires_at));

    for (stated, total) in [
        (json!({"adjustments": [{"adjustment_id": "fee", "kind": "fee", "amount": 1}]}), 3000),
        (json!({"items": [{"sku": "pot", "quantity": 1, "unit_price": 7}]}), 207),
        (json!({"contact": {"name": "Grace"}}), 2999),
        (json!({"reference": "PO-3"}), 2999),
        (json!({}), 2999),
    ] {
        let after = crate::given::after(Some(before.clone()), proposed(EventType::Amended, &stated)).unwrap();
        assert_eq!(after.total, amount(total), "{stated}");
        let changed =
            |name: &str, is_same: bool| assert_eq!(is_same, stated.get(name).is_none(), "{stated}: {name}");
        changed("items", after.items == before.items);
        changed("adjustments", after.adjustments == before.adjustments);
        changed("contact", after.contact == before.contact);
        changed("reference", after.reference == before.reference);
    }
}

#[test]
fn the_last_amendment_wins() {
    let items = LineItems::parse(vec![line("cup", 1, Some(700))]).unwrap();
    let second = Amended { items: Some(items), ..Amended::default() };
    let order =
        order_after([event(EventType::Created), event(EventType::Amended), Event::Amended(second)]).unwrap();
    assert_eq!((order.total, order.items.len()), (amount(700), 1));
}

#[test]
fn an_annotation_merges_metadata_and_replaces_notes() {
    let order = order_after_types("created annotated").unwrap();
    assert_eq!(json!(order.metadata), json!({"clerk": "Grace"}));
    assert_eq!(json!(order.notes), json!("Wrap it."));
    let order =
        after(Some(order), proposed(EventType::Annotated, &json!({"metadata": {"clerk": "Ada"}}))).unwrap();
    assert_eq!((json!(order.metadata), json!(order.notes)), (json!({"clerk": "Ada"}), json!("Wrap it.")));
}

#[test]
fn payments_shipments_returns_and_refunds_are_kept_through_all_later_events() {
    let life = "created payment_authorized payment_voided confirmed held released paid shipped delivered \
                return_requested returned refunded";
    let order = order_after_types(life).unwrap();
    let json = serde_json::to_value(&order).unwrap();
    let items = json!([{"line_id": "mug", "quantity": 2}, {"line_id": "2", "quantity": 1}]);
    assert_eq!(
        json["payments"],
        json!([
            {"payment_id": "pay-0", "method": "card", "authorized": 2999, "voided": true},
            {"payment_id": "pay-1", "method": "card", "captured": 2999, "refunded": 2999}
        ])
    );
    assert_eq!(
        json["shipments"],
        json!([{
            "shipment_id": "box-1", "carrier": "Post", "tracking_number": "track-1", "items": items,
            "state": "delivered"
        }])
    );
    assert_eq!(
        json["returns"],
        json!([{"return_id": "return-1", "reason": "does not fit", "items": items, "state": "received"}])
    );
    assert_eq!(
        json["refunds"],
        json!([{"refund_id": "refund-1", "amount": 2999, "payment_id": "pay-1", "reason": "returned"}])
    );
    assert_eq!((json.get("holds"), &json["confirmed"]), (None, &json!(true)));
    // The shipping price of 200 remains in the total after the return of the goods.
    assert_eq!((order.status.as_str(), order.version, order.total), ("refunded", 12, amount(200)));
    assert_eq!(order.created_at, time("2026-11-23T10:01:00Z"));
    assert_eq!(order.updated_at, time("2026-11-23T10:12:00Z"));
}

#[test]
fn a_log_with_a_gap_a_repeat_or_a_wrong_start_does_not_fold() {
    let cases = [
        (vec![1, 3], "event order_confirmed at version 3 does not fit: version 2 was expected"),
        (vec![1, 1], "event order_confirmed at version 1 does not fit: version 2 was expected"),
        (vec![2], "event order_created at version 2 does not fit: version 1 was expected"),
        (vec![0], "event order_created at version 0 does not fit: version 1 was expected"),
    ];
    for (versions, expected) in cases {
        let types = [EventType::Created, EventType::Confirmed];
        let log: Vec<_> =
            versions.iter().zip(types).map(|(version, kind)| recorded(*version, event(kind))).collect();
        assert_eq!(Order::fold(&log).unwrap_err().to_string(), expected, "{versions:?}");
    }
}

#[test]
fn an_illegal_log_does_not_fold() {
    let log = log([event(EventType::Created), event(EventType::Shipped)]);
    let error = Order::fold(&log).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event order_shipped at version 2 does not fit: the order is not confirmed"
    );

    let error = Order::apply(None, &recorded(1, event(EventType::Paid))).unwrap_err();
    assert_eq!(error.to_string(), "event order_paid at version 1 does not fit: the order does not exist yet");
}

#[test]
fn an_event_of_another_order_does_not_fold() {
    let mut log = log([event(EventType::Created), event(EventType::Confirmed)]);
    log[1].envelope.order_id = OrderId::parse("order-2").unwrap();
    let error = Order::fold(&log).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event order_confirmed at version 2 does not fit: it belongs to order order-2"
    );
}
