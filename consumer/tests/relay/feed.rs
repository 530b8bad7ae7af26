//! A feed and customers in memory. The tests of the relay append to this feed.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use consumer::relay::{CustomerLookup, FeedEntry, FeedSink, Relay, StreamEntry};
use domain::{CustomerId, OrderId, Timestamp};
use tokio::sync::Notify;

pub(crate) fn entry(order: &str, version: u64) -> StreamEntry {
    StreamEntry {
        order_id: OrderId::parse(order).unwrap(),
        version,
        event_type: "order_paid".to_owned(),
        recorded_at: Timestamp::from_micros(0).unwrap(),
        customer_id: None,
        json: String::new(),
    }
}

/// A feed that keeps all entries in memory, and can refuse the entries of an order.
#[derive(Default)]
pub(crate) struct Feed {
    entries: Mutex<Vec<(String, u64)>>,
    pub(crate) refused: Mutex<Option<String>>,
    changed: Notify,
}

impl Feed {
    pub(crate) fn entries(&self) -> Vec<(String, u64)> {
        self.entries.lock().unwrap().clone()
    }

    pub(crate) async fn has(&self, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.entries.lock().unwrap().len() >= count {
                return;
            }
            changed.await;
        }
    }
}

#[async_trait]
impl FeedSink for Feed {
    async fn append(&self, entries: &[FeedEntry]) -> Vec<anyhow::Result<()>> {
        let refused = self.refused.lock().unwrap().clone();
        let results = entries.iter().map(|entry| {
            let order = entry.order_id.as_str().to_owned();
            anyhow::ensure!(Some(&order) != refused.as_ref(), "refused");
            self.entries.lock().unwrap().push((order, entry.version));
            Ok(())
        });
        let results = results.collect();
        self.changed.notify_waiters();
        results
    }
}

struct Customers;

#[async_trait]
impl CustomerLookup for Customers {
    async fn customers(&self, orders: &[OrderId]) -> anyhow::Result<Vec<(OrderId, CustomerId)>> {
        let customer = CustomerId::parse("c").unwrap();
        Ok(orders
            .iter()
            .filter(|id| id.as_str() != "unknown")
            .map(|id| (id.clone(), customer.clone()))
            .collect())
    }
}

pub(crate) fn relay(feed: &Arc<Feed>) -> Arc<Relay> {
    let feed: Arc<dyn FeedSink> = Arc::<Feed>::clone(feed);
    Arc::new(Relay::new(Arc::new(Customers), || Timestamp::from_micros(0).unwrap()).with_feed(feed))
}
