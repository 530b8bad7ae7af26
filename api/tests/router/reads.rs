//! Tests `GET` requests: orders, receipts, histories, and lists with their pages and errors.

use std::sync::Arc;

use domain::{Currency, EventType, Outcome, ParkReason, Receipt, RecordedEvent, RejectReason};
use serde_json::{Value, json};

use crate::fakes::{Answer, FakePorts, get};

const EVENT_ID: &str = "0199d3a0-0000-7000-8000-000000000001";

/// The log of an order of customer `c/1 & co` that was created in the minute `minute` and amended
/// `amendments` times.
fn log(order_id: &str, minute: u64, amendments: u64) -> Vec<RecordedEvent> {
    let entry = |version: u64, event_type: &str, data: Value| {
        let mut data = data;
        data["order_id"] = order_id.into();
        data["items"] = json!([{ "sku": "A", "quantity": version, "unit_price": 10 }]);
        let entry = json!({
            "version": version, "recorded_at": "2026-11-23T10:59:00Z", "event_id": EVENT_ID, "type": event_type,
            "schema_version": 1, "timestamp": format!("2026-11-23T10:{minute:02}:00Z"), "correlation_id": "req-1",
            "request_hash": "00ff", "data": data,
        });
        RecordedEvent::decode(entry.to_string().as_bytes(), Currency::parse("EUR").unwrap()).unwrap()
    };
    let created = json!({ "customer_id": "c/1 & co", "currency": "EUR", "total": 10 });
    let mut log = vec![entry(1, "order_created", created)];
    log.extend((2..2 + amendments).map(|version| entry(version, "order_amended", json!({}))));
    log
}

#[tokio::test]
async fn an_order_is_returned_with_all_members() {
    let fake = Arc::new(FakePorts { log: log("o-1", 5, 1), ..FakePorts::default() });
    let answer = get(&fake, "/v1/orders/o-1").await;
    let expected = json!({
        "object": "order", "order_id": "o-1", "customer_id": "c/1 & co", "status": "pending", "version": 2, "currency": "EUR",
        "payment_status": "unpaid", "fulfilment_status": "unfulfilled", "confirmed": false, "ship_unpaid": false,
        "items": [{
            "line_id": "1", "sku": "A", "quantity": 2, "unit_price": 10,
            "cancelled": 0, "shipped": 0, "delivered": 0, "returned": 0,
        }],
        "total": 20, "money": { "authorized": 0, "captured": 0, "refunded": 0, "balance": 20 },
        "adjustments": [], "payments": [], "refunds": [], "shipments": [], "returns": [], "holds": [],
        "metadata": {}, "parked": 2,
        "allowed_events": [
            "order_amended", "order_annotated", "order_confirmed", "order_held", "order_payment_authorized", "order_paid",
            "order_cancelled",
        ],
        "created_at": "2026-11-23T10:05:00Z", "updated_at": "2026-11-23T10:05:00Z",
        "links": { "self": "/v1/orders/o-1", "events": "/v1/orders/o-1/events" },
    });
    assert_eq!(answer.json(), expected);
    get(&fake, "/v1/orders/o-2").await.is_problem(404, "/problems/order-not-found");
}

#[tokio::test]
async fn a_receipt_is_returned_in_every_state() {
    let table = [
        (None, json!({ "state": "accepted" })),
        (Some(Outcome::Recorded { version: 3 }), json!({ "state": "recorded", "version": 3 })),
        (
            Some(Outcome::Rejected {
                reason: RejectReason::IllegalTransition,
                detail: "no".to_owned(),
                at_version: Some(1),
                violation: None,
            }),
            json!({ "state": "rejected", "reason": "illegal_transition", "detail": "no" }),
        ),
        (
            Some(Outcome::Parked { reason: ParkReason::BehindParked, detail: "wait".to_owned() }),
            json!({ "state": "parked", "reason": "behind_parked", "detail": "wait" }),
        ),
    ];
    for (outcome, mut expected) in table {
        let (order_id, event_id) = ("o-1".parse().unwrap(), EVENT_ID.parse().unwrap());
        let receipt = Receipt {
            order_id,
            event_id,
            event_type: EventType::Paid,
            outcome,
            request_hash: None,
            message: None,
        };
        let fake = Arc::new(FakePorts { receipt: Some(receipt), ..FakePorts::default() });
        let path = format!("/v1/orders/o-1/events/{EVENT_ID}");
        expected["object"] = "receipt".into();
        expected["order_id"] = "o-1".into();
        expected["event_id"] = EVENT_ID.into();
        expected["type"] = "order_paid".into();
        expected["links"] = json!({ "self": path, "order": "/v1/orders/o-1" });
        assert_eq!(get(&fake, &path).await.json(), expected);
        get(&fake, &path.replace("o-1", "o-2")).await.is_problem(404, "/problems/event-not-found");
    }
}

