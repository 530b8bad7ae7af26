//! Tests redrives of parked sequences that are too long for one request.

use std::sync::Arc;

use domain::{DeadLetter, OrderId};
use serde_json::{Value, json};

use crate::dead_letters::{FakeDeadLetters, event, letter};
use crate::operator::{get, post, results};

const REDRIVE: &str = "/v1/dead-letters/redrive";

/// The dead letters of an order. Each id consists of the order's id and a number.
fn sequence(order: &str, length: u32) -> Vec<DeadLetter> {
    let body = |number| event("confirmed", number + 2).replace("o-1", order);
    let letter = |number| DeadLetter {
        order_id: Some(OrderId::parse(order).unwrap()),
        ..letter(&format!("{order}-{number:03}"), 1, &body(number))
    };
    (0..length).map(letter).collect()
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_the_beginning_of_its_sequence() {
    let letters = Arc::new(FakeDeadLetters::of(sequence("o-1", 101)));
    let shown = get(&letters, "/v1/dead-letters/o-1-099").await.json();
    assert_eq!((shown["line"].as_array().unwrap().len(), &shown["line_cut"]), (100, &json!(true)));
    assert_eq!((&shown["line"][99], &shown["prediction"]["result"]), (&json!("o-1-099"), &json!("illegal")));
    let behind = get(&letters, "/v1/dead-letters/o-1-100").await.json();
    assert_eq!(behind["prediction"]["result"], "not_predicted");
    assert!(behind["prediction"]["detail"].as_str().unwrap().contains("too far back"));

    letters.all.lock().unwrap().pop();
    let whole = get(&letters, "/v1/dead-letters/o-1-000").await.json();
    assert_eq!((whole["line"].as_array().unwrap().len(), &whole["line_cut"]), (100, &json!(false)));
}

#[tokio::test]
async fn a_long_sequence_is_redriven_from_its_beginning_in_several_requests() {
    let letters = Arc::new(FakeDeadLetters::of(sequence("o-1", 1001)));
    let dry = post(&letters, REDRIVE, json!({ "all": true, "dry_run": true })).await;
    assert_eq!(results(&dry).len(), 500);
    let body = dry.json();
    let [cut, remaining, next] = ["lines_cut", "remaining", "next_cursor"].map(|name| body[name].clone());
    assert_eq!((cut, remaining, next.is_string()), (json!(true), json!(true), true));

    let mut requests = 0;
    loop {
        let answer = post(&letters, REDRIVE, json!({ "order_id": "o-1" })).await;
        requests += 1;
        assert!(results(&answer).iter().all(|result| result.ends_with(": sent")), "{answer:?}");
        if answer.json()["lines_cut"] == json!(false) {
            break;
        }
        // Removes the dead letters that were sent, as the consumer does after it has recorded their events.
        let sent = letters.sent.lock().unwrap().clone();
        letters.all.lock().unwrap().retain(|letter| !sent.contains(&letter.id));
    }
    let expected: Vec<String> = (0..1001).map(|number| format!("o-1-{number:03}")).collect();
    assert_eq!(
        (requests, letters.sent.lock().unwrap().clone()),
        (3, expected),
        "each dead letter is sent once, in order"
    );
}

#[tokio::test]
async fn a_long_sequence_does_not_exclude_other_sequences() {
    let all = ["o-1", "o-2", "o-3"].map(|order| sequence(order, 600)).concat();
    let letters = Arc::new(FakeDeadLetters::of(all));
    let ids = json!(["o-2-000", "o-1-000", "o-3-599"]);
    let answer = post(&letters, REDRIVE, json!({ "ids": ids, "dry_run": true })).await;
    let results = results(&answer);
    let of = |order: &str| results.iter().filter(|result| result.starts_with(order)).count();
    assert_eq!([of("o-2"), of("o-1"), of("o-3")], [500, 10, 10]);
    let body = answer.json();
    assert_eq!((&body["lines_cut"], &body["next_cursor"]), (&json!(true), &Value::Null));
}
