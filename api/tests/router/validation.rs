//! Tests the validation of request bodies: the status, the problem, and every validation error with its pointer.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fakes::{FakePorts, post};

const ORDERS: &str = "/v1/orders";
const EVENTS: &str = "/v1/orders/o-1/events";

pub(crate) async fn check(path: &str, body: &str, expected: &[&str]) {
    let fake = Arc::new(FakePorts::default());
    let answer = post(&fake, path, body.to_owned()).await;
    if expected.is_empty() {
        assert_eq!(answer.status, 202, "{body}: {:?}", answer.json());
        return;
    }
    answer.is_problem(422, "/problems/invalid-request");
    assert_eq!(answer.validation_errors(), expected, "{body}");
    assert!(fake.published().is_empty());
}

pub(crate) fn order(change: impl FnOnce(&mut Value)) -> String {
    let mut order = json!({
        "customer_id": "c-1", "currency": "EUR",
        "items": [{ "sku": "A", "quantity": 2, "unit_price": 150 }, { "sku": "B", "quantity": 1, "unit_price": 0 }],
    });
    change(&mut order);
    order.to_string()
}

#[tokio::test]
async fn one_validation_error_in_an_order() {
    const MAX: i64 = (1 << 53) - 1;
    let line = json!({ "sku": "A", "quantity": 1, "unit_price": 1 });
    let table: Vec<(&str, Value, &[&str])> = vec![
        ("customer_id", json!(null), &["/customer_id required"]),
        ("customer_id", json!(7), &["/customer_id type"]),
        ("customer_id", json!(""), &["/customer_id format"]),
        ("customer_id", json!("a\tb"), &["/customer_id format"]),
        ("customer_id", json!("x".repeat(129)), &["/customer_id format"]),
        ("customer_id", json!("é".repeat(128)), &[]),
        ("customer_id", json!(" c"), &["/customer_id format"]),
        ("customer_id", json!("c\u{a0}"), &["/customer_id format"]),
        ("customer_id", json!("c d"), &[]),
        ("currency", json!("eur"), &["/currency enum"]),
        ("currency", json!("ZZZ"), &["/currency enum"]),
        ("currency", json!(["EUR"]), &["/currency type"]),
        ("items", json!([]), &["/items length"]),
        ("items", json!(vec![&line; 1000]), &[]),
        ("items", json!(vec![&line; 1001]), &["/items length"]),
        ("items", json!({ "0": line }), &["/items type"]),
        ("items", json!("A"), &["/items type"]),
        ("items", json!([true]), &["/items/0 type"]),
        ("items", json!([null]), &["/items/0 required"]),
        ("items", json!([{ "sku": "A", "quantity": 2, "unit_price": MAX }]), &["/items range"]),
        ("total", json!(300), &[]),
        ("total", json!(null), &[]),
        ("total", json!(301), &["/total sum"]),
        ("total", json!(-1), &["/total range"]),
        ("total", json!(3.5), &["/total type"]),
        ("total", json!(300.0), &[]),
        ("total", json!(1e30), &["/total range"]),
        ("total", json!(-1e30), &["/total range"]),
        ("total", json!("300"), &["/total type"]),
        ("metadata", json!({}), &[]),
        ("metadata", json!({ "a": "" }), &[]),
        ("metadata", json!([]), &["/metadata type"]),
        ("metadata", json!({ "a/b": 1, "c": null }), &["/metadata/a~1b type", "/metadata/c required"]),
        ("metadata", json!({ "k": "x".repeat(501) }), &["/metadata length"]),
        ("metadata", json!({ "": "x" }), &["/metadata length"]),
        ("metadata", json!({ "a": "x".repeat(501), "b": 1 }), &["/metadata length", "/metadata/b type"]),
        ("metadata", (0..21).map(|i| (i.to_string(), json!("x"))).collect(), &["/metadata length"]),
        ("extra", json!({ "a": [1] }), &["/extra unknown"]),
        ("__all__", json!(1), &["/__all__ unknown"]),
    ];
    for (member, value, expected) in table {
        check(ORDERS, &order(|order| order[member] = value), expected).await;
    }
}

