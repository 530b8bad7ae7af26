use std::path::{Path, PathBuf};

use api::ports::OrderReader;

use super::super::Options;
use super::*;

fn event(number: u128) -> Envelope {
    let id = Uuid::from_u128(number);
    let text = format!(
        r#"{{"type":"order_confirmed","event_id":"{id}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z",
            "correlation_id":"r","data":{{"order_id":"o"}}}}"#
    );
    Envelope::decode(text.as_bytes(), domain::Currency::parse("EUR").unwrap()).unwrap()
}

#[tokio::test]
async fn events_are_refused_while_the_queue_is_too_deep() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = |max_queue_depth| Options {
        max_queue_depth,
        min_free_bytes: 0,
        ..Options::new(domain::Currency::parse("EUR").unwrap())
    };
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
    assert!(engine.publish(&[event(3)]).await[0].is_ok(), "without a bound it takes more");
}

/// Makes every sync of the store below `folder` fail from now on: where the next journal would be, there is a folder. Returns
/// that.
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
    panic!("there is no journal");
}

#[tokio::test]
async fn an_event_whose_sync_fails_is_in_doubt_and_what_comes_after_is_not_accepted() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = || Options { min_free_bytes: 0, ..Options::new(domain::Currency::parse("EUR").unwrap()) };
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
    // Here the system did write what it could not be made to sync.
    assert_eq!(found, [true, true, true, false]);
}

#[tokio::test]
async fn of_events_with_one_id_that_come_together_the_first_is_new() {
    for inline in [false, true] {
        let folder = tempfile::TempDir::new().unwrap();
        let eur = domain::Currency::parse("EUR").unwrap();
        let options = Options { min_free_bytes: 0, inline, ..Options::new(eur) };
        let engine = Embedded::open(folder.path(), options).unwrap();
        let text = r#"{"type":"order_created","event_id":"0195f5a2-0000-7000-8000-000000000001","schema_version":1,
            "timestamp":"2026-11-23T10:00:00Z","correlation_id":"r","request_hash":"00","data":{"order_id":"o",
            "customer_id":"c","total":2,"currency":"EUR","items":[{"sku":"s","quantity":1,"unit_price":2}]}}"#;
        let event = [Envelope::decode(text.as_bytes(), eur).unwrap()];
        let mut publishing = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (engine, event) = (engine.clone(), event.clone());
            publishing.spawn(async move { engine.publish(&event).await });
        }
        let results: Vec<_> = publishing.join_all().await.into_iter().flatten().collect();
        let new = results.iter().filter(|result| matches!(result, Ok(Acceptance::New))).count();
        let repeated = results.iter().filter(|result| matches!(result, Ok(Acceptance::Repeated))).count();
        assert_eq!((new, repeated), (1, 19), "{results:?}");
        let accepted = engine.books().ledger;
        assert_eq!((accepted.accepted, accepted.duplicate), (20, 19));
    }
}
