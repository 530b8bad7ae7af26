//! Tests `Prefer: wait` at the end of the feed.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use api::Deadline;
use axum::body::Body;
use axum::http::Request;
use tokio::time::{Instant, advance};

use super::fake::{FakeFeed, event};
use super::{app, items, router};
use crate::fakes::send_to;

fn waiting(query: &str, seconds: u64) -> Request<Body> {
    let request = Request::get(format!("/v1/events?{query}")).header("prefer", format!("wait={seconds}"));
    request.body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_first_event_that_passes_the_filter() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let start = Instant::now();
    let request = waiting("from=latest&types=order_confirmed", 20);
    let answer = tokio::spawn(send_to(router(&feed), request));
    advance(Duration::from_secs(3)).await;
    feed.append(event("o-3", 1, "order_created", 4));
    advance(Duration::from_secs(4)).await;
    assert!(!answer.is_finished());
    feed.append(event("o-3", 2, "order_confirmed", 4));
    let answer = answer.await.unwrap();
    assert_eq!(items(&answer), ["o-3 2"]);
    assert_eq!((answer.header("preference-applied"), start.elapsed().as_secs()), ("wait=20", 7));
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_events_ends_with_an_empty_page() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let start = Instant::now();
    let answer = send_to(router(&feed), waiting("from=latest", 600)).await;
    assert_eq!((items(&answer).len(), start.elapsed().as_secs()), (0, 25));
    assert_eq!(
        (answer.header("preference-applied"), answer.json()["has_more"].as_bool()),
        ("wait=25", Some(false))
    );
    // The request reads the feed once before and once after the wait.
    assert_eq!(feed.reads.load(SeqCst), 2);

    let mut request = waiting("from=latest", 20);
    request.extensions_mut().insert(Deadline(Instant::now() + Duration::from_secs(4)));
    assert_eq!(send_to(router(&feed), request).await.status, 200, "the wait ends before the deadline");
}

#[tokio::test(start_paused = true)]
async fn a_request_with_events_does_not_wait() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let start = Instant::now();
    assert_eq!(items(&send_to(router(&feed), waiting("", 20)).await).len(), 3);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_request_examines_more_than_one_page() {
    let feed = Arc::new(FakeFeed::default());
    for version in 1..=25 {
        feed.append(event("o-1", version, "order_confirmed", 1));
    }
    feed.append(event("o-2", 1, "order_created", 2));
    // The fake feed examines only ten events in one read. The only matching event is the last one.
    assert_eq!(items(&send_to(router(&feed), waiting("types=order_created", 5)).await), ["o-2 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_the_service_stops() {
    let feed = Arc::new(FakeFeed::of_two_orders());
    let start = Instant::now();
    let (state, stop) = app(&feed);
    let answer = tokio::spawn(send_to(api::router(state), waiting("from=latest", 20)));
    advance(Duration::from_secs(2)).await;
    stop.send_replace(true);
    assert_eq!(items(&answer.await.unwrap()).len(), 0);
    assert_eq!(start.elapsed().as_secs(), 2);
}
