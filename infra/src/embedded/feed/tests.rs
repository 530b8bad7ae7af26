//! Tests reads of the feed: pages, the start at a given time, and readers that wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::ports::EventPublisher;
use api::ports::feed::{EventFeed, FeedCursor, FeedError, FeedFilter};
use domain::{CustomerId, Envelope, Event, EventType};
use tokio::time::timeout;

use super::*;
use crate::embedded::Embedded;
use crate::embedded::store::feed::customer_hash;
use crate::embedded::store::feed::encode::{NewFeedEntry, lost_row};
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;
use crate::embedded::testing::{confirmed, created, open_inline};

async fn publish(engine: &Embedded, events: &[Envelope]) {
    for result in engine.publish(events).await {
        result.unwrap();
    }
}

fn created_for(order_id: &str, customer: &str) -> Envelope {
    let mut envelope = created(order_id);
    if let Event::Created(created) = &mut envelope.event {
        created.customer_id = CustomerId::parse(customer).unwrap();
    }
    envelope
}

fn cursor(position: u64) -> FeedCursor {
    FeedCursor(vec![position])
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

const LIMITS: ReadLimits = ReadLimits { events: 100, examined: 1000, bytes: 1 << 20 };

#[tokio::test]
async fn positions_follow_the_commits_without_a_gap_and_survive_a_restart() {
    let (folder, engine) = open_inline();
    let orders: Vec<_> = (0..300).map(|number| created(&format!("o-{number:03}"))).collect();
    publish(&engine, &orders).await;
    publish(&engine, &[confirmed("o-007", 1)]).await;
    drop(engine);
    let engine = Embedded::open(folder.path(), crate::embedded::testing::options()).unwrap();
    publish(&engine, &[confirmed("o-008", 2)]).await;
    let mut after = cursor(0);
    let mut seen = Vec::new();
    loop {
        let page = engine.read(&FeedFilter::default(), &after, 70).await.unwrap();
        seen.extend(page.events.iter().map(|event| {
            (event.position.parse::<u64>().unwrap(), event.event.envelope.order_id.to_string())
        }));
        after = page.next;
        if page.is_last {
            break;
        }
    }
    // The event of `o-008` is only queued: the engine does not commit inline, and the test runs no consumer.
    let expected: Vec<_> = (1..=300)
        .map(|position| (position, format!("o-{:03}", position - 1)))
        .chain([(301, "o-007".into())])
        .collect();
    assert_eq!(seen, expected);
    assert_eq!(after, cursor(301));
}

#[tokio::test]
async fn a_read_stops_at_each_of_its_limits_and_the_next_one_goes_on_there() {
    let (_folder, engine) = open_inline();
    let orders: Vec<_> = (0..40).map(|number| created(&format!("o-{number:02}"))).collect();
    publish(&engine, &orders).await;
    let feed = &engine.0.feed;
    let bytes = feed.read(FeedMask::ALL, 0, LIMITS).unwrap().records[0].entry.len();
    for limits in [
        ReadLimits { events: 7, ..LIMITS },
        ReadLimits { examined: 7, ..LIMITS },
        // Sizes of entries differ by a few bytes, because times have three or six decimals.
        ReadLimits { bytes: 6 * bytes + bytes / 2, ..LIMITS },
    ] {
        let mut positions = Vec::new();
        while positions.len() < 40 {
            let slice = feed.read(FeedMask::ALL, positions.len() as u64, limits).unwrap();
            assert_eq!(slice.records.len(), 7.min(40 - positions.len()), "{limits:?}");
            positions.extend(slice.records.iter().map(|record| record.position));
            assert_eq!((slice.next, slice.end), (positions.len() as u64, 40));
        }
        assert!(positions.into_iter().eq(1..=40), "{limits:?}");
    }
}

#[tokio::test]
async fn a_filter_shows_only_its_customer_even_if_another_one_has_the_same_hash() {
    let (_folder, engine) = open_inline();
    publish(&engine, &[created_for("a", "mia"), created_for("b", "tom")]).await;
    publish(&engine, &[confirmed("a", 1), confirmed("b", 2)]).await;
    // A wrong customer hash in an entry simulates a hash collision.
    let keys = engine.store().keys.clone();
    let mia = customer_hash(&CustomerId::parse("mia").unwrap());
    let entry = |kind, order: &str, version| {
        NewFeedEntry::new(Some(kind), Some(mia), &OrderId::parse(order).unwrap(), version, 1).bytes
    };
    let row = [
        &lost_row(1, 1)[..9],
        &entry(EventType::Created, "a", 1),
        &entry(EventType::Created, "b", 1),
        &entry(EventType::Confirmed, "a", 2),
        &entry(EventType::Confirmed, "b", 2),
    ]
    .concat();
    let collide = move |stage: &mut Stage| {
        stage.remove(&keys.feed, feed_key(3));
        stage.put(&keys.feed, feed_key(1), row);
        Ok(())
    };
    engine.store().writer.write(Durability::Synced, collide).await.unwrap();
    let of_mia = FeedFilter { customer_id: Some(CustomerId::parse("mia").unwrap()), ..FeedFilter::default() };
    let page = engine.read(&of_mia, &cursor(0), 10).await.unwrap();
    let orders: Vec<_> = page.events.iter().map(|event| event.event.envelope.order_id.as_str()).collect();
    assert_eq!((orders, page.next, page.is_last), (vec!["a", "a"], cursor(4), true));
}

#[tokio::test]
async fn a_cursor_after_the_end_is_refused() {
    let (_folder, engine) = open_inline();
    publish(&engine, &[created("a")]).await;
    for unknown in [cursor(2), cursor(u64::MAX), FeedCursor(vec![]), FeedCursor(vec![1, 1])] {
        let read = engine.read(&FeedFilter::default(), &unknown, 10).await;
        assert!(matches!(read, Err(FeedError::UnknownCursor)), "{unknown:?}");
        assert_eq!(engine.wait(&FeedFilter::default(), &unknown, later()).await, unknown);
    }
    assert!(engine.read(&FeedFilter::default(), &cursor(1), 10).await.unwrap().is_last);
}

/// Adds one row with one position for each of `times`.
async fn add_rows(engine: &Embedded, times: &[i64]) {
    let entries: Vec<_> = times
        .iter()
        .zip(0..)
        .map(|(time, number)| {
            NewFeedEntry::new(None, None, &OrderId::parse(&format!("x-{number}")).unwrap(), 1, *time)
        })
        .collect();
    for entry in entries {
        engine
            .store()
            .writer
            .write(Durability::Synced, move |stage: &mut Stage| {
                stage.record(entry);
                Ok(())
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_place_in_time_is_before_the_first_event_recorded_then_even_if_the_clock_jumps() {
    let (_folder, engine) = open_inline();
    assert_eq!(engine.0.feed.place_of(FeedStart::At(Timestamp::from_micros(5).unwrap())).unwrap(), 0);
    // The clock is set forward at position 4, and back at position 5.
    let times = [10, 20, 20, 90, 30, 40, 95];
    add_rows(&engine, &times).await;
    for at in 0..=100 {
        let place = engine.0.feed.place_of(FeedStart::At(Timestamp::from_micros(at).unwrap())).unwrap();
        let first = times.iter().position(|time| *time >= at).unwrap_or(times.len()) as u64;
        assert_eq!(place, first, "{at}");
    }
    let row_times: Vec<_> =
        (0..=8).map(|position| engine.0.feed.time_at(position).unwrap().map(|time| time.micros())).collect();
    assert_eq!(row_times[1..8], [10, 20, 20, 90, 90, 90, 95].map(Some));
    assert_eq!((row_times[0], row_times[8]), (None, None));
    assert_eq!(engine.0.feed.place_of(FeedStart::Latest).unwrap(), 7);
}

#[tokio::test]
async fn a_waiting_reader_is_woken_only_by_an_event_that_passes_its_filter() {
    let (_folder, engine) = open_inline();
    let of = |customer: Option<&str>, types: &[EventType]| FeedFilter {
        types: types.iter().copied().collect::<BTreeSet<_>>(),
        customer_id: customer.map(|customer| CustomerId::parse(customer).unwrap()),
    };
    publish(&engine, &[created_for("a", "mia")]).await;
    let engine = Arc::new(engine);
    let start = |filter: FeedFilter| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.wait(&filter, &cursor(1), later()).await })
    };
    let waits = [
        start(of(None, &[EventType::Confirmed])),
        start(of(Some("tom"), &[])),
        start(of(Some("tom"), &[EventType::Confirmed])),
        start(of(Some("mia"), &[EventType::Cancelled])),
    ];
    let unfiltered = start(of(None, &[]));
    while engine.store().feed_waiters.count() < 5 {
        tokio::task::yield_now().await;
    }
    publish(&engine, &[created_for("c", "eve")]).await;
    assert_eq!(unfiltered.await.unwrap(), cursor(1));
    publish(&engine, &[created_for("b", "tom")]).await;
    publish(&engine, &[confirmed("a", 1)]).await;
    let [confirmations, tom, confirmed_of_tom, cancelled_of_mia] = waits;
    assert_eq!(timeout(Duration::from_secs(60), tom).await.unwrap().unwrap(), cursor(2));
    assert_eq!(timeout(Duration::from_secs(60), confirmations).await.unwrap().unwrap(), cursor(3));
    assert!(!confirmed_of_tom.is_finished() && !cancelled_of_mia.is_finished());
    assert_eq!(engine.store().feed_waiters.count(), 2);
    publish(&engine, &[confirmed("b", 2)]).await;
    assert_eq!(timeout(Duration::from_secs(60), confirmed_of_tom).await.unwrap().unwrap(), cursor(4));
    cancelled_of_mia.abort();
    assert!(cancelled_of_mia.await.unwrap_err().is_cancelled());
    assert_eq!(engine.store().feed_waiters.count(), 0, "a reader that stops waiting is unregistered");
}

#[tokio::test]
async fn a_wait_that_ends_without_an_event_has_the_place_up_to_which_nothing_passes() {
    let (_folder, engine) = open_inline();
    publish(&engine, &[created_for("a", "mia")]).await;
    let of_tom = FeedFilter { customer_id: Some(CustomerId::parse("tom").unwrap()), ..FeedFilter::default() };
    let waiters = Arc::clone(&engine.store().feed_waiters);
    let mut waiter = waiters.join(FeedMask::of(&of_tom), 1, || 1).expect("it waits");
    assert_eq!(waiter.place(), 1);
    publish(&engine, &[created_for("b", "mia")]).await;
    publish(&engine, &[created_for("c", "mia")]).await;
    while waiters.compared() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(waiter.place(), 3);
    drop(waiter);
    assert_eq!(waiters.count(), 0);
    // The wait completes at its first poll.
    assert_eq!(engine.wait(&of_tom, &cursor(3), Instant::now()).await, cursor(3));
    assert_eq!(waiters.count(), 0);
}

#[tokio::test]
async fn a_reader_with_earlier_events_does_not_wait() {
    let (_folder, engine) = open_inline();
    publish(&engine, &[created("a"), created("b")]).await;
    let (all, after) = (FeedFilter::default(), cursor(1));
    assert_eq!(engine.wait(&all, &after, later()).await, after);
    assert_eq!(engine.store().feed_waiters.count(), 0);
}
