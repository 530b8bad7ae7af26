//! Lines of many letters: only as much of them is read as is needed.

use api::operations::{DeadLetterFilter, DeadLetterStore};
use api::ports::{EventPublisher, MAX_PARKED, OrderReader};
use consumer::ports::{LoadRequest, OrderLog};
use domain::{Currency, Envelope, EventId, Timestamp};
use uuid::Uuid;

use super::super::{Incoming, Options};
use super::*;

const LETTERS: usize = MAX_PARKED + 5;

fn event(number: usize, kind: &str, data: &str) -> Vec<u8> {
    let id = format!("0195f5a2-0000-7000-8000-{number:012}");
    format!(
        r#"{{"type":"{kind}","event_id":"{id}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z",
        "correlation_id":"r","data":{{"order_id":"o"{data}}}}}"#
    )
    .into_bytes()
}

/// An order that letters hold, by their ids in line.
async fn held() -> (tempfile::TempDir, Embedded, OrderId, Vec<String>) {
    let folder = tempfile::TempDir::new().unwrap();
    let currency = Currency::parse("EUR").unwrap();
    let options = Options { inline: true, min_free_bytes: 0, ..Options::new(currency) };
    let engine = Embedded::open(folder.path(), options).unwrap();
    let created =
        r#","customer_id":"c","total":2,"currency":"EUR","items":[{"sku":"s","quantity":1,"unit_price":2}]"#;
    let created = Envelope::decode(&event(0, "order_created", created), currency).unwrap();
    assert!(engine.publish(std::slice::from_ref(&created)).await[0].is_ok());
    let letter = |number: usize| {
        let at = Timestamp::parse(&format!("2026-11-23T10:{:02}:{:02}Z", number / 60, number % 60)).unwrap();
        let body = event(number, "order_confirmed", "");
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
async fn a_long_line_is_read_only_as_far_as_it_is_needed() {
    let (_folder, engine, order_id, ids) = held().await;
    let ids_of = |letters: &[DeadLetter]| letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>();
    assert_eq!(engine.order(&order_id).await.unwrap().unwrap().parked, MAX_PARKED as u64);
    for limit in [1, LETTERS - 1, LETTERS, LETTERS + 1] {
        let line = DeadLetterStore::sequence(&engine, &order_id, limit).await.unwrap();
        assert_eq!(ids_of(&line.letters), ids[..limit.min(LETTERS)]);
        assert_eq!(line.is_longer, limit < LETTERS);
    }
    let event_ids = vec![EventId::from(Uuid::nil()); 3];
    let wanted = LoadRequest { order_id: order_id.clone(), event_ids };
    let loaded = engine.load(&[wanted]).await.remove(0).unwrap();
    assert_eq!(loaded.parked, ids[..4], "one more than events that may take one out of the line");

    // The list goes from the end of the line to its beginning.
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
