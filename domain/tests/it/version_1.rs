//! Tests every history that schema version 1 could write: each event is legal, and the order has the same status as
//! in version 1. Version 1 had one status instead of counters, and the table below was its state machine.

use domain::{EventType, Order, RecordedEvent, Verdict, judge};
use serde_json::{Value, json};

use crate::given::{eur, event_type, message, recorded};

/// Each line begins with a state of version 1. Then it lists each event that was legal in that state, with the state
/// after the event. In the state `cancelled_paid`, the order was paid and then cancelled; its status was `cancelled`.
const TRANSITIONS: &str = "
    none            created:pending
    pending         amended:pending confirmed:confirmed cancelled:cancelled
    confirmed       paid:paid cancelled:cancelled
    paid            shipped:shipped cancelled:cancelled_paid
    shipped         delivered:delivered
    delivered       returned:returned
    returned        refunded:refunded
    cancelled
    cancelled_paid  refunded:refunded
    refunded
";

/// The maximum number of amendments in a history. Version 1 allowed any number, but an amendment replaces all that
/// earlier amendments changed, so more amendments lead to no new state.
const MAX_AMENDMENTS: usize = 2;

fn transitions(state: &str) -> Vec<(EventType, &'static str)> {
    let rows = TRANSITIONS.lines().map(str::split_whitespace);
    let mut row = rows.into_iter().find(|row| row.clone().next() == Some(state)).unwrap();
    row.next();
    row.map(|cell| cell.split_once(':').unwrap()).map(|(event, to)| (event_type(event), to)).collect()
}

/// The variants of data that an event of version 1 could have. The lines cost 2999.
fn variants(event_type: EventType) -> Vec<Value> {
    let lines = json!([
        {"sku": "mug", "quantity": 2, "unit_price": 1250}, {"sku": "tea", "quantity": 1, "unit_price": 499}
    ]);
    let unpriced = json!([{"sku": "mug", "quantity": 2}, {"sku": "tea", "quantity": 1, "unit_price": 499}]);
    let free = json!([{"sku": "mug", "quantity": 2, "unit_price": 0}]);
    let created = |items: &Value, total: i64| json!({"customer_id": "c", "currency": "EUR", "items": items, "total": total, "metadata": {"a": "b"}});
    let amounts = [None, Some(0), Some(700), Some(2999), Some(5000)];
    let money = |id: &str| -> Vec<Value> {
        let mut data: Vec<_> = amounts.map(|amount| json!({ "amount": amount })).to_vec();
        data.extend(amounts.map(|amount| json!({ id: "id-1", "amount": amount })));
        data
    };
    match event_type {
        EventType::Created => vec![
            created(&lines, 2999),
            created(&lines, 3489),
            created(&lines, 2500),
            created(&lines, 0),
            created(&unpriced, 2999),
            created(&unpriced, 100),
            created(&free, 0),
            created(&free, 9_007_199_254_740_991),
        ],
        EventType::Amended => vec![
            json!({ "items": lines }),
            json!({ "items": free }),
            json!({"items": [{"sku": "pot", "quantity": 1_000_000, "unit_price": 9}]}),
        ],
        EventType::Paid => money("payment_id"),
        EventType::Refunded => money("refund_id"),
        EventType::Shipped => vec![json!({}), json!({"carrier": "DHL", "tracking_number": "T-1"})],
        EventType::Cancelled | EventType::Returned => vec![json!({}), json!({"reason": "late"})],
        _ => vec![json!({})],
    }
}

/// The end of a history: the state in version 1, the latest lines and total, and the order.
#[derive(Clone)]
struct History {
    state: &'static str,
    items: Value,
    total: Value,
    amendments: usize,
    order: Option<Order>,
}

/// Continues the history in every way that version 1 allowed. Returns the number of continuations.
fn explore(history: &History) -> usize {
    let mut count = 0;
    for (event_type, to) in transitions(history.state) {
        if event_type == EventType::Amended && history.amendments == MAX_AMENDMENTS {
            continue;
        }
        // After the last amendment, each event is tried with only one variant of its data.
        let limit = if history.amendments < MAX_AMENDMENTS { usize::MAX } else { 1 };
        for data in variants(event_type).into_iter().take(limit) {
            count += 1 + explore(&step(history, event_type, &data, to));
        }
    }
    count
}

fn step(history: &History, event_type: EventType, data: &Value, to: &'static str) -> History {
    let case = || format!("{event_type} {data} after {:?}", history.order);
    let envelope = message(event_type, 1, data);
    assert_eq!(judge(history.order.as_ref(), None, &envelope), Verdict::Legal, "{}", case());
    let version = history.order.as_ref().map_or(1, |order| order.version + 1);
    let entry = recorded(version, envelope.event);
    let order =
        Order::apply(history.order.clone(), &entry).unwrap_or_else(|error| panic!("{error}: {}", case()));

    // The log entry is written in the current format and read again. It must then change the order in the
    // same way.
    let rewritten = RecordedEvent::decode(&entry.encode(), eur()).unwrap();
    assert_eq!(Order::apply(history.order.clone(), &rewritten).as_ref(), Ok(&order), "{}", case());

    let mut next = History { state: to, order: Some(order.clone()), ..history.clone() };
    match event_type {
        EventType::Created => (next.items, next.total) = (data["items"].clone(), data["total"].clone()),
        EventType::Amended => {
            next.amendments += 1;
            next.items = data["items"].clone();
            let price =
                |line: &Value| line["quantity"].as_i64().unwrap() * line["unit_price"].as_i64().unwrap();
            next.total = json!(next.items.as_array().unwrap().iter().map(price).sum::<i64>());
        }
        _ => {}
    }
    check(&next, &order, version, &case());
    next
}

