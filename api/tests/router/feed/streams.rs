//! Tests streams of server-sent events, without a network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use api::AppState;
use api::auth::Principal;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use domain::Timestamp;
use tokio::time::{Instant, advance, timeout};
use tower::ServiceExt;

use super::blocks::StreamReader;
use super::fake::{FakeFeed, event};
use super::{app, items, router};
use crate::fakes::send_to;

const SECOND: Duration = Duration::from_secs(1);

fn request(query: &str) -> axum::http::request::Builder {
    Request::get(format!("/v1/events?{query}")).header("accept", "text/event-stream")
}

async fn open(router: &Router, request: axum::http::request::Builder) -> StreamReader {
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    StreamReader::of(response)
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_the_past_and_goes_on_live() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let mut stream = open(&router(&feed), request("")).await;
    let opening = stream.block().await.unwrap();
    assert_eq!((opening.retry.as_deref(), opening.id.is_some(), opening.data), (Some("2000"), true, None));
    let page = send_to(router(&feed), Request::get("/v1/events").body(Body::empty()).unwrap()).await;
    for item in page.json()["items"].as_array().unwrap() {
        let block = stream.block().await.unwrap();
        assert_eq!(block.item(), *item);
        assert_eq!(block.id.as_deref(), item["cursor"].as_str());
        assert_eq!(block.event.as_deref(), item["type"].as_str());
    }
    for version in 2..5 {
        feed.append(event("o-2", version, "order_confirmed", 4));
        assert_eq!(stream.block().await.unwrap().name(), format!("o-2 {version}"));
    }
}

#[tokio::test]
async fn the_headers_of_a_stream_forbid_caches_and_buffers() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let response = router(&feed).oneshot(request("").body(Body::empty()).unwrap()).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("x-accel-buffering"), Some("no"));
    assert_eq!(header("vary"), Some("accept"));
    assert!(header("x-correlation-id").is_some());
}

/// This test uses the real clock. With a paused clock, a stream that never waits would keep the test from
/// failing.
#[tokio::test]
async fn a_stream_ends_when_the_sender_of_the_stop_is_dropped() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let (state, stop) = app(&feed);
    let mut stream = open(&api::router(state), request("from=latest")).await;
    stream.block().await;
    drop(stop);
    timeout(5 * SECOND, stream.ends()).await.expect("the stream ends");
}

#[tokio::test(start_paused = true)]
async fn last_event_id_takes_precedence_over_the_query() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let router = router(&feed);
    let mut first = open(&router, request("")).await;
    let id = first.event().await.id.unwrap();
    for query in ["from=latest".to_owned(), "from=oldest".to_owned(), format!("after={id}"), String::new()] {
        let mut again = open(&router, request(&query).header("last-event-id", &id)).await;
        assert_eq!(again.event().await.name(), "o-2 1", "{query}");
        drop(again);
        // An empty `Last-Event-ID` is ignored. Requests for pages ignore every `Last-Event-ID`.
        let mut all = open(&router, request("from=oldest").header("last-event-id", "")).await;
        assert_eq!(all.event().await.name(), "o-1 1");
    }
    let page = Request::get("/v1/events").header("last-event-id", &id).body(Body::empty()).unwrap();
    assert_eq!(items(&send_to(router.clone(), page).await).len(), 3);
    let invalid = request("").header("last-event-id", "42").body(Body::empty()).unwrap();
    let answer = send_to(router, invalid).await;
    answer.is_problem(400, "/problems/invalid-header");
    assert_eq!(answer.validation_errors(), ["Last-Event-ID format"]);
}

#[tokio::test]
async fn a_refused_cursor_is_a_problem_and_not_a_stream() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let mut stream = open(&router(&feed), request("from=latest")).await;
    let end = stream.block().await.unwrap().id.unwrap();
    let empty = router(&Arc::new(FakeFeed::default()));
    let unknown = request("").header("last-event-id", &end).body(Body::empty()).unwrap();
    send_to(empty.clone(), unknown).await.is_problem(400, "/problems/invalid-header");
    let unknown = request(&format!("after={end}")).body(Body::empty()).unwrap();
    send_to(empty, unknown).await.is_problem(400, "/problems/invalid-parameter");
    feed.expired.store(1, SeqCst);
    let expired = request("").body(Body::empty()).unwrap();
    send_to(router(&feed), expired).await.is_problem(410, "/problems/cursor-expired");
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_has_a_comment_every_15_seconds_and_reads_nothing() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let mut stream = open(&router(&feed), request("types=order_confirmed")).await;
    let seen = stream.event().await;
    let (start, reads) = (Instant::now(), feed.reads.load(SeqCst));
    for beat in 1..=3 {
        let block = stream.block().await.unwrap();
        assert_eq!((block.comment.as_deref(), block.id), (Some("heartbeat"), None));
        assert_eq!(start.elapsed(), 15 * beat * SECOND);
    }
    // The id also advances past events that the filter excludes, so that a reconnect does not read them
    // again.
    feed.append(event("o-3", 1, "order_created", 4));
    let moved = stream.block().await.unwrap();
    assert_eq!((moved.comment.as_deref(), moved.data), (Some("heartbeat"), None));
    assert_ne!(moved.id.as_ref().unwrap(), seen.id.as_ref().unwrap());
    assert_eq!(stream.block().await.unwrap().id, None);
    assert_eq!(feed.reads.load(SeqCst), reads);
    let mut resumed = open(&router(&feed), request("").header("last-event-id", moved.id.unwrap())).await;
    feed.append(event("o-3", 2, "order_confirmed", 4));
    assert_eq!(resumed.event().await.name(), "o-3 2");
    assert_eq!(stream.event().await.name(), "o-3 2");
}

