//! Tests concurrent requests with one idempotency key on the embedded service. Exactly one of these requests must count
//! as new.

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::service::{Answer, Service, order};

const MANY: usize = 50;

/// The number of answers of each kind.
#[derive(Debug, Default, PartialEq, Eq)]
struct AnswerCounts {
    new: usize,
    replayed: usize,
    refused: usize,
}

/// Sends the given bodies concurrently with one key.
async fn sent(service: &Service, path: &str, bodies: &[Value]) -> (AnswerCounts, Vec<Answer>) {
    let key = Uuid::now_v7().to_string();
    let headers = [("idempotency-key", key.as_str())];
    let requests = bodies.iter().map(|body| service.ask(Method::POST, path, &headers, Some(body)));
    let answers = futures_util::future::join_all(requests).await;
    let mut answered = AnswerCounts::default();
    for answer in &answers {
        let accepted = match answer.body["items"].as_array() {
            Some(items) => items.iter().all(|item| item["status"] == 202),
            None => answer.status == 202,
        };
        let count = match (accepted, answer.header("idempotent-replayed")) {
            (true, "") => &mut answered.new,
            (true, _) => &mut answered.replayed,
            (false, _) => {
                answer.is_problem(422, "idempotency-key-reused");
                &mut answered.refused
            }
        };
        *count += 1;
    }
    (answered, answers)
}

async fn orders_of(service: &Service, customer: &str) -> usize {
    let (_, list) = service.get(&format!("/v1/orders?customer_id={customer}")).await;
    list["items"].as_array().unwrap().len()
}

/// A batch of two orders of one customer. The metadata of each order contains the number of the request.
fn batch(customer: &str, number: usize) -> Value {
    let mut order = order(customer);
    order["metadata"] = json!({ "number": number.to_string() });
    json!({ "orders": [order, order] })
}

async fn assert_one_is_new(flags: &[&str]) {
    let folder = TempDir::new().unwrap();
    let service = Service::start(&folder.path().join("data"), flags);

    let same = vec![order("single"); MANY];
    let (answered, answers) = sent(&service, "/v1/orders", &same).await;
    assert_eq!(answered, AnswerCounts { new: 1, replayed: MANY - 1, refused: 0 });
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "{answers:?}");
    service.outcome(&answers[0].body).await;
    assert_eq!(orders_of(&service, "single").await, 1);

    let (answered, answers) = sent(&service, "/v1/orders/batch", &vec![batch("batch", 0); MANY]).await;
    assert_eq!(answered, AnswerCounts { new: 1, replayed: MANY - 1, refused: 0 });
    for item in [0, 1] {
        let receipt = |answer: &Answer| answer.body["items"][item]["receipt"].clone();
        assert!(answers.iter().all(|answer| receipt(answer) == receipt(&answers[0])), "{answers:?}");
        service.outcome(&receipt(&answers[0])).await;
    }
    assert_eq!(orders_of(&service, "batch").await, 2);

    let others: Vec<_> = (0..MANY).map(|number| batch("others", number)).collect();
    let (answered, answers) = sent(&service, "/v1/orders/batch", &others).await;
    assert_eq!(answered, AnswerCounts { new: 1, replayed: 0, refused: MANY - 1 });
    let first = answers.iter().position(|answer| answer.status == 200).unwrap();
    for item in [0, 1] {
        let receipt = &answers[first].body["items"][item]["receipt"];
        service.outcome(receipt).await;
        let (_, order) = service.get(receipt["links"]["order"].as_str().unwrap()).await;
        assert_eq!(
            order["metadata"]["number"],
            first.to_string(),
            "the order comes from the request that was accepted"
        );
    }
    assert_eq!(orders_of(&service, "others").await, 2);

    let order_id = answers[first].body["items"][0]["receipt"]["order_id"].as_str().unwrap();
    let path = format!("/v1/orders/{order_id}/events");
    let (answered, _) = sent(&service, &path, &vec![json!({ "type": "order_confirmed" }); MANY]).await;
    assert_eq!(answered, AnswerCounts { new: 1, replayed: MANY - 1, refused: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_requests_with_one_key_one_is_new_if_it_commits_inline() {
    assert_one_is_new(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_requests_with_one_key_one_is_new_if_it_is_queued() {
    assert_one_is_new(&["--always-queue"]).await;
}
