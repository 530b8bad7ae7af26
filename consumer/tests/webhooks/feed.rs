//! A feed in memory. A test can append events while the feed is read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use consumer::webhooks::EventPayload;
use consumer::webhooks::ports::{EventSource, SourceEntry, SourcePage};
use domain::{CustomerId, EventId, EventType, OrderId, Subscription, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

use crate::setup::{clock, pause};

#[derive(Default)]
struct Log {
    /// The order and the version of each event; the position is the index plus 1.
    entries: Vec<(OrderId, u64)>,
    versions: HashMap<OrderId, u64>,
}

pub(crate) struct Feed {
    log: Mutex<Log>,
    end: watch::Sender<u64>,
    pages_read: AtomicUsize,
    /// A negative control: if set, the feed shows the even and the odd versions of an order as two orders.
    pub(crate) splits_orders: bool,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            log: Mutex::default(),
            end: watch::Sender::new(0),
            pages_read: AtomicUsize::default(),
            splits_orders: false,
        }
    }
}

pub(crate) fn event_id(order_id: &str, version: u64) -> EventId {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{order_id}/{version}").as_bytes()).into()
}

/// The type of an event. The first event of an order has a different type from all later events.
pub(crate) fn event_type(version: u64) -> EventType {
    if version == 1 { EventType::Created } else { EventType::Annotated }
}

impl Feed {
    pub(crate) fn append(&self, order_id: &str) {
        let mut log = self.log.lock().unwrap();
        let order_id = OrderId::parse(order_id).unwrap();
        let version = log.versions.entry(order_id.clone()).or_default();
        *version += 1;
        let version = *version;
        log.entries.push((order_id, version));
        self.end.send_replace(log.entries.len() as u64);
    }

    pub(crate) fn versions(&self) -> HashMap<OrderId, u64> {
        self.log.lock().unwrap().versions.clone()
    }

    pub(crate) fn pages_read(&self) -> usize {
        self.pages_read.load(Ordering::Relaxed)
    }

    fn shown(&self, order_id: &OrderId, version: u64) -> (OrderId, u64) {
        match self.splits_orders {
            true => {
                let part = OrderId::parse(&format!("{order_id}_{}", version % 2)).unwrap();
                (part, version.div_ceil(2))
            }
            false => (order_id.clone(), version),
        }
    }

    fn stored(&self, order_id: &OrderId, version: u64) -> (OrderId, u64) {
        match order_id.as_str().rsplit_once('_').filter(|_| self.splits_orders) {
            Some((order, "0")) => (OrderId::parse(order).unwrap(), version * 2),
            Some((order, _)) => (OrderId::parse(order).unwrap(), version * 2 - 1),
            None => (order_id.clone(), version),
        }
    }
}

#[async_trait]
impl EventSource for Feed {
    fn end(&self) -> u64 {
        *self.end.borrow()
    }

    async fn read(&self, _: &Subscription, after: u64, limit: usize) -> anyhow::Result<SourcePage> {
        pause().await;
        self.pages_read.fetch_add(1, Ordering::Relaxed);
        let log = self.log.lock().unwrap();
        let entries = log.entries.iter().enumerate().skip(after as usize).take(limit);
        let entries = entries.map(|(index, (order_id, version))| {
            let event_type = event_type(*version);
            let (order_id, version) = self.shown(order_id, *version);
            SourceEntry { position: index as u64 + 1, order_id, version, event_type }
        });
        let entries: Vec<_> = entries.collect();
        Ok(SourcePage { next: after + entries.len() as u64, entries })
    }

    async fn event(&self, order_id: &OrderId, version: u64) -> anyhow::Result<Option<Arc<EventPayload>>> {
        pause().await;
        let (order_id, version) = self.stored(order_id, version);
        let exists = self.log.lock().unwrap().versions.get(&order_id).is_some_and(|last| version <= *last);
        Ok(exists.then(|| {
            Arc::new(EventPayload {
                event_id: event_id(order_id.as_str(), version),
                event_type: Some(event_type(version)),
                recorded_at: clock(),
                body: format!("{order_id} {version}").into_bytes(),
            })
        }))
    }

    async fn is_of_customer(&self, order_id: &OrderId, customer_id: &CustomerId) -> anyhow::Result<bool> {
        Ok(order_id.as_str().starts_with(customer_id.as_str()))
    }

    async fn wait(&self, after: u64) {
        let _ = self.end.subscribe().wait_for(|end| *end > after).await;
    }

    fn time_at(&self, _: u64) -> Option<Timestamp> {
        Some(clock())
    }
}
