//! Tests the validation of the data of events, and of the parts of an order: adjustments, contact, line ids
//! and partial items.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fakes::{FakePorts, post};
use crate::validation::{check, order};

const EVENTS: &str = "/v1/orders/o-1/events";

async fn check_event(event_type: &str, data: Value, expected: &[&str]) {
    check(EVENTS, &json!({ "type": event_type, "data": data }).to_string(), expected).await;
}

#[tokio::test]
async fn the_new_members_of_an_order_are_validated() {
    let adjustment = |amount: i64| json!({ "adjustment_id": "a", "kind": "discount", "amount": amount });
    let numbered = |id: usize| json!({ "adjustment_id": id.to_string(), "kind": "fee", "amount": 1 });
    let of_line = json!([{ "adjustment_id": "a", "kind": "tax", "amount": 1, "line_id": "9" }]);
    let same = json!([adjustment(1), adjustment(2)]);
    let table: Vec<(&str, Value, &[&str])> = vec![
        ("adjustments", json!([adjustment(-300)]), &[]),
        ("adjustments", json!([adjustment(-301)]), &["/adjustments sum"]),
        ("adjustments", of_line, &["/adjustments sum"]),
        ("adjustments", same, &["/adjustments/1/adjustment_id duplicate"]),
        ("adjustments", (0..101).map(numbered).collect(), &["/adjustments length"]),
        (
            "adjustments",
            json!([{ "kind": "gift" }]),
            &[
                "/adjustments/0/adjustment_id required",
                "/adjustments/0/amount required",
                "/adjustments/0/kind enum",
            ],
        ),
        ("reference", json!("WEB-1"), &[]),
        ("reference", json!("x".repeat(65)), &["/reference format"]),
        ("notes", json!("x".repeat(2000)), &[]),
        ("notes", json!("x".repeat(2001)), &["/notes format"]),
        ("expires_at", json!("2026-12-01T10:00:00Z"), &[]),
        ("expires_at", json!("2026-12-01T10:00:00"), &["/expires_at format"]),
        ("ship_unpaid", json!(true), &[]),
        ("ship_unpaid", json!("yes"), &["/ship_unpaid type"]),
        ("contact", json!({}), &[]),
        ("contact", json!({ "fax": "1", "email": "x" }), &["/contact/email format", "/contact/fax unknown"]),
        (
            "contact",
            json!({ "shipping_address": { "line1": "1", "country": "XX" } }),
            &["/contact/shipping_address/city required", "/contact/shipping_address/country enum"],
        ),
    ];
    for (member, value, expected) in table {
        check("/v1/orders", &order(|order| order[member] = value), expected).await;
    }
    let total = |total: i64| {
        order(|order| {
            order["adjustments"] = json!([adjustment(-100)]);
            order["total"] = json!(total);
        })
    };
    check("/v1/orders", &total(200), &[]).await;
    let answer = post(&Arc::new(FakePorts::default()), "/v1/orders", total(300)).await;
    let error = json!({
        "pointer": "/total", "code": "sum", "detail": "must equal the sum of the lines and adjustments, 200",
    });
    assert_eq!(answer.json()["errors"], json!([error]));
}

#[tokio::test]
async fn line_ids_are_distinct_and_a_line_without_an_id_has_its_place() {
    let line = |id: Value| json!({ "line_id": id, "sku": "A", "quantity": 1, "unit_price": 1 });
    let lines = |ids: [Value; 3]| order(|order| order["items"] = ids.map(line).into());
    check("/v1/orders", &lines([json!("a"), json!(null), json!("b")]), &[]).await;
    check("/v1/orders", &lines([json!("a"), json!("b"), json!("a")]), &["/items/2/line_id duplicate"]).await;
    check("/v1/orders", &lines([json!("2"), json!(null), json!("b")]), &["/items/1/line_id duplicate"]).await;
}

#[tokio::test]
async fn partial_events_name_each_line_once() {
    let line = |id: &str, quantity: i64| json!({ "line_id": id, "quantity": quantity });
    let (one, twice) = (json!([line("1", 1)]), json!([line("1", 1), line("2", 1), line("1", 2)]));
    for (event_type, data) in [
        ("order_shipped", json!({ "carrier": "DHL", "tracking_number": "1", "shipment_id": "parcel-1" })),
        ("order_cancelled", json!({ "reason": "no" })),
        ("order_return_requested", json!({ "return_id": "r-1" })),
        ("order_returned", json!({ "reason": "broken", "return_id": "r-1" })),
    ] {
        let table: [(Value, &[&str]); 8] = [
            (one.clone(), &[]),
            (json!(null), &[]),
            (json!([]), &["/data/items length"]),
            (twice.clone(), &["/data/items/2/line_id duplicate"]),
            (json!([line("1", 0)]), &["/data/items/0/quantity range"]),
            (json!([{ "line_id": "1" }]), &["/data/items/0/quantity required"]),
            (json!([{ "line_id": "1", "quantity": 1, "sku": "A" }]), &["/data/items/0/sku unknown"]),
            (json!({ "1": 2 }), &["/data/items type"]),
        ];
        for (items, expected) in table {
            let mut data = data.clone();
            data["items"] = items;
            check_event(event_type, data, expected).await;
        }
    }
}

