//! Answers the queries of the API, and loads orders for the consumer ([`load`]).
//!
//! An order or a receipt consists of a few rows, which are usually in memory, and a filter rules out missing keys.
//! Orders and receipts are read on the thread of the request, because handing a read to another thread takes several
//! times as long. The first orders of a page ([`find`]) are read on the thread of the request too, because most of them
//! are in the [`order_cache`]. Reads that may be long take turns on the blocking pool.

mod find;
mod load;
mod order_cache;
mod past;
#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::sync::Arc;

use anyhow::Context;
use api::ports::{MAX_PARKED, OrderSnapshot, RejectionList, SharedOrder};
use domain::{CustomerId, EventId, EventType, OrderId, Receipt, RecordedEvent};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::dead_letters::DeadLetters;
use super::log::Log;
use super::queue::EmbeddedQueue;
use super::store::records::StoredReceipt;
use super::store::views::{ReadStore, View};
use super::store::{Store, keys};

pub(crate) use load::load;
use order_cache::OrderCache;

pub(crate) struct Reader {
    store: Arc<Store>,
    log: Arc<Log>,
    queue: Arc<EmbeddedQueue>,
    dead_letters: Arc<DeadLetters>,
    order_cache: OrderCache,
}

/// The parts of a queued event that its receipt shows.
#[derive(Deserialize)]
struct QueuedEvent {
    #[serde(rename = "type")]
    event_type: EventType,
    request_hash: Option<String>,
}

impl Reader {
    pub(crate) fn new(log: &Arc<Log>, queue: &Arc<EmbeddedQueue>, dead_letters: &Arc<DeadLetters>) -> Self {
        Self {
            store: Arc::clone(&log.store),
            log: Arc::clone(log),
            queue: Arc::clone(queue),
            dead_letters: Arc::clone(dead_letters),
            order_cache: OrderCache::new(&log.store.changes),
        }
    }

    pub(crate) fn order(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        let view = self.store.view();
        let Some(order) = self.log.order_in(&*view, order_id)? else { return Ok(None) };
        self.snapshot(&view, order.into()).map(Some)
    }

    fn snapshot(&self, view: &View, order: SharedOrder) -> anyhow::Result<OrderSnapshot> {
        let parked = self.dead_letters.sequence_length(view, &order.order_id, MAX_PARKED)?;
        Ok(OrderSnapshot { order, parked })
    }

    pub(crate) async fn events(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>> {
        let first = keys::log_key(order_id, after.saturating_add(1));
        let end = keys::log_key(order_id, u64::MAX);
        let log = Arc::clone(&self.log);
        let read = move || {
            let entries = log.store.view().range(&log.store.keys.log, first..=end).take(limit);
            entries.map(|entry| log.decode_entry(&entry.value()?)).collect()
        };
        self.store.read_turns.read(read).await
    }

    pub(crate) fn receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>> {
        // Reads the queue before the store. If the event leaves the queue between the two reads, the read of the store
        // finds the outcome of the event.
        let queued = self.queued_event(order_id, event_id)?;
        let stored = self.log.receipt_in(&*self.store.view(), order_id, event_id)?;
        let Some((event_type, outcome, request_hash, message)) = stored
            .map(|stored| (stored.event_type, Some(stored.outcome), stored.request_hash, stored.message))
            .or(queued.map(|queued| (queued.event_type, None, queued.request_hash, None)))
        else {
            return Ok(None);
        };
        Ok(Some(Receipt { order_id: order_id.clone(), event_id, event_type, outcome, request_hash, message }))
    }

    /// Reads the stored receipts of an order. The first event has none, and it is recorded.
    pub(crate) async fn rejections(
        &self,
        order_id: &OrderId,
        after: Option<EventId>,
        limit: usize,
    ) -> anyhow::Result<RejectionList> {
        let first = match after {
            Some(event_id) => Bound::Excluded(keys::receipt_key(order_id, event_id)),
            None => Bound::Included(keys::receipt_key(order_id, Uuid::nil().into())),
        };
        let last = Bound::Included(keys::receipt_key(order_id, Uuid::max().into()));
        let (log, order_id) = (Arc::clone(&self.log), order_id.clone());
        let read = move || {
            let rows = log.store.view().range(&log.store.keys.receipts, (first, last)).take(limit);
            let receipt = |row: fjall::Guard| {
                let (key, row) = row.into_inner()?;
                let (_, id) = key.split_last_chunk().context("the key of a receipt is malformed")?;
                let stored: StoredReceipt = serde_json::from_slice(&row).context("a stored receipt")?;
                Ok(Receipt {
                    order_id: order_id.clone(),
                    event_id: Uuid::from_bytes(*id).into(),
                    event_type: stored.event_type,
                    outcome: Some(stored.outcome),
                    request_hash: stored.request_hash,
                    message: stored.message,
                })
            };
            let examined = rows.map(receipt).collect::<anyhow::Result<Vec<_>>>()?;
            let is_full = examined.len() == limit;
            Ok(RejectionList::of(examined, is_full))
        };
        self.store.read_turns.read(read).await
    }

    fn queued_event(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<QueuedEvent>> {
        let body = self.queue.body_of(order_id, event_id)?;
        Ok(body.and_then(|body| serde_json::from_slice(&body).ok()))
    }

    pub(crate) fn creates_for(
        &self,
        order_id: &OrderId,
        event_id: EventId,
    ) -> anyhow::Result<Option<CustomerId>> {
        Ok(self.queue.body_of(order_id, event_id)?.and_then(|body| api::created_for(&body)))
    }

    /// Waits until the event has an outcome, but at most until `until`. Returns the receipt of the event.
    pub(crate) async fn settled(
        &self,
        order_id: &OrderId,
        event_id: EventId,
        until: Instant,
    ) -> anyhow::Result<Option<Receipt>> {
        let waiter = self.log.waiters.join(event_id);
        loop {
            // Registers for the signal before the read, so that an outcome right after the read is noticed.
            let notified = waiter.signal().notified();
            let receipt = self.receipt(order_id, event_id)?;
            let has_outcome = receipt.as_ref().is_some_and(|receipt| receipt.outcome.is_some());
            if has_outcome || timeout_at(until, notified).await.is_err() {
                return Ok(receipt);
            }
        }
    }
}
