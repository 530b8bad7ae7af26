//! What clients write in ways of their own: numbers, times, encodings, headers, and members that hide others.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::stream::{self, StreamExt};
use serde_json::json;

use crate::fakes::{Answer, Fake, created, get, post, send};

const ORDERS: &str = "/v1/orders";
const EVENTS: &str = "/v1/orders/o-1/events";
const ORDER: &str =
    r#"{"customer_id":"c","currency":"EUR","items":[{"sku":"A","quantity":1,"unit_price":450}]}"#;

async fn with_header(path: &str, name: &str, value: &str, body: &str) -> Answer {
    let request = Request::post(path).header("content-type", "application/json").header(name, value);
    let fake = Fake { log: vec![created("o-1", "c-1")], ..Fake::default() };
    send(&Arc::new(fake), request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn compressed_bodies_are_refused_and_the_answer_says_what_is_taken() {
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
        let fake = Arc::new(Fake::default());
        let answer = post(&fake, ORDERS, ORDER.replace("450", number)).await;
        assert_eq!(answer.status, 202, "{number}: {}", answer.json());
        let event = serde_json::to_value(&fake.published()[0].event).unwrap();
        assert_eq!(event["total"], minor, "{number}");
    }
    for (number, code) in [("450.5", "type"), ("1e30", "range"), ("-1e30", "range"), ("1e18", "range")] {
        let answer = post(&Arc::new(Fake::default()), ORDERS, ORDER.replace("450", number)).await;
        assert_eq!(answer.faults(), [format!("/items/0/unit_price {code}")], "{number}");
    }
    let answer = post(&Arc::new(Fake::default()), ORDERS, ORDER.replace("450", "1e30")).await;
    assert_eq!(answer.json()["errors"][0]["detail"], "must be 0–9007199254740991 in minor units");
}

#[tokio::test]
async fn a_member_is_there_once_whatever_it_holds() {
    for (body, expected) in [
        (ORDER.replacen('{', r#"{"customer_id":null,"#, 1), "/customer_id duplicate"),
        (ORDER.replacen('{', r#"{"total":null,"total":null,"#, 1), "/total duplicate"),
        (ORDER.replace(r#""sku""#, r#""sku":null,"sku""#), "/items/0/sku duplicate"),
    ] {
        let answer = post(&Arc::new(Fake::default()), ORDERS, body).await;
        assert!(answer.faults().contains(&expected.to_owned()), "{:?}", answer.faults());
    }
    for (body, expected) in [
        (r#"{"type":null,"type":"order_confirmed"}"#, "/type duplicate"),
        (r#"{"type":"order_confirmed","data":null,"data":{}}"#, "/data duplicate"),
        (r#"{"type":"order_cancelled","data":{"reason":null,"reason":"x"}}"#, "/data/reason duplicate"),
    ] {
        let answer = post(&Arc::new(Fake::default()), EVENTS, body).await;
        assert!(answer.faults().contains(&expected.to_owned()), "{:?}", answer.faults());
    }
}

#[tokio::test]
async fn no_name_of_a_member_hides_the_errors_of_others() {
    let body = r#"{"__all__":1,"total":1,"customer_id":"c","currency":"EUR",
        "items":[{"__all__":{},"sku":"A","quantity":0,"unit_price":2}],"metadata":{"__all__":1}}"#;
    let answer = post(&Arc::new(Fake::default()), ORDERS, body).await;
    let expected =
        ["/__all__ unknown", "/items/0/__all__ unknown", "/items/0/quantity range", "/metadata/__all__ type"];
    assert_eq!(answer.faults(), expected);

    let body = ORDER.replacen('{', r#"{"__all__":1,"total":1,"#, 1);
    let answer = post(&Arc::new(Fake::default()), ORDERS, body).await;
    assert_eq!(answer.faults(), ["/__all__ unknown", "/total sum"]);
}

#[tokio::test]
async fn long_names_are_cut_in_errors() {
    let long = "~".repeat(200_000);
    let body = ORDER.replacen('{', &format!(r#"{{"{long}":1,"#), 1);
    let answer = post(&Arc::new(Fake::default()), ORDERS, body).await;
    assert_eq!(answer.faults(), [format!("/{}… unknown", "~0".repeat(64))]);
    let answer =
        get(&Arc::new(Fake::default()), &format!("/v1/orders?customer_id=c&{}=1", "x".repeat(9000))).await;
    assert_eq!(answer.faults(), [format!("{}… unknown", "x".repeat(64))]);
}

#[tokio::test]
async fn a_byte_order_mark_is_named() {
    for (mark, named) in [(&[0xef, 0xbb, 0xbf][..], "EF BB BF"), (&[0xff, 0xfe], "UTF-16")] {
        let body = [mark, ORDER.as_bytes()].concat();
        let answer = post(&Arc::new(Fake::default()), ORDERS, body).await;
        answer.is_problem(400, "/problems/invalid-json");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("byte order mark") && detail.contains(named), "{detail}");
    }
}

#[tokio::test]
async fn times_of_queries_have_an_offset_in_any_of_its_spellings() {
    let fake = Arc::new(Fake::default());
    let list = async |time: &str| get(&fake, &format!("/v1/orders?customer_id=c&created_from={time}")).await;
    for time in ["2026-11-23T10:00:00Z", "2026-11-23T10:00:00%2B0000", "2026-11-23T10:00:00-05:30"] {
        assert_eq!(list(time).await.status, 200, "{time}");
    }
    for (time, detail) in [
        ("2026-11-23T10:00:00", "must have an offset: Z, or one such as +00:00"),
        ("2026-11-23T10:00:00+00:00", "has a bare + before its offset: write %2B00:00"),
        ("2026-11-23T10:00:00+0000", "has a bare + before its offset: write %2B0000"),
        ("today", "must be an RFC 3339 time, such as 2026-11-23T10:00:00Z"),
    ] {
        let answer = list(time).await;
        answer.is_problem(400, "/problems/invalid-parameter");
        assert_eq!(answer.json()["errors"][0]["detail"], detail, "{time}");
    }
}

#[tokio::test]
async fn a_query_must_be_utf8_and_ids_without_blanks() {
    let fake = Arc::new(Fake::default());
    for (query, expected) in [
        ("customer_id=%FF", "customer_id format"),
        ("customer_id=c&%FF=1", "%FF format"),
        ("customer_id=+c", "customer_id format"),
        ("customer_id=c&status=%C3%28", "status format"),
    ] {
        let answer = get(&fake, &format!("/v1/orders?{query}")).await;
        answer.is_problem(400, "/problems/invalid-parameter");
        assert_eq!(answer.faults(), [expected]);
    }
    for query in ["customer_id=%EF%BF%BD", "customer_id=a+b%20c", "customer_id=%C3%A9&&", "customer_id=%"] {
        assert_eq!(get(&fake, &format!("/v1/orders?{query}")).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn a_weak_entity_tag_is_named_as_the_reason() {
    let confirm = r#"{"type":"order_confirmed"}"#;
    let answer = with_header(EVENTS, "if-match", "W/\"1\"", confirm).await;
    answer.is_problem(412, "/problems/precondition-failed");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("weak") && detail.contains("without W/"), "{detail}");
    let answer = with_header(EVENTS, "if-match", "W/\"7\", \"8\"", confirm).await;
    assert!(!answer.json()["detail"].as_str().unwrap().contains("weak"), "{}", answer.json());
}

#[tokio::test]
async fn errors_are_in_the_words_of_clients() {
    let rusts =
        ["i64", "u32", "struct", "floating point", "EOF", "ident", "map", "sequence", "serde", "expected"];
    let fake = Arc::new(Fake::default());
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
        assert!(!rusts.iter().any(|word| detail.contains(word)), "{body}: {detail}");
    }
    for value in [json!(9.5), json!(true), json!("x"), json!([1]), json!({ "a": 1 })] {
        let body = json!({ "customer_id": value, "currency": value, "items": value, "total": value, "metadata": value });
        let answer = post(&fake, ORDERS, body.to_string()).await;
        let text = answer.json()["errors"].to_string();
        assert!(!rusts.iter().any(|word| text.contains(word)), "{text}");
    }
    let answer = get(&fake, "/v1/orders/%ff").await;
    assert_eq!(answer.json()["errors"][0]["detail"], "must be UTF-8, percent-encoded");
}

#[tokio::test(start_paused = true)]
async fn large_bodies_share_their_memory_and_small_ones_pass() {
    let fake = Arc::new(Fake::default());
    let router = crate::fakes::router(&fake);
    let batch = |body: Body| {
        let request = Request::post("/v1/orders/batch").header("content-type", "application/json");
        crate::fakes::send_to(router.clone(), request.body(body).unwrap())
    };
    // Nearly all of a body, whose rest never comes.
    let unfinished = || {
        let chunk = Bytes::from(vec![b' '; 4 << 20]);
        Body::from_stream(stream::once(async { Ok::<_, Infallible>(chunk) }).chain(stream::pending()))
    };
    let held: Vec<_> = (0..16).map(|_| tokio::spawn(batch(unfinished()))).collect();
    tokio::task::yield_now().await;
    let answer = batch(unfinished()).await;
    answer.is_problem(503, "/problems/overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    let small = format!(r#"{{"orders":[{ORDER}]}}"#);
    assert_eq!(batch(Body::from(small)).await.status, 200);
    held.into_iter().for_each(|request| request.abort());
}
