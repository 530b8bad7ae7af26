//! Rebuilds of stores that do not agree with their logs.

use api::ports::EventPublisher;
use domain::{Currency, Envelope};

use super::super::Options;
use super::*;

/// An engine with the orders a, b and c.
async fn filled() -> (tempfile::TempDir, Embedded) {
    let folder = tempfile::TempDir::new().unwrap();
    let currency = Currency::parse("EUR").unwrap();
    let options = Options { inline: true, min_free_bytes: 0, ..Options::new(currency) };
    let engine = Embedded::open(folder.path(), options).unwrap();
    for (number, order_id) in ["a", "b", "c"].iter().enumerate() {
        let event = format!(
            r#"{{"type":"order_created","event_id":"0195f5a2-0000-7000-8000-00000000000{number}",
                "schema_version":1,"timestamp":"2026-11-23T10:00:00Z","correlation_id":"r",
                "data":{{"order_id":"{order_id}","customer_id":"c","total":2,"currency":"EUR",
                "items":[{{"sku":"s","quantity":1,"unit_price":2}}]}}}}"#
        );
        let event = Envelope::decode(event.as_bytes(), currency).unwrap();
        assert!(engine.publish(&[event]).await[0].is_ok());
    }
    (folder, engine)
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_reported_and_the_other_orders_are_put_right() {
    let (_folder, engine) = filled().await;
    let keys = &engine.0.keys;
    keys.log.insert(keys::log_key(&OrderId::parse("b").unwrap(), 1), b"noise").unwrap();
    keys.customers.clear().unwrap();

    let rebuilt = engine.rebuild(RebuildOptions::default(), &|_| ()).await.unwrap();
    assert_eq!((rebuilt.orders, rebuilt.events, rebuilt.differences.count), (3, 3, 2));
    assert_eq!(rebuilt.broken.count, 1);
    assert!(rebuilt.broken.examples[0].starts_with("order b: an entry of the log: "), "{rebuilt:?}");
    assert_eq!(keys.customers.iter().count(), 2);
    let error = engine.export(&mut Vec::new()).unwrap_err();
    assert!(format!("{error:#}").starts_with("order b: "), "{error:#}");
}

#[tokio::test]
async fn what_has_no_log_is_listed_and_stays_unless_it_is_asked_to_go() {
    let (_folder, engine) = filled().await;
    let keys = &engine.0.keys;
    keys.log.remove(keys::log_key(&OrderId::parse("b").unwrap(), 1)).unwrap();
    for _ in 0..2 {
        let rebuilt = engine.rebuild(RebuildOptions::default(), &|_| ()).await.unwrap();
        assert_eq!(rebuilt.orphans.examples, ["order b: it is in a list, but has no log"]);
        assert_eq!(keys.customers.iter().count(), 3);
    }
    let options = RebuildOptions { remove_orphans: true, ..RebuildOptions::default() };
    let rebuilt = engine.rebuild(options, &|_| ()).await.unwrap();
    assert_eq!((rebuilt.orphans.count, rebuilt.differences.count), (0, 1));
    assert_eq!(keys.customers.iter().count(), 2);
}