fn check(history: &History, order: &Order, version: u64, case: &str) {
    let status = history.state.trim_end_matches("_paid");
    assert_eq!((order.status.as_str(), order.version), (status, version), "{case}");
    assert_eq!(order.customer_id.as_str(), "c", "{case}");
    assert!(!order.lacks_counters(), "{case}");
    let as_stated: Vec<_> = order
        .items
        .iter()
        .map(|line| {
            let mut json = json!({"sku": line.sku, "quantity": line.quantity});
            if let Some(price) = line.unit_price {
                json["unit_price"] = json!(price);
            }
            json
        })
        .collect();
    assert_eq!(json!(as_stated), history.items, "{case}");
    let units = order.units();
    if units.cancelled + units.returned == 0 {
        assert_eq!(json!(order.total), history.total, "{case}");
    }
}

#[test]
fn every_history_of_version_1_is_legal_and_has_the_status_it_had() {
    let start = History { state: "none", items: json!(null), total: json!(null), amendments: 0, order: None };
    let count = explore(&start);
    // Each term counts the histories that end with one kind of event. A pending order has 2 cancellations and
    // 1 confirmation. A confirmed order has 2 cancellations and 10 payments. A paid order has 2 cancellations
    // with 10 refunds each, and 2 shipments. Each shipment has 1 delivery with 2 returns, and each return has
    // 10 refunds. There are 8 `order_created` events, 8 × 3 first amendments and 8 × 9 second amendments.
    // After the second amendment, each event has only one variant, so 11 histories remain.
    let after_pending = 2 + 1 + 2 + 10 * (1 + 2 + 20 + 2 + 2 + 4 + 40);
    assert_eq!(count, (8 + 24) * (1 + after_pending) + 72 * 11);
}

#[test]
fn a_stored_order_of_version_1_lacks_counters_unless_it_is_as_it_was_created() {
    let stored = |status: &str, total: i64| -> Order {
        serde_json::from_value(json!({
            "order_id": "o", "customer_id": "c", "status": status, "version": 2, "currency": "EUR",
            "items": [{"sku": "mug", "quantity": 2, "unit_price": 1250}], "total": total, "payment": {"amount": 2500},
            "created_at": "2026-11-23T10:00:00Z", "updated_at": "2026-11-23T10:00:00Z",
        }))
        .unwrap()
    };
    assert!(!stored("pending", 2500).lacks_counters());
    assert!(
        stored("pending", 2999).lacks_counters(),
        "the projection lacks the adjustment for the stated total"
    );
    for status in ["confirmed", "paid", "shipped", "delivered", "returned", "cancelled", "refunded"] {
        assert!(stored(status, 2500).lacks_counters(), "{status}");
    }
}

#[test]
fn members_that_version_1_did_not_have_are_ignored() {
    let newer = json!({
        "items": [{"line_id": "1", "quantity": 1}], "settles": false, "goodwill": true, "payment_id": "p-1",
        "shipment_id": 7, "return_id": [], "method": 1, "contact": 2, "adjustments": 3, "hold": 4
    });
    for short in ["shipped", "delivered", "cancelled", "returned", "refunded", "confirmed"] {
        let kind = event_type(short);
        assert_eq!(message(kind, 1, &newer).event, message(kind, 1, &json!({})).event, "{kind}");
    }
    let (paid, bare) = (json!({"payment_id": "p-1", "method": 1}), json!({"payment_id": "p-1"}));
    assert_eq!(message(EventType::Paid, 1, &paid).event, message(EventType::Paid, 1, &bare).event);
    let mut lines = variants(EventType::Amended).remove(0);
    let amended = message(EventType::Amended, 1, &lines).event;
    lines["contact"] = json!({"phone": 7});
    lines["adjustments"] = json!("none");
    assert_eq!(message(EventType::Amended, 1, &lines).event, amended);
}

#[test]
fn version_1_had_only_its_own_types() {
    for short in ["annotated", "held", "released", "payment_authorized", "payment_voided", "return_requested"]
    {
        let text = json!({
            "type": format!("order_{short}"), "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z",
            "data": {"order_id": "o", "hold": "h", "payment_id": "p", "amount": 1},
        });
        let error = domain::Envelope::decode(text.to_string().as_bytes(), eur()).unwrap_err();
        assert_eq!(error.to_string(), format!("unknown event type \"order_{short}\""));
    }
}
