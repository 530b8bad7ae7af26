//! The order log, and the projection and receipts that belong to it. The publisher, the reader and the dead letters
//! share the [`Log`]. [`append`] and [`import`] write to the log, and [`waiters`] wakes requests that wait for an
//! outcome.

pub(crate) mod append;
mod import;
pub(crate) mod waiters;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use domain::{Currency, CustomerId, Event, EventId, Order, OrderId, RecordedEvent, Reference};

use super::store::records::{self, StoredReceipt};
use super::store::views::ReadStore;
use super::store::{Store, keys};
use waiters::OutcomeWaiters;

pub(crate) struct Log {
    pub(crate) store: Arc<Store>,
    pub(crate) default_currency: Currency,
    pub(crate) waiters: OutcomeWaiters,
    /// The keys of the metadata that have an index.
    pub(crate) searchable: Arc<BTreeSet<String>>,
}

impl Log {
    pub(crate) fn new(
        store: &Arc<Store>,
        default_currency: Currency,
        searchable: Arc<BTreeSet<String>>,
    ) -> Self {
        Self { store: Arc::clone(store), default_currency, waiters: OutcomeWaiters::default(), searchable }
    }

    /// The order as of its latest event. The stored projection may be older than the log after a crash, and an order
    /// with one event has no projection. So this function also folds the events that the projection does not contain
    /// yet. A projection is never newer than the log.
    pub(crate) fn order_in(
        &self,
        state: &impl ReadStore,
        order_id: &OrderId,
    ) -> anyhow::Result<Option<Order>> {
        let projected = state.get(&self.store.keys.orders, order_id.as_str())?;
        let mut order: Option<Order> = projected
            .map(|row| {
                serde_json::from_slice(&row).with_context(|| format!("the projection of order {order_id}"))
            })
            .transpose()?;
        loop {
            let next = order.as_ref().map_or(1, |order| order.version + 1);
            let Some(event) = self.event_in(state, order_id, next)? else { return Ok(order) };
            order =
                Some(Order::apply(order, &event).with_context(|| format!("the log of order {order_id}"))?);
        }
    }

    /// The log entry of an order at `version`.
    pub(crate) fn event_in(
        &self,
        state: &impl ReadStore,
        order_id: &OrderId,
        version: u64,
    ) -> anyhow::Result<Option<RecordedEvent>> {
        let entry = state.get(&self.store.keys.log, keys::log_key(order_id, version))?;
        entry.map(|entry| self.decode_entry(&entry)).transpose()
    }

    /// The customer of an order, or `None` if the order does not exist. Only the first event of an order contains the
    /// customer.
    pub(crate) fn customer_of(
        &self,
        state: &impl ReadStore,
        order_id: &OrderId,
    ) -> anyhow::Result<Option<CustomerId>> {
        Ok(match self.event_in(state, order_id, 1)?.map(|first| first.envelope.event) {
            Some(Event::Created(created)) => Some(created.customer_id),
            _ => None,
        })
    }

    pub(crate) fn decode_entry(&self, entry: &[u8]) -> anyhow::Result<RecordedEvent> {
        let (event, _) = records::split_log_entry(entry);
        RecordedEvent::decode(event, self.default_currency).context("a log entry")
    }

    /// The order that has `reference`.
    pub(crate) fn reference_holder(
        &self,
        state: &impl ReadStore,
        reference: &Reference,
    ) -> anyhow::Result<Option<OrderId>> {
        let order_id = state.get(&self.store.keys.references, reference.as_str())?;
        let parse = |id: &[u8]| {
            OrderId::parse(std::str::from_utf8(id)?).context("a row of the index by reference is malformed")
        };
        order_id.map(|id| parse(&id)).transpose()
    }

    /// The type and outcome of an event, or `None` if the event has no outcome. The log takes precedence over a stored
    /// receipt.
    pub(crate) fn receipt_in(
        &self,
        state: &impl ReadStore,
        order_id: &OrderId,
        event_id: EventId,
    ) -> anyhow::Result<Option<StoredReceipt>> {
        if let Some(entry) = state.get(&self.store.keys.log, keys::log_key(order_id, 1))? {
            let (event, message) = records::split_log_entry(&entry);
            // Usually the first log entry contains another event. Searching the bytes of the entry for the id is faster
            // than decoding the entry.
            if records::contains_id(event, event_id) {
                let event = self.decode_entry(&entry)?;
                if event.envelope.event_id == event_id {
                    return Ok(Some(StoredReceipt::of_entry(event, message)));
                }
            }
        }
        let row = state.get(&self.store.keys.receipts, keys::receipt_key(order_id, event_id))?;
        row.map(|row| serde_json::from_slice(&row).context("a stored receipt")).transpose()
    }

    /// The receipt as of the latest commit, even if that commit is not synced yet.
    pub(crate) fn latest_receipt(
        &self,
        order_id: &OrderId,
        event_id: EventId,
    ) -> anyhow::Result<Option<StoredReceipt>> {
        self.receipt_in(&self.store.latest(), order_id, event_id)
    }
}
