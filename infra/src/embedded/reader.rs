//! Answers the API's queries.
//!
//! An order and a receipt are a few rows each, which are in memory nearly always, and what is not there is ruled out by a
//! filter that is: they are read where they are asked for. To hand that to another thread takes several times as long as
//! the reading itself. Lists may be long, and are read on the blocking pool.

pub(crate) mod past;

use api::ports::{
    Health, MAX_ORDERS_SCANNED, MAX_PARKED, OrderFilter, OrderList, OrderPosition, OrderReader, OrderSnapshot,
};
use async_trait::async_trait;
use domain::{AsOf, CustomerId, EventId, EventType, Order, OrderId, Receipt, RecordedEvent};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::embedded::Embedded;
use crate::embedded::store::keys;
use crate::embedded::store::views::{Rows, View};

/// What a receipt tells of an event that waits.
#[derive(Deserialize)]
struct Waiting {
    #[serde(rename = "type")]
    event_type: EventType,
    request_hash: Option<String>,
}

impl Embedded {
    fn snapshot(&self, view: &View, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        let Some(order) = self.order_in(view, order_id)? else { return Ok(None) };
        Ok(Some(OrderSnapshot { order, parked: self.line_length(view, order_id, MAX_PARKED)? }))
    }

    fn find_receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>> {
        // The queue before the outcome: an event that leaves the queue between the two looks has its outcome.
        let waiting = self.waiting(order_id, event_id)?;
        let stored = self.receipt_in(&*self.view(), order_id, event_id)?;
        let Some((event_type, outcome, request_hash, message)) = stored
            .map(|stored| (stored.event_type, Some(stored.outcome), stored.request_hash, stored.message))
            .or(waiting.map(|waiting| (waiting.event_type, None, waiting.request_hash, None)))
        else {
            return Ok(None);
        };
        Ok(Some(Receipt { order_id: order_id.clone(), event_id, event_type, outcome, request_hash, message }))
    }

    /// What is known of the event, if it is on the queue in its order's group.
    fn waiting(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Waiting>> {
        Ok(self.queued(order_id, event_id)?.and_then(|body| serde_json::from_slice(&body).ok()))
    }

    /// The message of the event, if it is on the queue in its order's group.
    fn queued(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Vec<u8>>> {
        // What is on its way to the disk was not accepted yet.
        let seq = self.0.queue.lock().find_durable(order_id.as_str(), event_id.as_uuid());
        let Some(seq) = seq else { return Ok(None) };
        let Some(row) = self.0.keys.queue.get(seq.to_be_bytes())? else { return Ok(None) };
        Ok(Some(keys::StoredMessage::decode(&row)?.body))
    }

    fn list(
        &self,
        customer_id: &CustomerId,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> anyhow::Result<OrderList> {
        let start = match filter.created_from {
            Some(from) => keys::customer_time(customer_id, from.micros()),
            None => keys::customer_prefix(customer_id),
        };
        let mut end = match after {
            Some(position) => keys::customer_key(customer_id, position.created_at_micros, &position.order_id),
            None => keys::customer_time(customer_id, i64::MAX),
        };
        if let Some(before) = filter.created_before {
            end = end.min(keys::customer_time(customer_id, before.micros()));
        }
        let mut list = OrderList::default();
        let view = self.view();
        if start >= end {
            return Ok(list);
        }
        let mut latest = None;
        for (looked_at, row) in view.range(&self.0.keys.customers, start..end).rev().enumerate() {
            if list.orders.len() == limit || looked_at == MAX_ORDERS_SCANNED {
                list.next = latest;
                break;
            }
            let position = keys::customer_key_position(&row.key()?)?;
            let snapshot = self.snapshot(&view, &position.order_id)?;
            list.orders.extend(snapshot.filter(|snapshot| filter.passes(&snapshot.order)));
            latest = Some(position);
        }
        Ok(list)
    }
}

#[async_trait]
impl OrderReader for Embedded {
    async fn order(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        self.snapshot(&self.view(), order_id)
    }

    async fn events(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>> {
        let first = keys::log_key(order_id, after.saturating_add(1));
        let end = keys::log_key(order_id, u64::MAX);
        self.read(move |engine| {
            let rows = engine.view().range(&engine.0.keys.log, first..=end).take(limit);
            rows.map(|row| engine.decode_entry(&row.value()?)).collect()
        })
        .await
    }

    async fn order_as_of(&self, order_id: &OrderId, as_of: AsOf) -> anyhow::Result<Option<Order>> {
        self.read_past(order_id, as_of).await
    }

    async fn receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>> {
        self.find_receipt(order_id, event_id)
    }

    async fn creates_for(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<CustomerId>> {
        Ok(self.queued(order_id, event_id)?.and_then(|message| api::created_for(&message)))
    }

    async fn settled(
        &self,
        order_id: &OrderId,
        event_id: EventId,
        until: Instant,
    ) -> anyhow::Result<Option<Receipt>> {
        let waiter = self.0.waiters.join(event_id);
        loop {
            // Before the look, so that it rings for what comes right after it.
            let rung = waiter.bell().notified();
            let receipt = self.receipt(order_id, event_id).await?;
            let has_outcome = receipt.as_ref().is_some_and(|receipt| receipt.outcome.is_some());
            if has_outcome || timeout_at(until, rung).await.is_err() {
                return Ok(receipt);
            }
        }
    }

    async fn orders_of(
        &self,
        customer_id: &CustomerId,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> anyhow::Result<OrderList> {
        let (customer_id, filter, after) = (customer_id.clone(), *filter, after.cloned());
        self.read(move |engine| engine.list(&customer_id, &filter, after.as_ref(), limit)).await
    }
}

#[async_trait]
impl Health for Embedded {
    async fn ready(&self) -> Result<(), String> {
        match self.failed().borrow().as_deref() {
            Some(reason) => Err(format!("the data folder cannot be written: {reason}")),
            None => Ok(()),
        }
    }

    async fn accepts(&self) -> Result<(), String> {
        self.ready().await?;
        self.no_room().map_or(Ok(()), Err)
    }
}
