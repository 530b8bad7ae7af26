//! Tests readers of the feed: filters, where a reader starts, cursors that are unknown or too old, and waiting.

use std::time::Duration;

use api::ports::feed::{EventFeed, FeedCursor, FeedError, FeedFilter, FeedStart};
use consumer::ports::OrderLog;
use domain::{CustomerId, EventType};
use tokio::time::Instant;

use super::{FeedBackend, assert_complete, logs};
use crate::support::events::{append_of, at, created_for, new_order_id, recorded};
use crate::support::eventually::{check, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_resumes_after_its_event() {
    let feed = FeedBackend::open().await;
    let logs = logs(8);
    feed.record_all(&logs).await;
    feed.relay_all().await;
    let all = feed.read_all(100).await;
    for (place, event) in all.iter().enumerate() {
        let rest = feed.read_from(event.cursor.clone(), &FeedFilter::default(), 5).await;
        let positions = |events: &[api::ports::feed::FeedEvent]| {
            let mut positions: Vec<_> = events.iter().map(|event| event.position.clone()).collect();
            positions.sort_unstable();
            positions
        };
        assert_eq!(positions(&rest), positions(&all[place + 1..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_select_types_and_customers() {
    let feed = FeedBackend::open().await;
    let logs = logs(6);
    feed.record_all(&logs).await;
    let other = [created_for(&new_order_id(), "c-2")];
    feed.backend.table.append(&[append_of(&recorded(1, &other), 1)]).await.remove(0).unwrap();
    feed.relay_all().await;
    let start = feed.feed.start(FeedStart::Oldest).await.unwrap();
    let paid = FeedFilter { types: [EventType::Paid].into(), customer_id: None };
    assert_eq!(feed.read_from(start.clone(), &paid, 4).await.len(), 6);
    let customer = |id: &str| FeedFilter { customer_id: CustomerId::parse(id).ok(), ..FeedFilter::default() };
    let found = feed.read_from(start.clone(), &customer("c-2"), 4).await;
    assert_eq!(found.iter().map(|it| &it.event.envelope).collect::<Vec<_>>(), [&other[0]]);
    assert!(feed.read_from(start, &customer("c-3"), 4).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_that_are_unknown_or_too_old_are_refused() {
    let feed = FeedBackend::open().await;
    let start = feed.feed.start(FeedStart::Oldest).await.unwrap();
    feed.record_all(&logs(8)).await;
    feed.relay_all().await;
    let filter = FeedFilter::default();
    let end = feed.feed.start(FeedStart::Latest).await.unwrap();
    let mut later = end.clone();
    later.0[1] += 1;
    for unknown in [later, FeedCursor(vec![0]), FeedCursor(vec![0; 5])] {
        let refused = feed.feed.read(&filter, &unknown, 10).await.unwrap_err();
        assert!(matches!(refused, FeedError::UnknownCursor), "{unknown:?}: {refused}");
    }
    feed.expire_all().await;
    let refused = feed.feed.read(&filter, &start, 10).await.unwrap_err();
    assert!(matches!(refused, FeedError::Expired), "{refused}");
    assert!(feed.feed.read(&filter, &end, 10).await.unwrap().is_last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_starts_at_a_time() {
    let feed = FeedBackend::open().await;
    let mut logs = Vec::new();
    for second in 0..40 {
        let log = [created_for(&new_order_id(), "c-1")];
        let mut events = recorded(1, &log);
        events[0].recorded_at = at(second * 2);
        feed.backend.table.append(&[append_of(&events, 1)]).await.remove(0).unwrap();
        // Relays one event at a time, so each event is in a separate chunk.
        let streamed = feed.streamed().await;
        feed.relay().relay(streamed[second as usize..].iter().cloned().map(Ok).collect()).await.unwrap();
        logs.push(log.to_vec());
    }
    for (second, first) in [(0, 0), (1, 1), (2, 1), (3, 2), (40, 20), (78, 39), (79, 40)] {
        let start = feed.feed.start(FeedStart::At(at(second))).await.unwrap();
        let events = feed.read_from(start, &FeedFilter::default(), 7).await;
        assert_complete(&events, &logs[first..]);
    }
    let start = feed.feed.start(FeedStart::Oldest).await.unwrap();
    let page = feed.feed.read(&FeedFilter::default(), &start, 1000).await.unwrap();
    assert!(page.events.is_sorted_by_key(|it| it.event.recorded_at), "a page is sorted by time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_reader_is_woken_by_an_event_that_passes_its_filter() {
    let feed = FeedBackend::open().await;
    let start = feed.feed.start(FeedStart::Latest).await.unwrap();
    let paid = FeedFilter { types: [EventType::Paid].into(), customer_id: None };
    let waiting = {
        let (feed, start, paid) = (feed.feed.clone(), start.clone(), paid.clone());
        tokio::spawn(async move { feed.wait(&paid, &start, Instant::now() + Duration::from_secs(60)).await })
    };
    let logs = logs(4);
    feed.record(&logs, 1).await;
    feed.relay_all().await;
    // All events so far are `order_created` events, which do not pass the filter. Even a wait that ends
    // immediately returns a cursor after these events, so the reader need not read them again.
    let latest = feed.feed.start(FeedStart::Latest).await.unwrap();
    eventually("the cursor is after the created events", async || {
        let place = feed.feed.wait(&paid, &start, Instant::now()).await;
        check(place == latest, place)
    })
    .await;
    assert!(!waiting.is_finished());
    for version in [2, 3] {
        feed.record(&logs, version).await;
    }
    feed.relay_all().await;
    let place = waiting.await.unwrap();
    let found = feed.feed.read(&paid, &place, 10).await.unwrap();
    assert!(!found.events.is_empty());
    assert_eq!(feed.read_from(place, &paid, 10).await.len(), 4, "the cursor precedes every payment");
}
