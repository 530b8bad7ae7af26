//! Tests that an operation on a long parked sequence reads only the dead letters that it needs.

use api::operations::{DeadLetterFilter, DeadLetterStore};
use api::ports::{EventPublisher, MAX_PARKED, OrderReader};
use consumer::ports::{LoadRequest, OrderLog};
use domain::{DeadLetter, EventId, OrderId, ParkReason, Timestamp};
use tempfile::TempDir;
use uuid::Uuid;

use crate::embedded::testing::{confirmed, created, open_inline};
use crate::embedded::{Embedded, Incoming};

const LETTERS: usize = MAX_PARKED + 5;

/// An order with a parked sequence, and the ids of its dead letters.
async fn long_sequence() -> (TempDir, Embedded, OrderId, Vec<String>) {
    let (folder, engine) = open_inline();
    let created = created("o");
    assert!(engine.publish(std::slice::from_ref(&created)).await[0].is_ok());
    let letter = |number: usize| {
        let at = Timestamp::parse(&format!("2026-11-23T10:{:02}:{:02}Z", number / 60, number % 60)).unwrap();
        let body = confirmed("o", number as u128).encode();
        DeadLetter::new(format!("l-{number}"), body, ParkReason::TriesExhausted, "failed".to_owned(), at)
    };
    let letters: Vec<_> = (1..=LETTERS).map(letter).collect();
    let ids = letters.iter().map(|letter| letter.id.clone()).collect();
    let incoming = |letter: DeadLetter| Incoming { from: letter.id.clone(), letter, names_itself: true };
    let imported = engine.import(letters.into_iter().map(incoming).collect(), &|_| ()).await.unwrap();
    assert_eq!(imported.added, LETTERS as u64);
    (folder, engine, created.order_id, ids)
}

#[tokio::test]
async fn a_long_parked_sequence_is_read_only_as_far_as_needed() {
    let (_folder, engine, order_id, ids) = long_sequence().await;
    let ids_of = |letters: &[DeadLetter]| letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>();
    assert_eq!(engine.order(&order_id).await.unwrap().unwrap().parked, MAX_PARKED as u64);
    for limit in [1, LETTERS - 1, LETTERS, LETTERS + 1] {
        let line = DeadLetterStore::sequence(&engine, &order_id, limit).await.unwrap();
        assert_eq!(ids_of(&line.letters), ids[..limit.min(LETTERS)]);
        assert_eq!(line.is_longer, limit < LETTERS);
    }
    let event_ids = vec![EventId::from(Uuid::nil()); 3];
    let wanted = LoadRequest { order_id: order_id.clone(), event_ids, references: Vec::new() };
    let loaded = engine.load(&[wanted]).await.remove(0).unwrap();
    assert_eq!(loaded.parked, ids[..4], "a load reads one dead letter more than there are wanted events");

    // The list begins with the newest dead letter.
    let filter = DeadLetterFilter { order_id: Some(order_id), ..DeadLetterFilter::default() };
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let list = engine.letters(&filter, after.as_ref(), 50).await.unwrap();
        listed.extend(ids_of(&list.letters));
        after = list.next;
        if after.is_none() {
            break;
        }
    }
    listed.reverse();
    assert_eq!(listed, ids);
}