#[tokio::test]
async fn one_validation_error_in_a_line_item() {
    let table: Vec<(&str, Value, &[&str])> = vec![
        ("sku", json!(" "), &["/items/1/sku format"]),
        ("sku", json!("x".repeat(65)), &["/items/1/sku format"]),
        ("sku", json!(5), &["/items/1/sku type"]),
        ("quantity", json!(0), &["/items/1/quantity range"]),
        ("quantity", json!(-1), &["/items/1/quantity range"]),
        ("quantity", json!(1_000_000), &[]),
        ("quantity", json!(1_000_001), &["/items/1/quantity range"]),
        ("quantity", json!(u64::MAX), &["/items/1/quantity range"]),
        ("quantity", json!(1.0), &[]),
        ("quantity", json!(1.5), &["/items/1/quantity type"]),
        ("quantity", json!(1e30), &["/items/1/quantity range"]),
        ("sku", json!("A "), &["/items/1/sku format"]),
        ("unit_price", json!(null), &["/items/1/unit_price required"]),
        ("unit_price", json!(1_i64 << 53), &["/items/1/unit_price range"]),
        ("price", json!(1), &["/items/1/price unknown"]),
    ];
    for (member, value, expected) in table {
        check(ORDERS, &order(|order| order["items"][1][member] = value), expected).await;
    }
}

#[tokio::test]
async fn several_validation_errors_are_reported_together() {
    let body = r#"{
        "currency": "EURO", "coupon": "X", "total": 5, "currency": "EUR",
        "items": [
            {"sku": "A", "quantity": 0, "unit_price": -1, "colour": "red"},
            {"sku": "B", "quantity": 1, "unit_price": 1},
            {"quantity": "1", "sku": "C", "sku": "D"}
        ],
        "metadata": {"k": 1, "l": "x", "l": "y"}
    }"#;
    let expected = [
        "/coupon unknown",
        "/currency enum",
        "/currency duplicate",
        "/customer_id required",
        "/items/0/colour unknown",
        "/items/0/quantity range",
        "/items/0/unit_price range",
        "/items/2/quantity type",
        "/items/2/sku duplicate",
        "/items/2/unit_price required",
        "/metadata/k type",
        "/metadata/l duplicate",
    ];
    check(ORDERS, body, &expected).await;

    // A wrong total is reported together with other errors. If there are too many line items, the errors in
    // the line items are reported too.
    check(
        ORDERS,
        &order(|o| (o["total"], o["currency"]) = (json!(1), json!("eur"))),
        &["/currency enum", "/total sum"],
    )
    .await;
    let mut lines = vec![json!({ "sku": "A", "quantity": 1, "unit_price": 1 }); 1001];
    lines[7]["quantity"] = json!(0);
    let expected = ["/items length", "/items/7/quantity range"];
    check(ORDERS, &order(|order| order["items"] = json!(lines)), &expected).await;
}

