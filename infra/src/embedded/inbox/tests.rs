//! Tests which receive counts are stored, and which counts survive a crash. A dropped engine writes nothing more, so
//! opening its folder again is like a start after `kill -9`.

use std::time::Duration;

use api::ports::EventPublisher;
use consumer::Disposition;
use consumer::ports::{Inbox, Message};
use domain::Envelope;
use tempfile::TempDir;

use crate::embedded::queue::index::MAX_HELD_BYTES;
use crate::embedded::testing::{confirmed, eur, event_id, options};
use crate::embedded::{Embedded, NewMessage, Options};

fn open(folder: &TempDir) -> Embedded {
    Embedded::open(folder.path(), Options { max_receives: 3, ..options() }).unwrap()
}

fn event(order_id: &str) -> Envelope {
    confirmed(order_id, event_id(order_id).as_u128())
}

async fn publish(engine: &Embedded, orders: &[&str]) {
    let events: Vec<_> = orders.iter().map(|order_id| event(order_id)).collect();
    engine.publish(&events).await.into_iter().for_each(|result| {
        result.unwrap();
    });
}

async fn receive(engine: &Embedded) -> Vec<Message> {
    engine.receive(10, Duration::ZERO).await.unwrap()
}

fn counts(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|message| message.receive_count).collect()
}

/// The numbers of rows with receive counts: rows that count a whole delivery, and rows that count a single message.
fn receive_rows(engine: &Embedded) -> (usize, usize) {
    let keys = &engine.store().keys;
    (keys.first_receives.len().unwrap(), keys.receives.len().unwrap())
}

async fn ack(engine: &Embedded, message: &Message) {
    engine.ack(&[(message, &Disposition::Recorded(1))]).await.remove(0).unwrap();
}

#[tokio::test]
async fn a_crash_between_receive_and_ack_keeps_the_receive_count() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    publish(&engine, &["a", "b", "c"]).await;
    let received = receive(&engine).await;
    assert_eq!(counts(&received), [1, 1, 1]);
    assert_eq!(receive_rows(&engine), (1, 0), "one row, committed before the messages are returned");
    ack(&engine, &received[1]).await;
    let first = received[0].first_received_at;

    drop(engine);
    let engine = open(&folder);
    assert_eq!(receive_rows(&engine), (0, 2));
    publish(&engine, &["d"]).await;
    let mut again = receive(&engine).await;
    again.sort_by(|one, other| one.group.cmp(&other.group));
    assert_eq!(counts(&again), [2, 2, 1]);
    assert_eq!(again[0].first_received_at, first);
    assert_eq!(receive_rows(&engine), (1, 2));

    drop(engine);
    let engine = open(&folder);
    assert_eq!(counts(&receive(&engine).await).iter().max(), Some(&3));
    drop(engine);
    let engine = open(&folder);
    assert_eq!(
        counts(&receive(&engine).await),
        [3],
        "the other messages were received the maximum number of times, and are parked"
    );
    assert_eq!((engine.dead_letter_count(), engine.queue_depth()), (2, 1));
}

#[tokio::test]
async fn a_row_of_receives_is_removed_with_the_last_message_that_it_counts() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    publish(&engine, &["a", "b"]).await;
    let received = receive(&engine).await;
    ack(&engine, &received[0]).await;
    assert_eq!(receive_rows(&engine), (1, 0));
    engine.retry(&[(&received[1], Duration::ZERO)]).await.remove(0).unwrap();
    let again = receive(&engine).await;
    assert_eq!(
        (counts(&again), receive_rows(&engine)),
        (vec![2], (0, 1)),
        "a message that is received again has its own row"
    );
    ack(&engine, &again[0]).await;
    assert_eq!((receive_rows(&engine), engine.queue_depth()), ((0, 0), 0));
}

#[tokio::test]
async fn a_message_from_memory_equals_the_one_from_the_store() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    publish(&engine, &["a"]).await;
    let held = receive(&engine).await.remove(0);
    assert_eq!(held.event.as_deref(), Some(&event("a")));
    engine.retry(&[(&held, Duration::ZERO)]).await.remove(0).unwrap();
    let stored = receive(&engine).await.remove(0);
    let expected = Message { event: None, receive_count: 2, handle: stored.handle.clone(), ..held };
    assert_eq!(stored, expected);
    assert_eq!(Envelope::decode(&stored.body, eur()), Ok(event("a")));
}

#[tokio::test]
async fn a_message_that_is_not_held_is_read_from_the_store() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    let size = MAX_HELD_BYTES / 4;
    for number in 0..5_u8 {
        let (group, deduplication_id) = (number.to_string(), number.to_string());
        let body = vec![number; size];
        engine.send(vec![NewMessage { group, deduplication_id, body }]).await.unwrap();
    }
    let received = receive(&engine).await;
    assert_eq!(received.len(), 5);
    for (number, message) in (0..).zip(&received) {
        assert!(message.body.len() == size && message.body.iter().all(|byte| *byte == number));
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_holds_up_no_other() {
    let folder = TempDir::new().unwrap();
    publish(&open(&folder), &["broken", "sound"]).await;
    let options = Options { max_receives: 1, visibility_timeout: Duration::ZERO, ..options() };
    let engine = Embedded::open(folder.path(), options).unwrap();
    let queue = &engine.store().keys.queue;
    let first = queue.iter().next().unwrap().key().unwrap();
    queue.insert(first, b"noise").unwrap();

    let received = receive(&engine).await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].group.as_deref(), Some("sound"));
    // Both messages have been received the maximum number of times, so none is delivered.
    assert!(receive(&engine).await.is_empty());
    assert_eq!((engine.queue_depth(), engine.dead_letter_count()), (1, 1));
}
