//! Tests that lists always show the current state of orders, although they read orders from the cache.

use std::sync::atomic::{AtomicU64, Ordering};

use api::ports::{EventPublisher, OrderFilter, OrderList, OrderReader};
use domain::{CustomerId, Envelope, OrderStatus};
use uuid::Uuid;

use crate::embedded::Embedded;
use crate::embedded::testing::{confirmed, created, eur, open_inline};

fn annotated(order_id: &str, number: u128) -> Envelope {
    let event = format!(
        r#"{{"type":"order_annotated","event_id":"{}","schema_version":2,"timestamp":"2026-11-23T10:00:00Z",
            "data":{{"order_id":"{order_id}","metadata":{{"number":"{number}"}}}}}}"#,
        Uuid::from_u128(number)
    );
    Envelope::decode(event.as_bytes(), eur()).unwrap()
}

async fn publish(engine: &Embedded, event: Envelope) {
    assert!(engine.publish(&[event]).await[0].is_ok());
}

async fn list(engine: &Embedded, filter: OrderFilter, limit: usize) -> OrderList {
    let filter = OrderFilter { customer_id: Some(CustomerId::parse("c").unwrap()), ..filter };
    engine.find_orders(&filter, None, limit).await.unwrap()
}

async fn only_version(engine: &Embedded) -> u64 {
    list(engine, OrderFilter::default(), 20).await.orders[0].order.version
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_list_never_shows_an_older_version_than_was_acknowledged_or_listed() {
    const EVENTS: u64 = 300;
    let (_folder, engine) = open_inline();
    publish(&engine, created("o")).await;
    let acknowledged = AtomicU64::new(1);
    let write = async {
        for version in 2..=EVENTS {
            publish(&engine, annotated("o", u128::from(version))).await;
            acknowledged.store(version, Ordering::SeqCst);
            assert!(only_version(&engine).await >= version);
        }
    };
    // Each reader runs in a separate task, and fills the cache while the order changes.
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move {
                let mut latest = 0;
                while latest < EVENTS {
                    let version = only_version(&engine).await;
                    assert!(version >= latest, "version {version} was listed after version {latest}");
                    latest = version;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let check = async {
        loop {
            let before = acknowledged.load(Ordering::SeqCst);
            let listed = only_version(&engine).await;
            assert!(listed >= before, "version {listed} was listed after version {before} was acknowledged");
            if listed == EVENTS {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(write, check);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn an_order_that_was_read_before_a_change_is_not_shown_after_it() {
    let (_folder, engine) = open_inline();
    publish(&engine, created("o")).await;
    let reader = &engine.0.reader;
    let (before, order_id) = (reader.store.view(), created("o").order_id);
    publish(&engine, confirmed("o", 7)).await;
    // A slow reader, which has read the order in the old view, tries to cache the outdated order.
    let old = reader.log.order_in(&*before, &order_id).unwrap().unwrap().into();
    reader.order_cache.keep(&old, before.commit);
    assert_eq!(old.version, 1);
    assert!(reader.order_cache.get(&order_id).is_none());
    assert_eq!(only_version(&engine).await, 2);
    assert_eq!(reader.order_cache.get(&order_id).unwrap().version, 2);
    // Two reads of the cache return one shared value, so the JSON of the order is encoded only once.
    let [first, second] =
        [0; 2].map(|_| reader.order_cache.get(&order_id).map(|order| std::ptr::from_ref(&*order)).unwrap());
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_long_page_is_read_in_two_parts_without_a_gap() {
    let (_folder, engine) = open_inline();
    let ids: Vec<_> = (0..60).map(|number| format!("o-{number:02}")).collect();
    for id in &ids {
        publish(&engine, created(id)).await;
    }
    publish(&engine, confirmed("o-03", 1)).await;
    publish(&engine, confirmed("o-58", 2)).await;
    let newest_first: Vec<_> = ids.iter().rev().map(String::as_str).collect();
    for limit in [1, 24, 25, 26, 59, 60, 61] {
        let page = list(&engine, OrderFilter::default(), limit).await;
        let listed: Vec<_> = page.orders.iter().map(|it| it.order.order_id.as_str()).collect();
        assert_eq!(listed, newest_first[..limit.min(60)], "{limit}");
        assert_eq!(
            page.next.map(|next| next.order_id.to_string()),
            (limit < 60).then(|| listed[limit - 1].to_owned())
        );
    }
    let confirmed = OrderFilter { status: Some(OrderStatus::Confirmed), ..OrderFilter::default() };
    let page = list(&engine, confirmed, 2).await;
    let listed: Vec<_> = page.orders.iter().map(|it| it.order.order_id.as_str()).collect();
    assert_eq!(listed, ["o-58", "o-03"]);
}
