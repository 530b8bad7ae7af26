//! Tests the operator endpoints: list, show, redrive, repair and discard dead letters, and read the counters.

use std::sync::Arc;

use api::AppState;
use api::auth::{Principal, Scope};
use api::operations::Operations;
use axum::body::Body;
use axum::http::{Method, Request};
use domain::{Currency, CustomerId, DeadLetter, DeadLetterState, OrderId};
use serde_json::{Value, json};

use crate::dead_letters::{FakeDeadLetters, event, letter};
use crate::fakes::{Answer, FakePorts, created, send_to, state};

fn app(letters: &Arc<FakeDeadLetters>) -> AppState {
    let fake = Arc::new(FakePorts { log: vec![created("o-1", "c-1")], ..FakePorts::default() });
    let default_currency = Currency::parse("EUR").unwrap();
    let operations = Operations { letters: letters.clone(), pipeline: letters.clone(), default_currency };
    AppState { operations: Some(operations), ..state(&fake) }
}

async fn ask_as(state: AppState, who: Option<Principal>, method: Method, path: &str, body: Value) -> Answer {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let mut request = request.body(body).unwrap();
    request.extensions_mut().extend(
        who.map(|who| {
            let mut extensions = axum::http::Extensions::new();
            extensions.insert(who);
            extensions
        })
        .unwrap_or_default(),
    );
    send_to(api::router(state), request).await
}

pub(crate) async fn get(letters: &Arc<FakeDeadLetters>, path: &str) -> Answer {
    ask_as(app(letters), None, Method::GET, path, Value::Null).await
}

pub(crate) async fn post(letters: &Arc<FakeDeadLetters>, path: &str, body: Value) -> Answer {
    ask_as(app(letters), None, Method::POST, path, body).await
}

/// A parked sequence of order `o-1`, whose first dead letter cannot be read, and a dead letter without an order.
fn sequence() -> Arc<FakeDeadLetters> {
    let broken = r#"{"event_id":"0199d3a0-0000-7000-8000-000000000002","type":"order_confirmed","data":{"order_id":"o-1""#;
    Arc::new(FakeDeadLetters::of(vec![
        letter("a", 1, broken),
        letter("b", 2, &event("paid", 3)),
        letter("c", 3, &event("delivered", 4)),
        letter("d", 4, "noise"),
    ]))
}

