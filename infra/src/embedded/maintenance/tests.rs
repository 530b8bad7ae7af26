//! Tests the rebuild of a store in which a log entry is unreadable, a row is missing, or an order has no log.

use api::ports::EventPublisher;
use api::ports::export::{ExportFilter, LogExport};
use domain::OrderId;
use tempfile::TempDir;

use super::*;
use crate::embedded::Embedded;
use crate::embedded::store::keys;
use crate::embedded::testing::{created, open_inline};

/// An engine with the orders a, b and c.
pub(super) async fn three_orders() -> (TempDir, Embedded) {
    let (folder, engine) = open_inline();
    for order_id in ["a", "b", "c"] {
        assert!(engine.publish(&[created(order_id)]).await[0].is_ok());
    }
    (folder, engine)
}

#[tokio::test]
async fn an_unreadable_entry_is_reported_and_the_other_orders_are_corrected() {
    let (_folder, engine) = three_orders().await;
    let keys = &engine.store().keys;
    keys.log.insert(keys::log_key(&OrderId::parse("b").unwrap(), 1), b"noise").unwrap();
    keys.customers.clear().unwrap();

    let rebuilt = engine.rebuild(RebuildOptions::default(), &|_| ()).await.unwrap();
    assert_eq!((rebuilt.orders, rebuilt.events, rebuilt.differences.count), (3, 3, 2));
    assert_eq!(rebuilt.broken.count, 1);
    assert!(rebuilt.broken.examples[0].starts_with("order b: a log entry: "), "{rebuilt:?}");
    assert_eq!(keys.customers.iter().count(), 2);
    let mut export = engine.export(ExportFilter::default());
    let error = export.next().await.unwrap_err();
    assert!(format!("{error:#}").starts_with("order b: "), "{error:#}");
}

#[tokio::test]
async fn an_order_without_a_log_stays_listed_unless_orphans_are_removed() {
    let (_folder, engine) = three_orders().await;
    let keys = &engine.store().keys;
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