#[tokio::test]
async fn the_data_of_each_kind_of_event_is_validated() {
    let table: Vec<(&str, Value, &[&str])> = vec![
        ("order_amended", json!({}), &["/data required"]),
        ("order_amended", json!({ "items": null }), &["/data/items type"]),
        ("order_amended", json!({ "contact": { "name": "A" } }), &[]),
        ("order_amended", json!({ "adjustments": [] }), &[]),
        ("order_annotated", json!({}), &["/data required"]),
        ("order_annotated", json!({ "metadata": {} }), &["/data/metadata length"]),
        ("order_annotated", json!({ "metadata": { "a": null, "b": "c" } }), &[]),
        ("order_annotated", json!({ "metadata": { "a": 1 } }), &["/data/metadata/a type"]),
        ("order_annotated", json!({ "notes": null }), &["/data/notes type"]),
        ("order_held", json!({ "hold": "fraud" }), &[]),
        ("order_held", json!({}), &["/data/hold required"]),
        ("order_released", json!({ "hold": "fraud", "reason": "fine" }), &[]),
        ("order_payment_authorized", json!({ "payment_id": "p", "amount": 1, "method": "card" }), &[]),
        ("order_payment_authorized", json!({}), &["/data/amount required", "/data/payment_id required"]),
        ("order_payment_voided", json!({ "payment_id": "p" }), &[]),
        (
            "order_paid",
            json!({ "payment_id": "p", "amount": 1, "settles": true }),
            &["/data/settles unknown"],
        ),
        ("order_delivered", json!(null), &[]),
        ("order_delivered", json!({ "shipment_id": "parcel-1" }), &[]),
        ("order_return_requested", json!(null), &[]),
        (
            "order_refunded",
            json!({ "refund_id": "r", "amount": 1, "payment_id": "p", "goodwill": true }),
            &[],
        ),
        (
            "order_refunded",
            json!({ "refund_id": "r", "amount": 1, "settles": true }),
            &["/data/settles unknown"],
        ),
    ];
    for (event_type, data, expected) in table {
        check_event(event_type, data, expected).await;
    }
}

/// Personal data never appears in an error, whatever is wrong with the data.
#[tokio::test]
async fn errors_do_not_repeat_a_value_of_the_contact() {
    const MARK: &str = "zebra4915123";
    let fake = Arc::new(FakePorts::default());
    let members = ["name", "email", "phone", "shipping_address", "billing_address"].map(|name| vec![name]);
    let parts = ["name", "company", "line1", "line2", "city", "postal_code", "region", "country"];
    let parts = parts.map(|name| vec!["billing_address", name]);
    let long = MARK.repeat(100);
    let control = format!("{MARK}\u{7}");
    for path in members.iter().chain(&parts) {
        for wrong in [
            json!(long),
            json!(control),
            json!(4_915_123),
            json!(4.915_123),
            json!([MARK]),
            json!({ MARK: 1 }),
        ] {
            let mut contact = json!({ "billing_address": { "line1": MARK, "city": MARK, "country": "DE" } });
            match path.as_slice() {
                [name] => contact[*name] = wrong.clone(),
                path => contact[path[0]][path[1]] = wrong.clone(),
            }
            let amended = json!({ "type": "order_amended", "data": { "contact": contact } }).to_string();
            let created = order(|order| order["contact"] = contact);
            for (address, body) in [("/v1/orders", created), (EVENTS, amended)] {
                let answer = post(&fake, address, body).await;
                answer.is_problem(422, "/problems/invalid-request");
                let mut errors = answer.json()["errors"].clone();
                // A pointer may contain member names, which are not personal data. So the test ignores the pointers.
                for error in errors.as_array_mut().unwrap() {
                    error["pointer"].take();
                }
                let text = errors.to_string();
                assert!(!text.contains("zebra") && !text.contains("915"), "{path:?} {wrong}: {text}");
            }
        }
    }
}
