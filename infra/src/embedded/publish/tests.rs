//! Tests which events are accepted, which errors are reported when the store fails, and what readers see before the
//! sync.

use std::path::{Path, PathBuf};

use api::ports::{EventPublisher, OrderReader};
use tempfile::TempDir;

use super::*;
use crate::embedded::store::views::View;
use crate::embedded::testing::{confirmed, created, open_inline, options};
use crate::embedded::{Embedded, Options};

fn event(number: u128) -> Envelope {
    confirmed("o", number)
}

#[tokio::test]
async fn events_are_refused_while_the_queue_is_too_deep() {
    let folder = TempDir::new().unwrap();
    let options = |max_queue_depth| Options { max_queue_depth, ..options() };
    let engine = Embedded::open(folder.path(), options(2)).unwrap();
    for number in 1..=2 {
        assert!(engine.publish(&[event(number)]).await[0].is_ok());
    }
    for _ in 0..2 {
        let results = engine.publish(&[event(3), event(4)]).await;
        assert!(matches!(results.as_slice(), [Err(PublishError::Full(_)), Err(PublishError::Full(_))]));
    }
    assert_eq!(engine.queue_depth(), 2);

    drop(engine);
    let engine = Embedded::open(folder.path(), options(usize::MAX)).unwrap();
    assert!(engine.publish(&[event(3)]).await[0].is_ok(), "without a limit, the queue accepts more events");
}

/// Makes every sync of the store below `folder` fail from now on, by creating a folder with the name of the next
/// journal. Returns the path of that folder.
fn break_syncs(folder: &Path) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jnl") {
                let number: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
                let next = path.with_file_name(format!("{}.jnl", number + 1));
                std::fs::create_dir(&next).unwrap();
                return next;
            }
        }
    }
    panic!("the store has no journal");
}

#[tokio::test]
async fn the_outcome_of_an_event_is_unknown_if_its_sync_fails_and_later_events_are_not_accepted() {
    let folder = TempDir::new().unwrap();
    let engine = Embedded::open(folder.path(), options()).unwrap();
    assert!(matches!(engine.publish(&[event(1)]).await.as_slice(), [Ok(Acceptance::New)]));
    let in_the_way = break_syncs(folder.path());

    let results = engine.publish(&[event(2), event(3)]).await;
    assert!(
        matches!(results.as_slice(), [Err(PublishError::Unknown(_)), Err(PublishError::Unknown(_))]),
        "{results:?}"
    );
    let results = engine.publish(&[event(4)]).await;
    assert!(matches!(results.as_slice(), [Err(PublishError::NotAccepted(_))]), "{results:?}");

    drop(engine);
    std::fs::remove_dir(in_the_way).unwrap();
    let engine = Embedded::open(folder.path(), options()).unwrap();
    let mut found = Vec::new();
    for number in 1..=4 {
        let Envelope { order_id, event_id, .. } = event(number);
        found.push(engine.receipt(&order_id, event_id).await.unwrap().is_some());
    }
    // The sync failed, but the operating system kept the written data.
    assert_eq!(found, [true, true, true, false]);
}

#[tokio::test]
async fn of_equal_events_that_are_published_together_one_is_new() {
    for inline in [false, true] {
        let folder = TempDir::new().unwrap();
        let engine = Embedded::open(folder.path(), Options { inline, ..options() }).unwrap();
        let event = [Envelope { request_hash: Some("00".to_owned()), ..created("o") }];
        let mut publishing = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (engine, event) = (engine.clone(), event.clone());
            publishing.spawn(async move { engine.publish(&event).await });
        }
        let results: Vec<_> = publishing.join_all().await.into_iter().flatten().collect();
        let new = results.iter().filter(|result| matches!(result, Ok(Acceptance::New))).count();
        let repeated = results.iter().filter(|result| matches!(result, Ok(Acceptance::Repeated))).count();
        assert_eq!((new, repeated), (1, 19), "{results:?}");
        let ledger = engine.store().counters().ledger;
        assert_eq!((ledger.accepted, ledger.duplicate), (20, 19));
    }
}

#[tokio::test]
async fn queries_see_the_store_as_of_the_latest_sync() {
    let (_folder, engine) = open_inline();
    let event = Envelope { request_hash: Some("00".to_owned()), ..created("o") };
    let before = engine.store().view();
    assert!(engine.publish(std::slice::from_ref(&event)).await[0].is_ok());
    assert!(engine.receipt(&event.order_id, event.event_id).await.unwrap().is_some());
    // A view that was taken before the sync does not change.
    let log = &engine.0.log;
    assert!(log.order_in(&*before, &event.order_id).unwrap().is_none());
    assert!(log.receipt_in(&*before, &event.order_id, event.event_id).unwrap().is_none());
    let after = engine.store().view();
    let accepted = |view: &View| view.totals.counters.ledger.accepted;
    assert_eq!((accepted(&before), accepted(&after)), (0, 1));

    assert!(
        engine.publish(std::slice::from_ref(&event)).await[0].is_ok(),
        "the same request is accepted again"
    );
    let ledger = engine.store().counters().ledger;
    assert_eq!((ledger.recorded, ledger.duplicate), (1, 1));
}