#[tokio::test]
async fn the_list_of_errors_has_details_and_at_most_100_items() {
    let fake = Arc::new(FakePorts::default());
    let answer = post(&fake, ORDERS, order(|order| order["items"][1]["quantity"] = json!(0))).await;
    let error = json!({ "pointer": "/items/1/quantity", "code": "range", "detail": "must be 1–1000000" });
    assert_eq!(answer.json()["errors"], json!([error]));
    assert_eq!(answer.json()["detail"], "The body has 1 error.");

    assert_eq!(answer.json().get("errors_omitted"), None);

    // Line items after the maximum are not validated.
    let answer = post(&fake, ORDERS, order(|order| order["items"] = json!(vec![0; 5000]))).await;
    assert_eq!((answer.validation_errors().len(), answer.json()["errors_omitted"].as_u64()), (100, Some(1)));
    assert_eq!(answer.validation_errors()[0], "/items length");
    assert_eq!(answer.json()["detail"], "The body has at least 101 errors; 100 are listed.");

    let unknown: String = (0..5000).map(|i| format!(r#","m{i}":0"#)).collect();
    let answer = post(&fake, EVENTS, format!(r#"{{"type":"order_confirmed"{unknown}}}"#)).await;
    assert_eq!(
        (answer.validation_errors().len(), answer.json()["errors_omitted"].as_u64()),
        (100, Some(4900))
    );
}

#[tokio::test]
async fn bodies_that_are_not_an_object_are_refused() {
    for (body, expected) in [("[]", " type"), ("3", " type"), ("\"x\"", " type"), ("null", " required")] {
        check(ORDERS, body, &[expected]).await;
        check(EVENTS, body, &[expected]).await;
    }
}

#[tokio::test]
async fn bodies_that_are_not_json_are_refused_with_the_position() {
    let fake = Arc::new(FakePorts::default());
    for (body, at) in
        [("", "line 1 column 0"), ("{\n  \"currency\": }", "line 2 column 15"), ("{} x", "line 1 column 4")]
    {
        for path in [ORDERS, EVENTS] {
            let answer = post(&fake, path, body).await;
            answer.is_problem(400, "/problems/invalid-json");
            assert!(answer.json()["detail"].as_str().unwrap().contains(at), "{:?}", answer.json());
        }
    }
    // A lone surrogate and a number out of range are also invalid JSON.
    for body in ["{\"currency\": \"\\ud800\"}", "{\"total\": 1e999}"] {
        post(&fake, ORDERS, body).await.is_problem(400, "/problems/invalid-json");
    }
    let nested = "[".repeat(10_000);
    post(&fake, ORDERS, nested).await.is_problem(400, "/problems/invalid-json");
    post(&fake, ORDERS, vec![b'"', 0xff, b'"']).await.is_problem(400, "/problems/invalid-json");
}

#[tokio::test]
async fn proposed_events_are_validated_by_their_type() {
    let table: &[(&str, &[&str])] = &[
        (r#"{"type":"order_confirmed"}"#, &[]),
        (r#"{"type":"order_confirmed","data":null}"#, &[]),
        (r#"{"data":{},"type":"order_delivered"}"#, &[]),
        (r#"{"type":"order_delivered","data":{"at":1}}"#, &["/data/at unknown"]),
        (r#"{"type":"order_delivered","data":7}"#, &["/data type"]),
        (r#"{"type":"order_amended","data":{"items":[{"sku":"A","quantity":1,"unit_price":1}]}}"#, &[]),
        (
            r#"{"type":"order_amended","data":{"items":[{"sku":"A"}]}}"#,
            &["/data/items/0/quantity required", "/data/items/0/unit_price required"],
        ),
        (r#"{"data":{"payment_id":"p","amount":1},"type":"order_paid"}"#, &[]),
        (
            r#"{"type":"order_paid","data":{"reason":"x"}}"#,
            &["/data/amount required", "/data/payment_id required", "/data/reason unknown"],
        ),
        (r#"{"type":"order_paid"}"#, &["/data required"]),
        (r#"{"type":"order_paid","data":[1],"note":1}"#, &["/data type", "/note unknown"]),
        (r#"{"type":"order_shipped","data":{"carrier":"DHL","tracking_number":"1"}}"#, &[]),
        (
            r#"{"type":"order_shipped","data":{"carrier":"","tracking_number":1}}"#,
            &["/data/carrier format", "/data/tracking_number type"],
        ),
        (r#"{"type":"order_cancelled","data":{"reason":"no\nlonger"}}"#, &[]),
        (r#"{"type":"order_returned","data":{"reason":"broken"}}"#, &[]),
        (r#"{"type":"order_returned","data":{"reason":"\ud800"}}"#, &["/data format"]),
        (r#"{"type":"order_refunded","data":{"refund_id":"r","amount":0}}"#, &[]),
        (r#"{"type":"order_created","data":{}}"#, &["/type enum"]),
        (r#"{"type":"paid","data":{}}"#, &["/type enum"]),
        (r#"{"type":1,"x":1}"#, &["/type type", "/x unknown"]),
        (r#"{"data":{},"data":{}}"#, &["/data duplicate", "/type required"]),
    ];
    for (body, expected) in table {
        check(EVENTS, body, expected).await;
    }
    let fake = Arc::new(FakePorts::default());
    let answer = post(&fake, EVENTS, r#"{"type":"order_created"}"#).await;
    let allowed = "must be one of order_amended, order_annotated, order_confirmed, order_held, order_released, \
                   order_payment_authorized, order_payment_voided, order_paid, order_shipped, order_delivered, \
                   order_cancelled, order_return_requested, order_returned, order_refunded";
    assert_eq!(answer.json()["errors"][0]["detail"], allowed);
}
