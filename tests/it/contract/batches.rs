//! Tests requests that create several orders in one batch.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::service::{Answer, Api, order};

async fn create(api: &Api, headers: &[(&str, &str)], orders: &[Value]) -> Answer {
    api.ask(Method::POST, "/v1/orders/batch", headers, Some(&json!({ "orders": orders }))).await
}

pub async fn orders_of_a_batch_are_independent(api: &Api) {
    let mut wrong = order("batch");
    wrong["items"][1]["quantity"] = json!(0);
    wrong["currency"] = json!("EURO");
    let mut orders = vec![order("batch"); 12];
    orders[5] = wrong;
    orders[7] = json!("no order");
    let answer = create(api, &[], &orders).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.body["items"].as_array().unwrap();
    for (i, item) in items.iter().enumerate() {
        if i == 5 || i == 7 {
            assert_eq!((&item["status"], &item["receipt"]), (&json!(422), &Value::Null));
            assert_eq!(item["problem"]["type"], "/problems/invalid-request");
        } else {
            assert_eq!((&item["status"], &item["problem"]), (&json!(202), &Value::Null));
            assert_eq!(api.outcome(&item["receipt"]).await["state"], "recorded");
        }
    }
    let pointers: Vec<_> =
        items[5]["problem"]["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/currency", "/items/1/quantity"]);
    let (_, list) = api.get("/v1/orders?customer_id=batch").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 10);
}

pub async fn a_repeated_batch_creates_its_orders_once(api: &Api) {
    let key = Uuid::now_v7().to_string();
    let headers = [("idempotency-key", key.as_str())];
    let mut orders = vec![order("again"), order("again")];
    let first = create(api, &headers, &orders).await;
    for item in first.body["items"].as_array().unwrap() {
        assert_eq!(item["status"], 202);
        api.outcome(&item["receipt"]).await;
    }
    orders.push(order("again"));
    orders[1]["customer_id"] = json!("somebody-else");
    let second = create(api, &headers, &orders).await;
    let items = &second.body["items"];
    assert_eq!(
        (&items[0]["replayed"], &items[0]["receipt"]),
        (&json!(true), &first.body["items"][0]["receipt"])
    );
    assert_eq!(
        (&items[1]["status"], &items[1]["problem"]["type"]),
        (&json!(422), &json!("/problems/idempotency-key-reused"))
    );
    assert_eq!((&items[2]["status"], &items[2]["replayed"]), (&json!(202), &Value::Null));
    assert_eq!((first.header("idempotent-replayed"), second.header("idempotent-replayed")), ("", ""));

    api.outcome(&items[2]["receipt"]).await;
    orders[1]["customer_id"] = json!("again");
    let third = create(api, &headers, &orders).await;
    assert_eq!(third.header("idempotent-replayed"), "true", "all items are replays: {third:?}");
    let other = vec![order("somebody-else"), order("somebody-else")];
    create(api, &headers, &other).await.is_problem(422, "idempotency-key-reused");
}

pub async fn a_batch_and_a_single_request_with_similar_keys_are_independent(api: &Api) {
    let key = Uuid::now_v7().to_string();
    let batch = create(api, &[("idempotency-key", &key)], &[order("like")]).await;
    let in_batch = &batch.body["items"][0]["receipt"];
    api.outcome(in_batch).await;
    let like = format!("\"{key} 0\"");
    for body in [order("like"), order("like")] {
        let single = api.ask(Method::POST, "/v1/orders", &[("idempotency-key", &like)], Some(&body)).await;
        assert_eq!(single.status, 202, "{single:?}");
        assert_ne!(single.body["order_id"], in_batch["order_id"]);
        api.outcome(&single.body).await;
    }
    let other =
        api.ask(Method::POST, "/v1/orders", &[("idempotency-key", &like)], Some(&order("other"))).await;
    other.is_problem(422, "idempotency-key-reused");
    let again = create(api, &[("idempotency-key", &key)], &[order("like")]).await;
    assert_eq!((&again.body["items"][0]["receipt"]["order_id"]), &in_batch["order_id"]);
}

pub async fn an_invalid_batch_is_refused(api: &Api) {
    for body in [
        json!({}),
        json!({ "orders": [] }),
        json!({ "orders": vec![order("c"); 101] }),
        json!([]),
        json!([order("c")]),
        json!({ "orders": 1 }),
    ] {
        let answer = api.ask(Method::POST, "/v1/orders/batch", &[], Some(&body)).await;
        answer.is_problem(422, "invalid-request");
    }
}
