//! What is stored of receives, and what a crash leaves of it. An engine that is dropped writes nothing more, so opening
//! its folder again is what a start after `kill -9` does.

use std::time::Duration;

use api::ports::EventPublisher;
use consumer::Disposition;
use consumer::ports::{Inbox, Message};
use domain::{Currency, Envelope};
use tempfile::TempDir;

use super::super::{Embedded, NewMessage, Options};
use crate::embedded::queue::index::MOST_HELD;

fn open(folder: &TempDir) -> Embedded {
    let options = Options { min_free_bytes: 0, max_receives: 3, ..Options::new(eur()) };
    Embedded::open(folder.path(), options).unwrap()
}

fn eur() -> Currency {
    Currency::parse("EUR").unwrap()
}

fn event(order_id: &str) -> Envelope {
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, order_id.as_bytes());
    let text = format!(
        r#"{{"type":"order_confirmed","event_id":"{id}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z",
            "correlation_id":"r","data":{{"order_id":"{order_id}"}}}}"#
    );
    Envelope::decode(text.as_bytes(), eur()).unwrap()
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

/// How many rows of receives there are: of many together, and alone.
fn rows(engine: &Embedded) -> (usize, usize) {
    (engine.0.keys.first_receives.len().unwrap(), engine.0.keys.receives.len().unwrap())
}

async fn ack(engine: &Embedded, message: &Message) {
    engine.ack(&[(message, &Disposition::Recorded(1))]).await.remove(0).unwrap();
}

#[tokio::test]
async fn a_crash_between_receive_and_ack_keeps_the_count() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    publish(&engine, &["a", "b", "c"]).await;
    let received = receive(&engine).await;
    assert_eq!(counts(&received), [1, 1, 1]);
    assert_eq!(rows(&engine), (1, 0), "one row before anything is handed out");
    ack(&engine, &received[1]).await;
    let first = received[0].first_received_at;

    drop(engine);
    let engine = open(&folder);
    assert_eq!(rows(&engine), (0, 2));
    publish(&engine, &["d"]).await;
    let mut again = receive(&engine).await;
    again.sort_by(|one, other| one.group.cmp(&other.group));
    assert_eq!(counts(&again), [2, 2, 1]);
    assert_eq!(again[0].first_received_at, first);
    assert_eq!(rows(&engine), (1, 2));

    drop(engine);
    let engine = open(&folder);
    assert_eq!(counts(&receive(&engine).await).iter().max(), Some(&3));
    drop(engine);
    let engine = open(&folder);
    assert_eq!(counts(&receive(&engine).await), [3], "the others were received as often as allowed");
    assert_eq!((engine.dead_letter_count(), engine.queue_depth()), (2, 1));
}

#[tokio::test]
async fn rows_of_receives_go_with_the_last_message_that_counts_by_them() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    publish(&engine, &["a", "b"]).await;
    let received = receive(&engine).await;
    ack(&engine, &received[0]).await;
    assert_eq!(rows(&engine), (1, 0));
    engine.retry(&[(&received[1], Duration::ZERO)]).await.remove(0).unwrap();
    let again = receive(&engine).await;
    assert_eq!((counts(&again), rows(&engine)), (vec![2], (0, 1)), "it counts by itself");
    ack(&engine, &again[0]).await;
    assert_eq!((rows(&engine), engine.queue_depth()), ((0, 0), 0));
}

#[tokio::test]
async fn a_message_is_the_same_from_memory_and_from_the_store() {
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
async fn what_is_not_held_is_read() {
    let folder = TempDir::new().unwrap();
    let engine = open(&folder);
    let size = MOST_HELD / 4;
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
    let options = Options {
        min_free_bytes: 0,
        max_receives: 1,
        visibility_timeout: Duration::ZERO,
        ..Options::new(eur())
    };
    let engine = Embedded::open(folder.path(), options).unwrap();
    let first = engine.0.keys.queue.iter().next().unwrap().key().unwrap();
    engine.0.keys.queue.insert(first, b"noise").unwrap();

    let received = receive(&engine).await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].group.as_deref(), Some("sound"));
    // Both were received as often as allowed now.
    assert!(receive(&engine).await.is_empty());
    assert_eq!((engine.queue_depth(), engine.dead_letter_count()), (1, 1));
}
