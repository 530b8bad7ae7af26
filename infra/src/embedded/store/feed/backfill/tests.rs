//! Tests that the events of a folder of format 5 get their positions, even if the upgrade is interrupted.

use std::cell::RefCell;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use api::ports::feed::{EventFeed, FeedCursor, FeedFilter};
use consumer::ports::{Append, OrderLog};
use domain::{Envelope, Order, RecordedEvent, Timestamp};

use super::*;
use crate::embedded::Embedded;
use crate::embedded::maintenance::RebuildOptions;
use crate::embedded::store::writer::Durability;
use crate::embedded::testing::{confirmed, created, event, open_inline, options};

const ORDERS: u64 = 2 * EVENTS_OF_COMMIT as u64;

/// Appends events of one order. `times` contains one recording time for each event.
async fn append(engine: &Embedded, envelopes: &[Envelope], times: &[i64]) {
    let recorded = |(version, (envelope, time)): (u64, (&Envelope, &i64))| RecordedEvent {
        version,
        recorded_at: Timestamp::from_micros(*time).unwrap(),
        repaired: None,
        envelope: envelope.clone(),
    };
    let events: Vec<_> = (1..).zip(envelopes.iter().zip(times)).map(recorded).collect();
    let order = Order::fold(&events).unwrap().unwrap();
    let append = Append { events, messages: Vec::new(), order, previous: None };
    engine.append(&[append]).await.remove(0).unwrap();
}

/// Turns the data folder of the engine into a folder of format 5, which has no feed.
async fn downgrade(engine: Embedded, folder: &Path) {
    let feed = engine.store().keys.feed.clone();
    let remove = move |stage: &mut Stage| {
        feed.iter().for_each(|row| stage.remove(&feed, row.key().unwrap()));
        Ok(())
    };
    engine.store().writer.write(Durability::Synced, remove).await.unwrap();
    drop(engine);
    fs::write(folder.join("FORMAT"), "orders data folder, format 5\n").unwrap();
}

/// The order id and the version of each event in the feed.
async fn feed_of(engine: &Embedded) -> Vec<(String, u64)> {
    let (mut all, mut after) = (Vec::new(), FeedCursor(vec![0]));
    loop {
        let page = engine.read(&FeedFilter::default(), &after, 100).await.unwrap();
        all.extend(page.events.iter().map(|it| (it.event.envelope.order_id.to_string(), it.event.version)));
        after = page.next;
        if page.is_last {
            return all;
        }
    }
}

async fn assert_consistent(engine: &Embedded) {
    let check = RebuildOptions { check_only: true, ..RebuildOptions::default() };
    let differences = engine.rebuild(check, &|_| ()).await.unwrap().differences;
    let of_feed: Vec<_> = differences.examples.iter().filter(|example| example.starts_with("feed")).collect();
    assert!(of_feed.is_empty(), "{differences:?}");
}

#[tokio::test]
async fn old_events_get_positions_by_their_times_and_stay_in_order_if_the_clock_was_set_back() {
    let (folder, engine) = open_inline();
    let annotated = |order_id: &str, number: u128| {
        let json = event(uuid::Uuid::from_u128(number), "order_annotated", order_id, r#","notes":"n""#);
        Envelope::decode(
            json.replace(r#""schema_version":1"#, r#""schema_version":2"#).as_bytes(),
            options().default_currency,
        )
        .unwrap()
    };
    append(&engine, &[created("b"), confirmed("b", 1)], &[20, 50]).await;
    // The second event of the order `a` has an earlier time than the first, as if the clock had been set back.
    append(&engine, &[created("a"), confirmed("a", 2), annotated("a", 3)], &[40, 10, 60]).await;
    append(&engine, &[created("c")], &[30]).await;
    downgrade(engine, folder.path()).await;
    let engine = Embedded::open(folder.path(), options()).unwrap();
    let expected = [("b", 1), ("c", 1), ("a", 1), ("a", 2), ("b", 2), ("a", 3)];
    assert_eq!(feed_of(&engine).await, expected.map(|(order, version)| (order.to_owned(), version)));
    assert_eq!(engine.store().view().feed.time, 60);
    assert_consistent(&engine).await;
    // An event that is appended after the upgrade comes last in the feed, although its time is the earliest.
    append(&engine, &[created("d")], &[5]).await;
    assert_eq!(feed_of(&engine).await.last(), Some(&("d".to_owned(), 1)));
    drop(engine);
    assert!(fs::read_to_string(folder.path().join("FORMAT")).unwrap().ends_with("format 6\n"));
}

#[tokio::test]
async fn a_backfill_that_is_stopped_after_any_commit_continues_with_the_same_positions() {
    let (folder, engine) = open_inline();
    for number in 0..ORDERS {
        let (id, time) = (format!("o-{number}"), (number * 7919 % ORDERS) as i64);
        append(&engine, &[created(&id), confirmed(&id, u128::from(number))], &[time, time + 3]).await;
    }
    let mut expected: Vec<_> = (0..ORDERS)
        .flat_map(|number| {
            let time = number * 7919 % ORDERS;
            [(time, format!("o-{number}"), 1), (time + 3, format!("o-{number}"), 2)]
        })
        .collect();
    expected.sort();
    downgrade(engine, folder.path()).await;

    let seen = RefCell::new(Vec::new());
    let engine = loop {
        let calls = RefCell::new(0);
        // Each start calls the closure twice: with the progress of earlier starts, and after a commit.
        let opened = Embedded::open_showing(folder.path(), options(), &|progress| {
            *calls.borrow_mut() += 1;
            seen.borrow_mut().push(progress.events);
            if *calls.borrow() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match opened {
            Ok(engine) => break engine,
            Err(error) => assert!(error.to_string().contains("the next start continues"), "{error}"),
        }
    };
    let seen = seen.into_inner();
    assert!(seen.is_sorted() && seen.len() >= 10, "{seen:?}");
    assert_eq!(seen.last(), Some(&(2 * ORDERS)));
    let expected: Vec<_> = expected.into_iter().map(|(_, order, version)| (order, version)).collect();
    assert_eq!(feed_of(&engine).await, expected);
    assert_eq!(engine.store().keys.feed.range(FIRST_SCRATCH_KEY.to_vec()..).count(), 0);
    assert!(!engine.store().keys.meta.contains_key(FEED_BACKFILL).unwrap());
    assert_consistent(&engine).await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_gets_a_position_too() {
    let (folder, engine) = open_inline();
    append(&engine, &[created("a"), confirmed("a", 1)], &[10, 20]).await;
    append(&engine, &[created("b")], &[30]).await;
    let first_of_a = keys::log_key(&OrderId::parse("a").unwrap(), 1);
    let log = engine.store().keys.log.clone();
    let damage = move |stage: &mut Stage| {
        stage.put(&log, first_of_a, b"noise");
        Ok(())
    };
    engine.store().writer.write(Durability::Synced, damage).await.unwrap();
    downgrade(engine, folder.path()).await;
    let engine = Embedded::open(folder.path(), options()).unwrap();
    assert_eq!(engine.store().view().feed.position, 3);
    let error = engine.read(&FeedFilter::default(), &FeedCursor(vec![0]), 10).await.unwrap_err();
    let error = format!("{:#}", anyhow::Error::from(error));
    assert!(error.contains("version 1 of order a, at position 1 of the feed"), "{error}");
    let later = engine.read(&FeedFilter::default(), &FeedCursor(vec![1]), 10).await.unwrap();
    assert_eq!(later.events.len(), 2);
    assert_consistent(&engine).await;
}