#[tokio::test]
async fn the_type_in_a_receipts_link_is_used_only_if_the_event_is_unknown() {
    let recorded = Some(Some(Outcome::Recorded { version: 3 }));
    let (not_found, accepted) = ((404, "event-not-found", ""), (200, "accepted", "?type=order_paid"));
    for (sees_queued, known, query, expected) in [
        (true, None, "", not_found),
        (true, None, "?type=order_paid", not_found),
        (true, Some(None), "?type=order_paid", (200, "accepted", "")),
        (true, recorded.clone(), "?type=order_paid", (200, "recorded", "")),
        (false, None, "", not_found),
        (false, None, "?type=order_paid", accepted),
        (false, Some(None), "", accepted),
        // If a receipt is stored, the type in the query of the link has no effect.
        (false, recorded.clone(), "?type=order_created", (200, "recorded", "")),
    ] {
        let (order_id, event_id) = ("o-1".parse().unwrap(), EVENT_ID.parse().unwrap());
        let receipt = known.map(|outcome| Receipt {
            order_id,
            event_id,
            event_type: EventType::Paid,
            outcome,
            request_hash: None,
            message: None,
        });
        let fake = Arc::new(FakePorts { sees_queued, receipt, ..FakePorts::default() });
        let path = format!("/v1/orders/o-1/events/{EVENT_ID}");
        let answer = get(&fake, &format!("{path}{query}")).await;

        let (status, what, link) = expected;
        if status == 404 {
            answer.is_problem(404, &format!("/problems/{what}"));
            continue;
        }
        let body = answer.json();
        assert_eq!((answer.status.as_u16(), body["state"].as_str()), (status, Some(what)), "{query}");
        assert_eq!((&body["type"], &body["order_id"]), (&json!("order_paid"), &json!("o-1")));
        assert_eq!(body["links"]["self"], format!("{path}{link}"));
    }
}

/// The value of `member` in every item of a list, page by page.
async fn pages(fake: &Arc<FakePorts>, list: &str, member: &str) -> Vec<Vec<Value>> {
    let mut pages = vec![];
    let mut cursor = String::new();
    loop {
        let answer: Answer = get(fake, &format!("{list}{cursor}")).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        let page = answer.json();
        pages.push(page["items"].as_array().unwrap().iter().map(|item| item[member].clone()).collect());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn a_history_is_paged() {
    let fake = Arc::new(FakePorts { log: log("o-1", 5, 3), ..FakePorts::default() });
    assert_eq!(pages(&fake, "/v1/orders/o-1/events?limit=3", "version").await, [vec![1, 2, 3], vec![4]]);
    assert_eq!(pages(&fake, "/v1/orders/o-1/events?limit=2", "version").await, [[1, 2], [3, 4]]);
    let page = get(&fake, "/v1/orders/o-1/events?limit=3").await;
    let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(page.header("link"), format!("</v1/orders/o-1/events?limit=3&cursor={cursor}>; rel=\"next\""));
    let other = get(&fake, &format!("/v1/orders/o-2/events?cursor={cursor}")).await;
    other.is_problem(400, "/problems/invalid-parameter");
    assert_eq!(other.validation_errors(), ["cursor format"]);
    get(&fake, "/v1/orders/o-2/events").await.is_problem(404, "/problems/order-not-found");

    let first = &get(&fake, "/v1/orders/o-1/events").await.json()["items"][0];
    assert_eq!((&first["type"], &first["data"]["order_id"]), (&json!("order_created"), &json!("o-1")));
    assert_eq!(first.get("request_hash"), None);
}

#[tokio::test]
async fn a_customers_orders_are_paged_newest_first() {
    // The orders o-2 and o-3 are created in the same minute, so their ids decide the order of the list.
    let log = [log("o-1", 1, 0), log("o-2", 2, 0), log("o-3", 2, 0)].concat();
    let fake = Arc::new(FakePorts { log, ..FakePorts::default() });
    let list = "/v1/orders?customer_id=c%2F1+%26%20co&limit=";
    assert_eq!(pages(&fake, &format!("{list}2"), "order_id").await, [vec!["o-3", "o-2"], vec!["o-1"]]);
    assert_eq!(pages(&fake, &format!("{list}1"), "order_id").await, [["o-3"], ["o-2"], ["o-1"]]);
    assert_eq!(pages(&fake, "/v1/orders?customer_id=x", "order_id").await, [[0; 0]; 1]);
}

#[tokio::test]
async fn invalid_paths_and_queries_name_every_parameter() {
    let table: &[(&str, &[&str])] = &[
        ("/v1/orders/a%20b", &["order_id format"]),
        ("/v1/orders/%ff", &["order_id format"]),
        ("/v1/orders/a%2Fb/events", &["order_id format"]),
        ("/v1/orders/o/events/%ff", &["event_id format"]),
        ("/v1/orders/a.b/events/7", &["order_id format", "event_id format"]),
        ("/v1/orders/o/events?limit=0", &["limit range"]),
        ("/v1/orders/o/events?limit=201&cursor=x", &["limit range", "cursor format"]),
        ("/v1/orders/o/events?limit=%2B5", &["limit range"]),
        ("/v1/orders/o/events?after=5", &["after unknown"]),
        ("/v1/orders/o/events/0199d3a0-0000-7000-8000-000000000001?type=paid", &["type enum"]),
        (
            "/v1/orders/o/events/0199d3a0-0000-7000-8000-000000000001?type=&type=order_paid&x=1",
            &["type duplicate", "type enum", "x unknown"],
        ),
        ("/v1/orders?customer_id=", &["customer_id format"]),
        ("/v1/orders?customer_id=c&cursor=v5", &["cursor format"]),
        (
            "/v1/orders?customer_id=c&customer_id=d&limit=ten&x=1",
            &["customer_id duplicate", "limit range", "x unknown"],
        ),
    ];
    let fake = Arc::new(FakePorts::default());
    for (path, expected) in table {
        let answer = get(&fake, path).await;
        answer.is_problem(400, "/problems/invalid-parameter");
        assert_eq!(answer.validation_errors(), *expected, "{path}");
    }
}

#[tokio::test]
async fn a_store_failure_is_an_internal_error_without_details() {
    let fake = Arc::new(FakePorts { broken: true, ..FakePorts::default() });
    for path in [
        "/v1/orders/o".to_owned(),
        "/v1/orders/o/events".to_owned(),
        "/v1/orders?customer_id=c".to_owned(),
        format!("/v1/orders/o/events/{EVENT_ID}"),
    ] {
        get(&fake, &path).await.is_problem(500, "/problems/internal");
    }
}
