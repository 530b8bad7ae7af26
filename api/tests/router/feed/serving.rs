//! Tests streams over TCP: which limits of the server apply to them, and what happens to slow and vanished readers.

use std::sync::Arc;
use std::time::Duration;

use api::{AppState, EventStreams, ServeOptions};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::app;
use super::fake::{FakeFeed, event};
use crate::serving::{DEADLINE, HEALTH, SHORT, TestServer, answer, patient, rest};

const STREAM: &str = "GET /v1/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n";

/// Reads from the connection until the text contains `part`. Returns everything that was read.
async fn until(connection: &mut TcpStream, part: &str) -> String {
    let mut text = String::new();
    let mut buffer = vec![0; 64 << 10];
    let mut searched = 0;
    while !text[searched..].contains(part) {
        searched = text.len().saturating_sub(part.len());
        let read = timeout(DEADLINE, connection.read(&mut buffer)).await.unwrap().unwrap();
        assert!(read > 0, "closed before {part:?}, after {} bytes", text.len());
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    text
}

/// Opens a stream, and tries again until the server has a free slot. The server needs a moment to notice that
/// a reader is gone.
async fn slot(server: &TestServer, headers: &str) -> (TcpStream, String) {
    loop {
        let mut stream = server.sent(&format!("{STREAM}{headers}\r\n")).await;
        let text = until(&mut stream, "\r\n\r\n").await;
        if text.starts_with("HTTP/1.1 200") {
            return (stream, text);
        }
        assert!(text.starts_with("HTTP/1.1 503"), "{text}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_idle_stream_outlives_the_limits_of_requests() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let (state, _stop) = app(&feed);
    let options = ServeOptions {
        request_timeout: SHORT,
        idle_timeout: SHORT,
        body_timeout: SHORT,
        head_timeout: SHORT,
        write_timeout: SHORT,
        ..patient()
    };
    let server = TestServer::start(api::router(state), options).await;
    let mut stream = server.sent(&format!("{STREAM}\r\n")).await;
    let head = until(&mut stream, "order_confirmed").await;
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && head.contains("content-type: text/event-stream"),
        "{head}"
    );
    // The server closes an idle connection at its time limit. The stream was opened earlier and must still be
    // open then.
    let mut idle = server.sent(HEALTH).await;
    answer(&mut idle).await;
    assert!(rest(&mut idle).await.is_empty());
    feed.append(event("o-9", 1, "order_created", 4));
    until(&mut stream, "o-9").await;
}

#[tokio::test]
async fn a_reader_that_vanishes_frees_its_slot_and_its_waiter() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let (state, _stop) = app(&feed);
    let state = AppState { event_streams: Some(EventStreams::new(1, 1)), ..state };
    let server = TestServer::start(api::router(state), patient()).await;
    for _ in 0..3 {
        drop(slot(&server, "").await);
    }
    let gone = async {
        while feed.waiters() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, gone).await.expect("nobody waits any more");
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_and_resumes_without_loss() {
    // So many events do not fit into the buffers of the sockets. The server must wait for the reader, and
    // closes the connection at the write timeout.
    const EVENTS: u64 = 10_000;
    let feed = Arc::new(FakeFeed::default());
    for version in 1..=EVENTS {
        feed.append(event("o-1", version, "order_annotated", 1));
    }
    let (state, _stop) = app(&feed);
    let state = AppState { event_streams: Some(EventStreams::new(1, 1)), ..state };
    let server =
        TestServer::start(api::router(state), ServeOptions { write_timeout: SHORT, ..patient() }).await;
    let mut slow = server.sent(&format!("{STREAM}\r\n")).await;
    slow.readable().await.unwrap();
    // The only slot becomes free when the server closes the connection of the slow reader.
    drop(slot(&server, "").await);
    let text = String::from_utf8(rest(&mut slow).await).unwrap();
    let seen = complete_versions(&text);
    assert!(!seen.is_empty() && (seen.len() as u64) < EVENTS, "{}", seen.len());

    let id = last_id(&text);
    let (mut fast, beginning) = slot(&server, &format!("last-event-id: {id}\r\n")).await;
    let rest = until(&mut fast, &format!("\"version\":{EVENTS},")).await;
    let all: Vec<_> = seen.into_iter().chain(complete_versions(&(beginning + &rest))).collect();
    assert!(all.iter().copied().eq(1..=EVENTS), "{} events", all.len());
}

/// The versions of the events in the complete blocks of a stream.
fn complete_versions(text: &str) -> Vec<u64> {
    let text = unchunked(text);
    let complete = text.rsplit_once("\n\n").map_or("", |(complete, _)| complete);
    let version = |line: &str| {
        let item: serde_json::Value = serde_json::from_str(line.strip_prefix("data: ")?).unwrap();
        item["version"].as_u64()
    };
    complete.lines().filter_map(version).collect()
}

/// The id in the last complete block of a stream.
fn last_id(text: &str) -> String {
    let text = unchunked(text);
    let complete = text.rsplit_once("\n\n").unwrap().0;
    complete.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap().to_owned()
}

/// The body of an answer, decoded from its chunks. A line with the length precedes each chunk.
fn unchunked(text: &str) -> String {
    let body = text.split_once("\r\n\r\n").map_or(text, |(_, body)| body);
    let mut out = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let size = size.min(after.len());
        out.push_str(&after[..size]);
        rest = after[size..].strip_prefix("\r\n").unwrap_or("");
    }
    out
}

#[tokio::test]
async fn shutdown_does_not_wait_for_streams() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let (state, stop) = app(&feed);
    // The grace period is a minute. If the server waited for the end of the grace period, this test would
    // exceed its deadline.
    let server = TestServer::start(api::router(state), patient()).await;
    let mut stream = server.sent(&format!("{STREAM}\r\n")).await;
    until(&mut stream, "order_confirmed").await;
    stop.send_replace(true);
    server.stop.send(()).unwrap();
    timeout(DEADLINE, server.ended).await.unwrap().unwrap().unwrap();
    assert!(rest(&mut stream).await.ends_with(b"0\r\n\r\n"), "the stream ends as a complete answer");
}

#[cfg(feature = "lambda")]
#[tokio::test]
async fn a_function_answers_a_stream_with_406_and_pages_as_usual() {
    use lambda_http::lambda_runtime::LambdaEvent;
    use serde_json::Value;
    use serde_json::value::to_raw_value;

    let (state, _stop) = app(&Arc::new(FakeFeed::of_two_orders()));
    // The API has no slots for streams, as in a Lambda function.
    let router = api::router(AppState { event_streams: None, ..state });
    let event = include_str!("../../fixtures/apigw/http-v2-default-get-query.json");
    for (accept, status) in [("text/event-stream", 406), ("application/json", 200)] {
        let mut event: Value = serde_json::from_str(event).unwrap();
        event["rawPath"] = "/v1/events".into();
        event["requestContext"]["http"]["path"] = "/v1/events".into();
        event["rawQueryString"] = "limit=2".into();
        event["headers"]["accept"] = accept.into();
        let event = LambdaEvent::new(to_raw_value(&event).unwrap(), lambda_http::Context::default());
        let answer = api::lambda::answer(router.clone(), event, |_| false).await.unwrap();
        let answer = serde_json::to_value(answer).unwrap();
        assert_eq!(answer["statusCode"], status, "{answer}");
    }
}
