//! Reads the recorded events for the dispatcher. A page of the feed is read with the payloads of its events. Payloads
//! stay in memory for a while, so that subscriptions at about the same place in the feed read and encode each event
//! only once.
//!
//! The dispatcher has a separate thread, so its reads may block the thread. The reads [give way](pace) to requests
//! after every event. So they do not take read turns: a request would wait for its turn while a read of the dispatcher
//! sleeps.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::ports::feed::FeedFilter;
use async_trait::async_trait;
use consumer::webhooks::EventPayload;
use consumer::webhooks::ports::{EventSource, SourceEntry, SourcePage};
use domain::{CustomerId, OrderId, RecordedEvent, Subscription, Timestamp};
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};
use tokio::time::Instant;

use super::{EmbeddedWebhooks, pace};
use crate::embedded::feed::ReadLimits;
use crate::embedded::store::feed::FeedMask;
use crate::embedded::store::feed::decode::FeedEntry;
use crate::embedded::store::views::View;

/// The maximum total size of the cached payloads, in bytes.
const CAPACITY_BYTES: u64 = 16 << 20;
const USUAL_PAYLOAD_BYTES: u64 = 1024;
/// The approximate size of a cache entry without its payload, in bytes.
const ENTRY_BYTES: u64 = 200;
/// The maximum number of entries that one read of the feed examines, and the maximum size of their log entries in
/// bytes.
const MAX_EXAMINED: usize = 10_000;
const MAX_READ_BYTES: usize = 4 << 20;
/// The number of orders whose customer is kept in memory.
const MAX_CUSTOMERS: usize = 10_000;
/// The maximum time of one wait for events. After that time, the reader waits again.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The payloads that were delivered recently. An event never changes, so neither does its payload.
pub(super) struct PayloadCache(Cache<(OrderId, u64), Arc<EventPayload>, ByBytes, RandomState>);

/// The customers of orders whose events were filtered recently.
pub(super) type CustomerCache = Cache<OrderId, CustomerId, quick_cache::UnitWeighter, RandomState>;

pub(super) fn customer_cache() -> CustomerCache {
    let (size, weight) = (MAX_CUSTOMERS, MAX_CUSTOMERS as u64);
    Cache::with(size, weight, quick_cache::UnitWeighter, RandomState::default(), DefaultLifecycle::default())
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<(OrderId, u64), Arc<EventPayload>> for ByBytes {
    fn weight(&self, _: &(OrderId, u64), payload: &Arc<EventPayload>) -> u64 {
        ENTRY_BYTES + payload.body.len() as u64
    }
}

impl PayloadCache {
    pub(super) fn new() -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity((CAPACITY_BYTES / USUAL_PAYLOAD_BYTES) as usize)
            .weight_capacity(CAPACITY_BYTES)
            .build()
            .expect("both capacities are given");
        Self(Cache::with_options(options, ByBytes, RandomState::default(), DefaultLifecycle::default()))
    }

    pub(super) fn get(&self, key: &(OrderId, u64)) -> Option<Arc<EventPayload>> {
        self.0.get(key)
    }
}

#[async_trait]
impl EventSource for EmbeddedWebhooks {
    fn end(&self) -> u64 {
        self.engine.0.feed.end()
    }

    async fn read(
        &self,
        subscription: &Subscription,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<SourcePage> {
        let filter =
            FeedFilter { types: subscription.types.clone(), customer_id: subscription.customer_id.clone() };
        let limits = ReadLimits { events: limit, examined: MAX_EXAMINED, bytes: MAX_READ_BYTES };
        let take = |view: &View, entry: &FeedEntry<'_>| self.source_entry(view, entry);
        let slice = self.engine.0.feed.scan(FeedMask::of(&filter), after, limits, take)?;
        Ok(SourcePage { entries: slice.records, next: slice.next })
    }

    async fn event(&self, order_id: &OrderId, version: u64) -> anyhow::Result<Option<Arc<EventPayload>>> {
        pace::give_way();
        self.payload(order_id, version)
    }

    async fn is_of_customer(&self, order_id: &OrderId, customer_id: &CustomerId) -> anyhow::Result<bool> {
        if let Some(known) = self.customers.get(order_id) {
            return Ok(known == *customer_id);
        }
        // The customer of an order never changes.
        let Some(customer) = self.customer_of(order_id)? else { return Ok(false) };
        let is_same = customer == *customer_id;
        self.customers.insert(order_id.clone(), customer);
        Ok(is_same)
    }

    async fn wait(&self, after: u64) {
        if self.end() > after {
            return;
        }
        self.engine.0.feed.wait(FeedMask::ALL, after, Instant::now() + MAX_WAIT).await;
    }

    fn time_at(&self, position: u64) -> Option<Timestamp> {
        self.engine.0.feed.time_at(position).ok().flatten()
    }
}

impl EmbeddedWebhooks {
    /// The payload of a synced event. `None` if there is no such event.
    pub(super) fn payload(
        &self,
        order_id: &OrderId,
        version: u64,
    ) -> anyhow::Result<Option<Arc<EventPayload>>> {
        let key = (order_id.clone(), version);
        if let Some(payload) = self.payloads.get(&key) {
            return Ok(Some(payload));
        }
        let (view, log) = (self.engine.0.store.view(), &self.engine.0.log);
        let Some(event) = log.event_in(&*view, order_id, version)? else { return Ok(None) };
        self.encode(key, event).map(Some)
    }

    /// Makes an entry for the dispatcher. Also returns the size of the event's payload, which is put into the cache.
    fn source_entry(
        &self,
        view: &View,
        entry: &FeedEntry<'_>,
    ) -> anyhow::Result<Option<(SourceEntry, usize)>> {
        pace::give_way();
        let (position, version, order_id) = (entry.position, entry.version, entry.order_id()?);
        let known = self.payloads.get(&(order_id.clone(), version));
        let payload = match known {
            Some(payload) => payload,
            None => {
                let Some(record) = self.engine.0.feed.record(view, entry)? else { return Ok(None) };
                let event = self.engine.0.feed.decode(&record)?;
                self.encode((order_id.clone(), version), event)?
            }
        };
        let event_type = payload.event_type.context("a recorded event has no type")?;
        Ok(Some((SourceEntry { position, order_id, version, event_type }, payload.body.len())))
    }

    fn encode(&self, key: (OrderId, u64), event: RecordedEvent) -> anyhow::Result<Arc<EventPayload>> {
        let payload = EventPayload::of(&self.source, event).context("a payload cannot be encoded")?;
        let payload = Arc::new(payload);
        self.payloads.0.insert(key, Arc::clone(&payload));
        Ok(payload)
    }

    /// The customer of an order, or `None` if the order does not exist.
    pub(super) fn customer_of(&self, order_id: &OrderId) -> anyhow::Result<Option<CustomerId>> {
        self.engine.0.log.customer_of(&*self.engine.0.store.view(), order_id)
    }
}
