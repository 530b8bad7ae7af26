//! Tests unusual spellings that clients send: numbers, times, encodings, headers, and members that appear twice.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::future;
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::fakes::{Answer, FakePorts, created, get, post, send};

const ORDERS: &str = "/v1/orders";
const EVENTS: &str = "/v1/orders/o-1/events";
const ORDER: &str =
    r#"{"customer_id":"c","currency":"EUR","items":[{"sku":"A","quantity":1,"unit_price":450}]}"#;

async fn with_header(path: &str, name: &str, value: &str, body: &str) -> Answer {
    let request = Request::post(path).header("content-type", "application/json").header(name, value);
    let fake = FakePorts { log: vec![created("o-1", "c-1")], ..FakePorts::default() };
    send(&Arc::new(fake), request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn compressed_bodies_are_refused_and_the_answer_names_the_accepted_encoding() {
    for coding in ["gzip", "identity, br", "x"] {
        let answer = with_header(ORDERS, "content-encoding", coding, ORDER).await;
        answer.is_problem(415, "/problems/unsupported-media-type");
        assert_eq!(answer.header("accept-encoding"), "identity");
        assert!(answer.json()["detail"].as_str().unwrap().contains("Content-Encoding"));
    }
    for coding in ["identity", "Identity", ""] {
        assert_eq!(with_header(ORDERS, "content-encoding", coding, ORDER).await.status, 202, "{coding}");
    }
}

#[tokio::test]
async fn an_integer_may_be_written_with_a_fraction_or_an_exponent() {
    for (number, minor) in [("450.0", 450), ("1e3", 1000), ("4.5E2", 450), ("-0.0", 0)] {
        let fake = Arc::new(FakePorts::default());
        let answer = post(&fake, ORDERS, ORDER.replace("450", number)).await;
        assert_eq!(answer.status, 202, "{number}: {}", answer.json());
        let event = serde_json::to_value(&fake.published()[0].event).unwrap();
        assert_eq!(event["total"], minor, "{number}");
    }
    for (number, code) in [("450.5", "type"), ("1e30", "range"), ("-1e30", "range"), ("1e18", "range")] {
        let answer = post(&Arc::new(FakePorts::default()), ORDERS, ORDER.replace("450", number)).await;
        assert_eq!(answer.validation_errors(), [format!("/items/0/unit_price {code}")], "{number}");
    }
    let answer = post(&Arc::new(FakePorts::default()), ORDERS, ORDER.replace("450", "1e30")).await;
    assert_eq!(answer.json()["errors"][0]["detail"], "must be 0–9007199254740991 in minor units");
}

#[tokio::test]
async fn a_member_may_appear_only_once_even_if_it_is_null() {
    for (body, expected) in [
        (ORDER.replacen('{', r#"{"customer_id":null,"#, 1), "/customer_id duplicate"),
        (ORDER.replacen('{', r#"{"total":null,"total":null,"#, 1), "/total duplicate"),
        (ORDER.replace(r#""sku""#, r#""sku":null,"sku""#), "/items/0/sku duplicate"),
    ] {
        let answer = post(&Arc::new(FakePorts::default()), ORDERS, body).await;
        assert!(
            answer.validation_errors().contains(&expected.to_owned()),
            "{:?}",
            answer.validation_errors()
        );
    }
    for (body, expected) in [
        (r#"{"type":null,"type":"order_confirmed"}"#, "/type duplicate"),
        (r#"{"type":"order_confirmed","data":null,"data":{}}"#, "/data duplicate"),
        (r#"{"type":"order_cancelled","data":{"reason":null,"reason":"x"}}"#, "/data/reason duplicate"),
    ] {
        let answer = post(&Arc::new(FakePorts::default()), EVENTS, body).await;
        assert!(
            answer.validation_errors().contains(&expected.to_owned()),
            "{:?}",
            answer.validation_errors()
        );
    }
}

#[tokio::test]
async fn no_member_name_hides_the_errors_of_other_members() {
    let body = r#"{"__all__":1,"total":1,"customer_id":"c","currency":"EUR",
        "items":[{"__all__":{},"sku":"A","quantity":0,"unit_price":2}],"metadata":{"__all__":1}}"#;
    let answer = post(&Arc::new(FakePorts::default()), ORDERS, body).await;
    let expected =
        ["/__all__ unknown", "/items/0/__all__ unknown", "/items/0/quantity range", "/metadata/__all__ type"];
    assert_eq!(answer.validation_errors(), expected);

    let body = ORDER.replacen('{', r#"{"__all__":1,"total":1,"#, 1);
    let answer = post(&Arc::new(FakePorts::default()), ORDERS, body).await;
    assert_eq!(answer.validation_errors(), ["/__all__ unknown", "/total sum"]);
}

#[tokio::test]
async fn long_names_are_truncated_in_errors() {
    let long = "~".repeat(200_000);
    let body = ORDER.replacen('{', &format!(r#"{{"{long}":1,"#), 1);
    let answer = post(&Arc::new(FakePorts::default()), ORDERS, body).await;
    assert_eq!(answer.validation_errors(), [format!("/{}… unknown", "~0".repeat(64))]);
    let answer =
        get(&Arc::new(FakePorts::default()), &format!("/v1/orders?customer_id=c&{}=1", "x".repeat(9000)))
            .await;
    assert_eq!(answer.validation_errors(), [format!("{}… unknown", "x".repeat(64))]);
}

#[tokio::test]
async fn the_error_for_a_byte_order_mark_names_it() {
    for (mark, named) in [(&[0xef, 0xbb, 0xbf][..], "EF BB BF"), (&[0xff, 0xfe], "UTF-16")] {
        let body = [mark, ORDER.as_bytes()].concat();
        let answer = post(&Arc::new(FakePorts::default()), ORDERS, body).await;
        answer.is_problem(400, "/problems/invalid-json");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("byte order mark") && detail.contains(named), "{detail}");
    }
}

#[tokio::test]
async fn times_in_a_query_need_an_offset_in_any_spelling() {
    let fake = Arc::new(FakePorts::default());
    let list = async |time: &str| get(&fake, &format!("/v1/orders?customer_id=c&created_from={time}")).await;
    for time in ["2026-11-23T10:00:00Z", "2026-11-23T10:00:00%2B0000", "2026-11-23T10:00:00-05:30"] {
        assert_eq!(list(time).await.status, 200, "{time}");
    }
    for (time, detail) in [
        ("2026-11-23T10:00:00", "must have an offset, such as Z or +00:00"),
        ("2026-11-23T10:00:00+00:00", "has an unencoded + before its offset: write %2B00:00"),
        ("2026-11-23T10:00:00+0000", "has an unencoded + before its offset: write %2B0000"),
        ("today", "must be an RFC 3339 time, such as 2026-11-23T10:00:00Z"),
    ] {
        let answer = list(time).await;
        answer.is_problem(400, "/problems/invalid-parameter");
        assert_eq!(answer.json()["errors"][0]["detail"], detail, "{time}");
    }
}

#[tokio::test]
async fn a_query_must_be_utf8_and_its_ids_have_no_surrounding_blanks() {
    let fake = Arc::new(FakePorts::default());
    for (query, expected) in [
        ("customer_id=%FF", "customer_id format"),
        ("customer_id=c&%FF=1", "%FF format"),
        ("customer_id=+c", "customer_id format"),
        ("customer_id=c&status=%C3%28", "status format"),
    ] {
        let answer = get(&fake, &format!("/v1/orders?{query}")).await;
        answer.is_problem(400, "/problems/invalid-parameter");
        assert_eq!(answer.validation_errors(), [expected]);
    }
    for query in ["customer_id=%EF%BF%BD", "customer_id=a+b%20c", "customer_id=%C3%A9&&", "customer_id=%"] {
        assert_eq!(get(&fake, &format!("/v1/orders?{query}")).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn the_error_for_a_weak_entity_tag_names_the_reason() {
    let confirm = r#"{"type":"order_confirmed"}"#;
    let answer = with_header(EVENTS, "if-match", "W/\"1\"", confirm).await;
    answer.is_problem(412, "/problems/precondition-failed");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("weak") && detail.contains("without W/"), "{detail}");
    let answer = with_header(EVENTS, "if-match", "W/\"7\", \"8\"", confirm).await;
    assert!(!answer.json()["detail"].as_str().unwrap().contains("weak"), "{}", answer.json());
}

#[tokio::test]
async fn errors_use_no_words_of_the_implementation() {
    let internal_words =
        ["i64", "u32", "struct", "floating point", "EOF", "ident", "map", "sequence", "serde", "expected"];
    let fake = Arc::new(FakePorts::default());
    let bodies = [
        "",
        "{",
        "[",
        "{\"a\"",
        "nope",
        "{a:1}",
        "{} x",
        "{\"total\":1e999}",
        "\"\\ud800\"",
        "[1,]",
        "1.",
        "\u{1}",
    ];
    for body in bodies {
        let answer = post(&fake, ORDERS, body).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(!internal_words.iter().any(|word| detail.contains(word)), "{body}: {detail}");
    }
    for value in [json!(9.5), json!(true), json!("x"), json!([1]), json!({ "a": 1 })] {
        let body = json!({ "customer_id": value, "currency": value, "items": value, "total": value, "metadata": value });
        let answer = post(&fake, ORDERS, body.to_string()).await;
        let text = answer.json()["errors"].to_string();
        assert!(!internal_words.iter().any(|word| text.contains(word)), "{text}");
    }
    let answer = get(&fake, "/v1/orders/%ff").await;
    assert_eq!(answer.json()["errors"][0]["detail"], "must be UTF-8, percent-encoded");
}

#[tokio::test(start_paused = true)]
async fn large_bodies_share_a_memory_limit_and_small_ones_are_always_read() {
    let fake = Arc::new(FakePorts::default());
    let router = crate::fakes::router(&fake);
    let batch = |body: Body| {
        let request = Request::post("/v1/orders/batch").header("content-type", "application/json");
        crate::fakes::send_to(router.clone(), request.body(body).unwrap())
    };
    // A body that never ends. Once the server has read its first part, `parts_read` gets a permit.
    let parts_read = Arc::new(Semaphore::new(0));
    let unfinished = || {
        let parts_read = parts_read.clone();
        let part = Bytes::from(vec![b' '; 4 << 20]);
        let rest = stream::once(async move {
            parts_read.add_permits(1);
            future::pending().await
        });
        Body::from_stream(stream::once(async { Ok::<_, Infallible>(part) }).chain(rest))
    };
    let held: Vec<_> = (0..16).map(|_| tokio::spawn(batch(unfinished()))).collect();
    let all_parts = timeout(Duration::from_secs(20), parts_read.acquire_many(16)).await;
    drop(all_parts.expect("the first part of every body is read in time"));
    let answer = batch(unfinished()).await;
    answer.is_problem(503, "/problems/overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    let small = format!(r#"{{"orders":[{ORDER}]}}"#);
    assert_eq!(batch(Body::from(small)).await.status, 200);
    held.into_iter().for_each(|request| request.abort());
}
