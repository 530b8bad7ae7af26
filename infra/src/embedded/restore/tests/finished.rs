//! Tests restores to moments between two increments. The state of such a moment is older than its log, so some messages
//! and dead letters are finished.

use std::sync::Arc;
use std::time::Duration;

use api::operations::DeadLetterStore;
use consumer::Consumer;
use consumer::ports::Inbox;

use super::*;

/// Receives all messages and handles them like the service. Acknowledges the messages if `acknowledge` is set.
async fn consume(engine: &Embedded, acknowledge: bool) {
    let shared = Arc::new(engine.clone());
    let consumer = Consumer {
        log: Arc::clone(&shared) as _,
        dead_letters: shared,
        clock: crate::now,
        default_currency: eur(),
        max_receives: None,
        ledger: None,
    };
    let messages = Inbox::receive(engine, 10, Duration::ZERO).await.unwrap();
    assert!(!messages.is_empty());
    let handled = consumer.handle(messages).await;
    if acknowledge {
        let done: Vec<_> = handled.iter().map(|handled| (&handled.message, &handled.disposition)).collect();
        for result in Inbox::ack(engine, &done).await {
            result.unwrap();
        }
    }
}

/// Redrives the dead letters of order `o-011`, and handles their messages. The first event is recorded, and the second
/// is refused.
async fn redrive(engine: &Embedded) {
    let order_id = order_id(11);
    let sequence = DeadLetterStore::sequence(engine, &order_id, 10).await.unwrap();
    for result in engine.dead_letters().replay(&sequence.letters).await {
        result.unwrap();
    }
    consume(engine, true).await;
}

async fn restored_until(target: &Target, position: u64) -> (TempDir, Embedded, RestoreReport) {
    let place = TempDir::new().unwrap();
    let options_of_restore = RestoreOptions { until: Until::Position(position), ..OPTIONS() };
    let report = run(target, place.path(), options_of_restore).await.unwrap();
    let restored = Embedded::open(place.path(), options()).unwrap();
    assert_consistent(&restored).await;
    (place, restored, report)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_whose_events_are_in_the_log_are_not_queued_again() {
    let (_source, engine) = filled().await;
    let (_folder, target) = target();
    back_up(&engine, &target).await;
    consume(&engine, true).await;
    back_up(&engine, &target).await;
    for (position, queued) in [(30, 3), (31, 2), (32, 1), (33, 0)] {
        let (_place, restored, report) = restored_until(&target, position).await;
        assert_eq!(
            (report.queued, report.finished_messages),
            (queued, if queued == 0 { 0 } else { 3 - queued })
        );
        assert_eq!((report.ledger.recorded, report.ledger.parked), (position, 2));
        assert_eq!(report.state.unwrap().position, if position == 33 { 33 } else { 30 });
        // Handling the queued messages leads to the same orders as in the source.
        if queued > 0 {
            consume(&restored, true).await;
        }
        assert_consistent(&restored).await;
        let (found, expected) = (comparable(&restored), comparable(&engine));
        assert_eq!(found["orders"].keys().collect::<Vec<_>>(), expected["orders"].keys().collect::<Vec<_>>());
        assert_eq!(found["meta"][keyspaces::LEDGER], expected["meta"][keyspaces::LEDGER]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_whose_events_are_in_the_log_are_left_out() {
    let (source, engine) = filled().await;
    let (_folder, target) = target();
    consume(&engine, true).await;
    back_up(&engine, &target).await;
    redrive(&engine).await;
    assert_eq!(engine.dead_letter_count(), 0);
    let engine = reopen(&source, engine, true);
    publish(&engine, &[created("later")]).await;
    back_up(&engine, &target).await;
    // Position 34 has the event of the first dead letter. The state is as of position 33.
    let (_place, restored, report) = restored_until(&target, 34).await;
    assert_eq!((report.dead_letters, report.finished_dead_letters), (1, 1));
    assert_eq!((report.ledger.parked, report.ledger.recorded), (1, 34));
    let sequence = DeadLetterStore::sequence(&restored, &order_id(11), 10).await.unwrap();
    assert_eq!(sequence.letters.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["l-2"]);
    let (_place, restored, report) = restored_until(&target, 33).await;
    assert_eq!((report.dead_letters, report.finished_dead_letters), (2, 0));
    redrive(&restored).await;
    assert_consistent(&restored).await;
    let (_place, restored, report) = restored_until(&target, 35).await;
    assert_eq!((report.dead_letters, report.ledger.rejected), (0, 1));
    assert_same(&restored, &engine);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_event_whose_message_was_not_acknowledged_is_counted_once() {
    let (source, engine) = filled().await;
    let (_folder, target) = target();
    consume(&engine, false).await;
    let manifest = back_up(&engine, &target).await;
    assert_eq!((manifest.folder.ledger.recorded, manifest.events(), manifest.folder.queued), (30, 33, 3));
    assert!(!manifest.contradicts_ledger());
    let (_place, restored, report) = restored_until(&target, 33).await;
    assert_eq!((report.finished_messages, report.queued, report.ledger.recorded), (3, 0, 33));
    assert_eq!((report.ledger.accepted, report.ledger.duplicate), (35, 0));
    // The source receives the messages again, and finds that their events are recorded.
    let engine = reopen(&source, engine, false);
    consume(&engine, true).await;
    assert_eq!(comparable(&restored)["meta"], comparable(&engine)["meta"]);
    assert_eq!(comparable(&restored)["queue"], comparable(&engine)["queue"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn redriven_dead_letters_are_parked_again_if_the_queue_is_listed() {
    let (_source, engine) = filled().await;
    let (_folder, target) = target();
    let sequence = DeadLetterStore::sequence(&engine, &order_id(11), 10).await.unwrap();
    engine.dead_letters().replay(&sequence.letters).await.into_iter().for_each(|result| result.unwrap());
    back_up(&engine, &target).await;
    let place = TempDir::new().unwrap();
    let options_of_restore = RestoreOptions { queue: QueuedMessages::List, ..OPTIONS() };
    let (report, listed) = run_listing(&target, place.path(), options_of_restore).await.unwrap();
    assert_eq!((listed.len(), report.queued, report.ledger.parked, report.dead_letters), (3, 0, 2, 2));
    let restored = Embedded::open(place.path(), options()).unwrap();
    assert_consistent(&restored).await;
    redrive(&restored).await;
    assert_consistent(&restored).await;
    assert_eq!(restored.dead_letter_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_before_the_oldest_increment_has_only_the_log() {
    let (_source, engine) = filled().await;
    let (folder, target) = target();
    back_up(&engine, &target).await;
    consume(&engine, true).await;
    back_up(&engine, &target).await;
    fs::remove_file(folder.path().join("backup/manifests/0000000001.json")).unwrap();
    let (_place, _restored, report) = restored_until(&target, 31).await;
    assert!(report.state.is_none());
    assert_eq!((report.events, report.queued, report.dead_letters, report.ledger.accepted), (31, 0, 0, 31));
}
