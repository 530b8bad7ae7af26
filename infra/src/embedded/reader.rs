//! Answers the API's queries. Reading may touch the disk, so it happens on the blocking pool.

use api::ports::{Health, ListPosition, OrderReader, OrderSnapshot};
use async_trait::async_trait;
use domain::{CustomerId, EventId, EventType, OrderId, Receipt, RecordedEvent};
use serde::Deserialize;

use super::Embedded;
use super::inbox::stored_receipt;
use super::keys;

impl Embedded {
    async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> anyhow::Result<R> + Send + 'static,
    ) -> anyhow::Result<R> {
        let engine = self.clone();
        tokio::task::spawn_blocking(move || read(&engine)).await?
    }

    fn snapshot(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        let Some(order) = self.current_order(order_id)? else { return Ok(None) };
        Ok(Some(OrderSnapshot { order, parked: self.parked(order_id)? }))
    }

    fn find_receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>> {
        // The queue before the outcome: an event that leaves the queue between the two looks has its outcome.
        let waiting = self.waiting(order_id, event_id)?;
        let stored = stored_receipt(&self.0.keys.receipts, order_id, event_id)?;
        let Some((event_type, outcome)) = stored
            .map(|stored| (stored.event_type, Some(stored.outcome)))
            .or(waiting.map(|kind| (kind, None)))
        else {
            return Ok(None);
        };
        Ok(Some(Receipt { order_id: order_id.clone(), event_id, event_type, outcome }))
    }

    /// The type of the event, if it is on the queue in its order's group.
    fn waiting(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<EventType>> {
        #[derive(Deserialize)]
        struct Typed {
            #[serde(rename = "type")]
            event_type: EventType,
        }
        let seq = self.0.queue.lock().find(order_id.as_str(), event_id.as_uuid());
        let Some(seq) = seq else { return Ok(None) };
        let Some(row) = self.0.keys.queue.get(seq.to_be_bytes())? else { return Ok(None) };
        let body = keys::StoredMessage::decode(&row)?.body;
        Ok(serde_json::from_slice::<Typed>(&body).ok().map(|typed| typed.event_type))
    }

    fn list(
        &self,
        customer_id: &CustomerId,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> anyhow::Result<Vec<OrderSnapshot>> {
        let prefix = keys::customer_prefix(customer_id);
        let end = match after {
            Some(position) => keys::customer_key(customer_id, position.created_at_micros, &position.order_id),
            // Behind everything with this prefix: its last byte is 0.
            None => [&prefix[..prefix.len() - 1], &[1]].concat(),
        };
        let mut orders = Vec::new();
        for row in self.0.keys.customers.range(prefix..end).rev().take(limit) {
            let order_id = keys::customer_key_order(&row.key()?)?;
            orders.extend(self.snapshot(&order_id)?);
        }
        Ok(orders)
    }
}

#[async_trait]
impl OrderReader for Embedded {
    async fn order(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        let order_id = order_id.clone();
        self.read(move |engine| engine.snapshot(&order_id)).await
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
            let rows = engine.0.keys.log.range(first..=end).take(limit);
            rows.map(|row| engine.decode_entry(&row.value()?)).collect()
        })
        .await
    }

    async fn receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>> {
        let order_id = order_id.clone();
        self.read(move |engine| engine.find_receipt(&order_id, event_id)).await
    }

    async fn orders_of(
        &self,
        customer_id: &CustomerId,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> anyhow::Result<Vec<OrderSnapshot>> {
        let (customer_id, after) = (customer_id.clone(), after.cloned());
        self.read(move |engine| engine.list(&customer_id, after.as_ref(), limit)).await
    }
}

#[async_trait]
impl Health for Embedded {
    async fn ready(&self) -> Result<(), String> {
        if let Some(reason) = self.failed().borrow().as_deref() {
            return Err(format!("the data folder cannot be written: {reason}"));
        }
        self.no_room().map_or(Ok(()), Err)
    }
}