#[tokio::test(start_paused = true)]
async fn many_events_in_a_short_time_are_read_together() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let mut stream = open(&router(&feed), request("from=latest")).await;
    stream.block().await.unwrap();
    let reads = feed.reads.load(SeqCst);
    let appends = async {
        for version in 1..=100 {
            feed.append(event("o-3", version, "order_confirmed", 4));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let read = async {
        for version in 1..=100 {
            assert_eq!(stream.event().await.name(), format!("o-3 {version}"));
        }
    };
    tokio::join!(appends, read);
    let reads = feed.reads.load(SeqCst) - reads;
    // The fake feed returns up to ten events in one read, so a hundred events need at least ten reads.
    assert!((10..=25).contains(&reads), "{reads}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_token_expires() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    // The API's clock stands at 2026-11-23T10:00:00Z in this test.
    for (valid_until, seconds) in
        [("2026-11-23T10:00:40Z", 40), ("2026-11-23T10:00:15Z", 15), ("2026-11-23T09:59:00Z", 0)]
    {
        let valid_until = Some(Timestamp::parse(valid_until).unwrap());
        let principal = Principal { valid_until, ..Principal::anyone() };
        let start = Instant::now();
        let mut stream = open(&router(&feed), request("from=latest").extension(principal)).await;
        stream.ends().await;
        assert_eq!(start.elapsed(), seconds * SECOND);
    }
    let mut endless = open(&router(&feed), request("from=latest")).await;
    assert!(timeout(3600 * SECOND, endless.ends()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn streams_end_when_the_service_stops() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let (state, stop) = app(&feed);
    let router = api::router(state);
    let mut stream = open(&router, request("from=latest")).await;
    stream.block().await.unwrap();
    let start = Instant::now();
    let reading = tokio::spawn(async move { stream.ends().await });
    advance(2 * SECOND).await;
    stop.send_replace(true);
    reading.await.unwrap();
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_feed_fails_ends() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let mut stream = open(&router(&feed), request("from=latest")).await;
    stream.block().await.unwrap();
    feed.expired.store(9, SeqCst);
    feed.append(event("o-2", 2, "order_confirmed", 4));
    stream.ends().await;
}

#[tokio::test]
async fn the_number_of_streams_is_limited() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let router = router(&feed);
    let peer = ConnectInfo::<SocketAddr>("192.0.2.1:7".parse().unwrap());
    let mut open_streams = Vec::new();
    for _ in 0..3 {
        open_streams.push(open(&router, request("").header("host", "localhost").extension(peer)).await);
    }
    let refused = || request("").header("host", "localhost").extension(peer).body(Body::empty()).unwrap();
    let answer = send_to(router.clone(), refused()).await;
    answer.is_problem(503, "/problems/too-many-streams");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    let page = Request::get("/v1/events").body(Body::empty()).unwrap();
    assert_eq!(items(&send_to(router.clone(), page).await).len(), 3, "pages are still answered");
    open_streams.pop();
    drop(open(&router, request("").header("host", "localhost").extension(peer)).await);
    // Neither a refused stream nor a request with an invalid query occupies a slot.
    send_to(router.clone(), request("after=x").body(Body::empty()).unwrap())
        .await
        .is_problem(400, "/problems/invalid-parameter");
    drop(open(&router, request("")).await);
}

#[tokio::test]
async fn a_deployment_without_streams_answers_406() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let router = api::router(AppState { event_streams: None, ..app(&feed).0 });
    let answer = send_to(router.clone(), request("").body(Body::empty()).unwrap()).await;
    answer.is_problem(406, "/problems/not-acceptable");
    assert!(answer.json()["detail"].as_str().unwrap().contains("Prefer: wait"), "{answer:?}");
    let page = Request::get("/v1/events").header("accept", "*/*").body(Body::empty()).unwrap();
    assert_eq!(items(&send_to(router, page).await).len(), 3);
}
