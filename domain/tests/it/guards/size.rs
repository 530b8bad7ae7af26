//! Tests the guard about the size of an order.

use domain::{EventType, Guard, Verdict, judge};
use serde_json::{Value, json};

use super::{is_allowed, legal, order_of, refused, units};
use crate::given::{envelope, proposed};

/// A confirmed order of 200 units that may be shipped unpaid.
fn many() -> domain::Order {
    let created = json!({
        "customer_id": "c", "currency": "EUR", "total": 200, "ship_unpaid": true,
        "items": [{"sku": "mug", "quantity": 200, "unit_price": 1}],
    });
    order_of(&created, &[("confirmed", json!({}))])
}

fn full(what: &str, limit: i64, verdict: &str) -> (String, Value) {
    (
        format!("verdict '{verdict}', guard size_fits: the order has {limit} {what}"),
        json!({"present": limit, "limit": limit}),
    )
}

#[test]
fn an_order_has_up_to_100_payments_and_refunds() {
    let mut order = legal(&many(), "payment_authorized", json!({"payment_id": "p", "amount": 9}));
    for _ in 1..100 {
        order = legal(&order, "paid", json!({"amount": 2}));
    }
    let (detail, numbers) = full("payments", 100, "never");
    refused(&order, "paid", json!({"amount": 2}), &detail, numbers.clone());
    refused(&order, "payment_authorized", json!({"payment_id": "q", "amount": 2}), &detail, numbers);
    assert!(!is_allowed(&order, "payment_authorized"));
    order = legal(&order, "paid", json!({"payment_id": "p"}));
    assert!(!is_allowed(&order, "paid"), "no authorized payment is left to capture");
    for _ in 0..100 {
        order = legal(&order, "refunded", json!({"amount": 1}));
    }
    let (detail, numbers) = full("refunds", 100, "never");
    refused(&order, "refunded", json!({"amount": 1}), &detail, numbers);
}

#[test]
fn an_order_has_up_to_100_shipments_and_returns() {
    let mut order = many();
    for _ in 0..100 {
        order = legal(&order, "shipped", units(&[("1", 1)]));
    }
    let (detail, numbers) = full("shipments", 100, "never");
    refused(&order, "shipped", units(&[("1", 1)]), &detail, numbers);
    assert!(!is_allowed(&order, "shipped"));
    order = legal(&order, "delivered", json!({}));
    order =
        legal(&order, "return_requested", json!({"return_id": "r", "items": units(&[("1", 1)])["items"]}));
    for _ in 1..100 {
        order = legal(&order, "returned", units(&[("1", 1)]));
    }
    let (detail, numbers) = full("returns", 100, "never");
    refused(&order, "returned", units(&[("1", 1)]), &detail, numbers.clone());
    refused(&order, "return_requested", units(&[("1", 1)]), &detail, numbers);
    assert!(!is_allowed(&order, "return_requested"));
    let order = legal(&order, "returned", json!({"return_id": "r"}));
    assert!(!is_allowed(&order, "returned"), "no requested return is left");
}

#[test]
fn an_order_has_up_to_20_holds() {
    let mut order = many();
    for n in 0..20 {
        order = legal(&order, "held", json!({"hold": n.to_string()}));
    }
    let (detail, numbers) = full("holds", 20, "early");
    refused(&order, "held", json!({"hold": "20"}), &detail, numbers);
    assert!(!is_allowed(&order, "held"));
    legal(&legal(&order, "released", json!({"hold": "7"})), "held", json!({"hold": "20"}));
}

/// The lines for the data of an order. The JSON of each line has about `bytes` bytes.
fn long_lines(count: usize, bytes: usize) -> Value {
    let line = |n: usize| json!({"line_id": format!("{n:0>64}"), "sku": "s", "name": "n".repeat(bytes - 130), "quantity": 1, "unit_price": 0});
    json!((0..count).map(line).collect::<Vec<_>>())
}

#[test]
fn a_created_or_amended_order_leaves_room_for_its_shipments_and_returns() {
    let created = |count: usize| json!({"customer_id": "c", "currency": "EUR", "total": 0, "items": long_lines(count, 300), "ship_unpaid": true});
    let event = envelope(proposed(EventType::Created, &created(1000)));
    let Verdict::Never(refusal) = judge(None, None, &event) else { panic!() };
    let violation = refusal.violation.unwrap();
    assert_eq!((violation.guard, violation.numbers["limit"]), (Guard::SizeFits, 200_000));
    assert!((290_000..310_000).contains(&violation.numbers["bytes"]), "{}", refusal.detail);

    let order = order_of(&created(650), &[("confirmed", json!({}))]);
    let amended = envelope(proposed(EventType::Amended, &json!({"items": long_lines(1000, 300)})));
    let Verdict::Early(refusal) = judge(Some(&order), None, &amended) else { panic!() };
    assert_eq!(refusal.violation.unwrap().numbers["limit"], 200_000);

    // One event can ship all units, one can deliver them, and one can return them.
    let order = legal(&legal(&order, "shipped", json!({})), "delivered", json!({}));
    let order = legal(&order, "returned", json!({}));
    assert!(order.encode().len() < 400_000, "{}", order.encode().len());
}