fn ids(page: &Answer) -> Vec<String> {
    let page = page.json();
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// The results of a redrive, as `id: result`.
pub(crate) fn results(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let items = body["items"].as_array().unwrap().iter();
    items.map(|it| format!("{}: {}", it["id"].as_str().unwrap(), it["result"].as_str().unwrap())).collect()
}

const OPERATIONS: [(Method, &str, &str); 6] = [
    (Method::GET, "/v1/dead-letters", ""),
    (Method::GET, "/v1/dead-letters/a", ""),
    (Method::POST, "/v1/dead-letters/redrive", r#"{"all":true,"dry_run":true}"#),
    (Method::POST, "/v1/dead-letters/a/repair", r#"{"body":"{}"}"#),
    (Method::POST, "/v1/dead-letters/b/discard", r#"{"reason":"paid twice"}"#),
    (Method::GET, "/v1/pipeline", ""),
];

#[tokio::test]
async fn operator_endpoints_need_the_operate_scope_and_no_customer_limit() {
    let who = |scope: Scope, customer: Option<&str>| Principal {
        subject: "issuer|op".to_owned(),
        scopes: Some(vec![scope.as_str().to_owned()]),
        scope_prefix: None,
        customer_id: customer.map(|customer| CustomerId::parse(customer).unwrap()),
        valid_until: None,
    };
    for (method, path, body) in OPERATIONS {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let ask = async |who| ask_as(app(&sequence()), Some(who), method.clone(), path, body.clone()).await;
        for scope in [Scope::Read, Scope::Write] {
            ask(who(scope, None)).await.is_problem(403, "/problems/forbidden");
        }
        ask(who(Scope::Operate, Some("c-1"))).await.is_problem(403, "/problems/forbidden");
        let answer = ask(who(Scope::Operate, None)).await;
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");

        let without = AppState { operations: None, ..app(&sequence()) };
        let answer = ask_as(without, None, method.clone(), path, body.clone()).await;
        answer.is_problem(404, "/problems/not-found");
    }
}

#[tokio::test]
async fn dead_letters_are_listed_newest_first_with_filters_and_pages() {
    let letters = sequence();
    letters.all.lock().unwrap()[1].state = DeadLetterState::Discarded;
    assert_eq!(ids(&get(&letters, "/v1/dead-letters").await), ["d", "c", "a"]);
    assert_eq!(ids(&get(&letters, "/v1/dead-letters?state=discarded").await), ["b"]);
    assert_eq!(ids(&get(&letters, "/v1/dead-letters?order_id=o-1").await), ["c", "a"]);
    assert_eq!(ids(&get(&letters, "/v1/dead-letters?reason=invalid").await), Vec::<String>::new());
    let path = "/v1/dead-letters?parked_from=2026-11-23T10:03:00Z&parked_before=2026-11-23T10:04:00Z";
    assert_eq!(ids(&get(&letters, path).await), ["c"]);

    let first = get(&letters, "/v1/dead-letters?limit=2").await;
    assert_eq!(ids(&first), ["d", "c"]);
    let next = first.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
    let second = get(&letters, &next).await;
    assert_eq!((ids(&second), second.json()["next_cursor"].clone()), (vec!["a".to_owned()], Value::Null));
    let other = next.replace("/v1/dead-letters?", "/v1/dead-letters?order_id=o-1&");
    assert_eq!(
        get(&letters, &other).await.validation_errors(),
        ["cursor format"],
        "the cursor belongs to another list"
    );
    let wrong = get(&letters, "/v1/dead-letters?reason=bored&state=x&order_id=%20&limit=0&page=2").await;
    let expected = ["limit range", "order_id format", "page unknown", "reason enum", "state enum"];
    let mut found = wrong.validation_errors();
    found.sort();
    assert_eq!(found, expected);
    assert!(first.json()["items"][0].get("body").is_none(), "a list does not contain bodies");
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_its_body_its_sequence_and_its_prediction() {
    let letters = sequence();
    let shown = get(&letters, "/v1/dead-letters/b").await.json();
    assert_eq!(shown["line"], json!(["a", "b", "c"]));
    assert_eq!(shown["prediction"]["result"], "behind");
    assert_eq!(shown["body"], event("paid", 3));
    assert_eq!(shown["links"], json!({ "self": "/v1/dead-letters/b", "order": "/v1/orders/o-1" }));
    let broken = get(&letters, "/v1/dead-letters/a").await.json();
    assert_eq!((&broken["prediction"]["result"], &broken["order_id"]), (&json!("unreadable"), &json!("o-1")));
    assert!(
        broken["prediction"]["detail"].as_str().unwrap().contains("the JSON ends in the middle of an object"),
        "{broken}"
    );

    letters.all.lock().unwrap().push(DeadLetter::new(
        "bytes",
        vec![0xff, 0],
        domain::ParkReason::Malformed,
        String::new(),
        domain::Timestamp::parse("2026-11-23T10:00:00Z").unwrap(),
    ));
    let bytes = get(&letters, "/v1/dead-letters/bytes").await.json();
    assert_eq!((&bytes["body_base64"], bytes.get("body")), (&json!("/wA="), None));
    get(&letters, "/v1/dead-letters/nobody").await.is_problem(404, "/problems/dead-letter-not-found");
    get(&letters, "/v1/dead-letters/a%20b").await.is_problem(400, "/problems/invalid-parameter");
}

#[tokio::test]
async fn a_sequence_is_blocked_by_an_unreadable_letter_until_it_is_repaired() {
    let letters = sequence();
    let dry = json!({ "order_id": "o-1", "dry_run": true });
    let redrive = "/v1/dead-letters/redrive";
    let wanted = ["a: unreadable", "b: behind", "c: behind"];
    assert_eq!(results(&post(&letters, redrive, dry.clone()).await), wanted);
    assert_eq!(results(&post(&letters, redrive, json!({ "order_id": "o-1" })).await), wanted);
    assert!(letters.sent.lock().unwrap().is_empty(), "a dead letter that would be parked again is not sent");

    let repair = json!({ "body": event("confirmed", 2) });
    let repaired = post(&letters, "/v1/dead-letters/a/repair", repair).await.json();
    assert_eq!((&repaired["repaired"], &repaired["prediction"]["version"]), (&json!(true), &json!(2)));
    assert!(repaired["original"]["body"].as_str().unwrap().ends_with("\"o-1\""), "{repaired}");
    let answer = post(&letters, redrive, dry).await;
    assert_eq!(results(&answer), ["a: would_record", "b: would_record", "c: illegal"]);
    assert!(answer.json()["items"][2]["detail"].as_str().unwrap().contains("order_delivered"), "{answer:?}");
    assert!(letters.sent.lock().unwrap().is_empty(), "a dry run sends nothing");

    // A redrive of one dead letter by its id redrives the whole parked sequence, in order.
    let answer = post(&letters, redrive, json!({ "ids": ["c"] })).await;
    assert_eq!(results(&answer), ["a: sent", "b: sent", "c: sent"]);
    assert_eq!(*letters.sent.lock().unwrap(), ["a", "b", "c"]);
    assert_eq!(answer.json()["counts"], json!({ "sent": 3 }));
    assert_eq!(answer.json()["remaining"], false);
}

#[tokio::test]
async fn a_repair_can_be_predicted_without_storing_it() {
    let letters = sequence();
    let path = "/v1/dead-letters/a/repair";
    let wrong = event("confirmed", 2).replace("\"2026-11-23", "\"2026-13-23");
    for (body, result, pointer) in [
        (event("confirmed", 2), "would_record", Value::Null),
        (event("delivered", 2), "illegal", Value::Null),
        (event("confirmed", 2).replace("order_confirmed", "order_blessed"), "unreadable", json!("/type")),
        (wrong, "unreadable", json!("/timestamp")),
        ("{".to_owned(), "unreadable", Value::Null),
    ] {
        let answer = post(&letters, path, json!({ "body": body, "dry_run": true })).await;
        let prediction = &answer.json()["prediction"];
        assert_eq!(
            (answer.status, &prediction["result"], &prediction["pointer"]),
            (axum::http::StatusCode::OK, &json!(result), &pointer),
            "{body}: {prediction}"
        );
        assert_eq!(answer.json()["body"], body);
    }
    let stored = get(&letters, "/v1/dead-letters/a").await.json();
    assert_eq!((&stored["repaired"], &stored["prediction"]["result"]), (&json!(false), &json!("unreadable")));

    // The letter that names no order would belong to one after the repair.
    let body = json!({ "body": event("confirmed", 9), "dry_run": true });
    let named = post(&letters, "/v1/dead-letters/d/repair", body).await.json();
    assert_eq!(
        (&named["order_id"], &named["prediction"]["result"]),
        (&json!("o-1"), &json!("behind")),
        "{named}"
    );
    let another = json!({ "body": event("paid", 9).replace("o-1", "o-2"), "dry_run": true });
    assert_eq!(post(&letters, path, another).await.status, 422);
    letters.all.lock().unwrap()[0].state = DeadLetterState::Replaying;
    let busy = post(&letters, path, json!({ "body": "{}", "dry_run": true })).await;
    busy.is_problem(409, "/problems/dead-letter-not-parked");
}

#[tokio::test]
async fn a_redrive_reports_letters_that_cannot_be_sent_or_were_sent_too_often() {
    let letters = Arc::new(FakeDeadLetters {
        unsendable: ["b"].into(),
        ..FakeDeadLetters::of(vec![
            letter("a", 1, &event("confirmed", 2)),
            letter("b", 2, &event("paid", 3)),
            letter("c", 3, &event("shipped", 4)),
        ])
    });
    let all = json!({ "all": true });
    let answer = post(&letters, "/v1/dead-letters/redrive", all.clone()).await;
    assert_eq!(results(&answer), ["a: sent", "b: failed", "c: failed"]);
    assert!(answer.json()["items"][1]["detail"].as_str().unwrap().contains("no route"), "{answer:?}");

    letters.all.lock().unwrap()[1].replays = 5;
    let answer = post(&letters, "/v1/dead-letters/redrive", all).await;
    assert_eq!(results(&answer), ["a: sent", "b: replayed_too_often", "c: behind"]);
    let body = json!({ "body": event("paid", 3).replace("\"r\"", "\"r2\"") });
    let repaired = post(&letters, "/v1/dead-letters/b/repair", body).await.json();
    assert_eq!(
        (&repaired["replays"], &repaired["prediction"]["result"]),
        (&json!(0), &json!("would_record"))
    );
}

#[tokio::test]
async fn many_sequences_are_redriven_in_several_requests_each_once() {
    let one = |number: u32| {
        let mut letter = letter(&format!("l-{number}"), number % 60, &event("confirmed", number + 10));
        letter.order_id = Some(OrderId::parse(&format!("o-{number}")).unwrap());
        letter
    };
    let letters = Arc::new(FakeDeadLetters::of((0..250).map(one).collect()));
    let (mut cursor, mut requests) = (Value::Null, 0);
    loop {
        let body = json!({ "all": true, "cursor": cursor });
        let answer = post(&letters, "/v1/dead-letters/redrive", body).await.json();
        requests += 1;
        assert_eq!(answer["remaining"], json!(!answer["next_cursor"].is_null()));
        cursor = answer["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let mut sent = letters.sent.lock().unwrap().clone();
    sent.sort();
    sent.dedup();
    assert_eq!((requests, sent.len(), letters.sent.lock().unwrap().len()), (3, 250, 250));
}

#[tokio::test]
async fn invalid_requests_are_refused_with_every_validation_error() {
    let letters = sequence();
    for (path, body, expected) in [
        ("redrive", json!({}), vec!["/all required"]),
        ("redrive", json!({ "all": false }), vec!["/all required"]),
        (
            "redrive",
            json!({ "all": 1, "ids": ["a", 2], "when": "now" }),
            vec!["/all type", "/ids/1 type", "/when unknown"],
        ),
        ("redrive", json!({ "ids": [] }), vec!["/ids length"]),
        ("redrive", json!({ "all": true, "cursor": "x" }), vec!["/cursor format"]),
        (
            "redrive",
            json!({ "reason": "bored", "order_id": "a b" }),
            vec!["/order_id format", "/reason enum"],
        ),
        ("a/repair", json!({}), vec!["/body required"]),
        ("a/repair", json!({ "body": "x", "body_base64": "eA==" }), vec!["/body_base64 unknown"]),
        ("a/repair", json!({ "body_base64": "?" }), vec!["/body_base64 format"]),
        ("a/repair", json!({ "body": event("paid", 9).replace("o-1", "o-2") }), vec!["/body format"]),
        ("a/discard", json!({}), vec!["/reason required"]),
        ("a/discard", json!({ "reason": " " }), vec!["/reason format"]),
    ] {
        let answer = post(&letters, &format!("/v1/dead-letters/{path}"), body.clone()).await;
        let found = answer.validation_errors();
        let matching = expected.iter().all(|error| found.iter().any(|it| it == error));
        assert!(answer.status == 422 && matching, "{path} {body}: {found:?}");
    }
    assert!(letters.all.lock().unwrap().iter().all(|letter| letter.state == DeadLetterState::Parked));
}

#[tokio::test]
async fn a_discarded_dead_letter_is_kept_with_its_reason_and_actor() {
    let letters = sequence();
    let operator = Principal { subject: "issuer|op".to_owned(), ..Principal::anyone() };
    let path = "/v1/dead-letters/b/discard";
    let body = json!({ "reason": "paid twice" });
    let answer = ask_as(app(&letters), Some(operator), Method::POST, path, body.clone()).await.json();
    let discarded = json!({ "reason": "paid twice", "at": "2026-11-23T10:00:00Z", "by": "issuer|op" });
    assert_eq!((&answer["state"], &answer["discarded"]), (&json!("discarded"), &discarded));
    post(&letters, path, body.clone()).await.is_problem(409, "/problems/dead-letter-not-parked");
    let gone = post(&letters, "/v1/dead-letters/z/discard", body).await;
    gone.is_problem(404, "/problems/dead-letter-not-found");
    let repair = post(&letters, "/v1/dead-letters/b/repair", json!({ "body": "{}" })).await;
    repair.is_problem(409, "/problems/dead-letter-not-parked");
    let answer = post(&letters, "/v1/dead-letters/redrive", json!({ "ids": ["b", "d"] })).await;
    assert_eq!(results(&answer), ["b: discarded", "d: unreadable"]);
}

#[tokio::test]
async fn the_pipeline_reports_its_counters_and_whether_they_balance() {
    let counters = get(&sequence(), "/v1/pipeline").await.json();
    let ledger = json!({ "accepted": 20, "recorded": 9, "rejected": 3, "discarded": 1, "duplicate": 2, "parked": 4,
                         "in_flight": 2, "balanced": true, "exact": false });
    let queue = json!({ "visible": 1, "in_flight": 1, "delayed": 0, "oldest_seconds": 1.5 });
    assert_eq!(counters, json!({ "ledger": ledger, "queue": queue, "dead_letters": 5 }));
}
