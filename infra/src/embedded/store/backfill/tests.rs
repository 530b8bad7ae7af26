//! Tests backfills that are interrupted, and backfills after the searchable keys have changed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use api::ports::{EventPublisher, OrderFilter, OrderReader};
use domain::{Envelope, Event, Metadata};

use super::*;
use crate::embedded::maintenance::RebuildOptions;
use crate::embedded::store::writer::Durability;
use crate::embedded::testing::{confirmed, created, open_inline, options};
use crate::embedded::{Embedded, Options};

const ORDERS: usize = 3 * EVENTS_OF_COMMIT as usize;

/// Opens the folder, but stops the backfill once it has processed `limit` events. Returns the number of events that
/// earlier calls had processed, or `u64::MAX` if no backfill was due.
fn open_until(path: &Path, limit: u64) -> (u64, Option<Embedded>) {
    let first = Cell::new(None);
    let progress = |BackfillProgress { task, events, .. }| {
        if task != BackfillTask::Indexes {
            return ControlFlow::Continue(());
        }
        first.set(first.get().or(Some(events)));
        if events < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let opened = Embedded::open_showing(path, options(), &progress);
    if let Err(error) = &opened {
        assert!(error.to_string().contains("the next start continues"), "{error}");
    }
    (first.get().unwrap_or(u64::MAX), opened.ok())
}

async fn publish(engine: &Embedded, events: &[Envelope]) {
    for result in engine.publish(events).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_backfill_that_is_stopped_continues_where_it_was_and_fills_everything() {
    let (folder, engine) = open_inline();
    let events: Vec<_> = (0..ORDERS).map(|number| created(&format!("order-{number}"))).collect();
    publish(&engine, &events).await;
    publish(&engine, &[confirmed("order-7", 7)]).await;
    // `order-3` has one event and a projection, as written by early versions of this program. `order-7` has a
    // projection of an earlier schema.
    let log = Arc::clone(&engine.0.log);
    let as_in_format_4 = move |stage: &mut Stage| {
        let keys = &log.store.keys;
        for order_id in ["order-3", "order-7"] {
            stage.put(&keys.orders, order_id, b"{}");
        }
        for keyspace in [&keys.by_status, &keys.by_update, &keys.feed] {
            keyspace.iter().for_each(|row| stage.remove(keyspace, row.key().unwrap()));
        }
        Ok(())
    };
    engine.store().writer.write(Durability::Synced, as_in_format_4).await.unwrap();
    drop(engine);
    fs::write(folder.path().join("FORMAT"), "orders data folder, format 4\n").unwrap();

    let mut begins = Vec::new();
    let engine = loop {
        let limit = 1 + EVENTS_OF_COMMIT * begins.len() as u64;
        let (begin, opened) = open_until(folder.path(), limit);
        begins.push(begin);
        if let Some(engine) = opened {
            break engine;
        }
        let format = fs::read_to_string(folder.path().join("FORMAT")).unwrap();
        assert_eq!(
            format, "orders data folder, format 6\n",
            "an earlier version of the program could write to the folder"
        );
    };
    assert!(begins.len() > 3 && begins.is_sorted(), "{begins:?}");
    assert!(begins[2..].iter().all(|begin| *begin >= EVENTS_OF_COMMIT), "{begins:?}");
    let check = RebuildOptions { check_only: true, ..RebuildOptions::default() };
    let checked = engine.rebuild(check, &|_| ()).await.unwrap();
    assert_eq!((checked.orders, checked.differences.count), (ORDERS as u64, 0), "{:?}", checked.differences);
    let keys = &engine.store().keys;
    assert_eq!((keys.by_status.iter().count(), keys.by_update.iter().count()), (ORDERS, 1));
    assert!(!keys.orders.contains_key("order-3").unwrap());
    drop(engine);
    assert_eq!(open_until(folder.path(), 1).0, u64::MAX, "the backfill is complete, so none is due");
}

#[tokio::test]
async fn keys_that_become_searchable_later_find_earlier_orders() {
    let (folder, engine) = open_inline();
    let with_channel = |order_id: &str, channel: &str| {
        let mut envelope = created(order_id);
        if let Event::Created(created) = &mut envelope.event {
            let entries = BTreeMap::from([("channel".to_owned(), channel.to_owned())]);
            created.metadata = Metadata::parse(entries).unwrap();
        }
        envelope
    };
    publish(&engine, &[with_channel("a", "web"), with_channel("b", "shop")]).await;
    let by_channel = OrderFilter {
        metadata: BTreeMap::from([("channel".to_owned(), "web".to_owned())]),
        ..OrderFilter::default()
    };
    assert!(engine.find_orders(&by_channel, None, 9).await.is_err());
    drop(engine);
    for (declared, found) in [(Some(vec!["channel"]), Some(2)), (None, Some(2)), (Some(vec![]), None)] {
        let searchable_metadata = declared.map(|keys| keys.into_iter().map(str::to_owned).collect());
        let options = Options { inline: true, searchable_metadata, ..options() };
        let engine = Embedded::open(folder.path(), options).unwrap();
        publish(&engine, &[with_channel("c", "web")]).await;
        let list = engine.find_orders(&by_channel, None, 9).await.ok();
        assert_eq!(list.map(|list| list.orders.len()), found);
        assert_eq!(engine.store().keys.by_metadata.iter().count(), found.map_or(0, |_| 3));
        let rebuilt = engine.rebuild(RebuildOptions::default(), &|_| ()).await.unwrap();
        assert_eq!(rebuilt.differences.count, 0, "{:?}", rebuilt.differences);
    }
}
