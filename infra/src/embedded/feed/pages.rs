//! Reads pages of the feed, as defined by the port [`EventFeed`](api::ports::feed::EventFeed). The engine's
//! implementation of the port calls these functions.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use api::ports::feed::{FeedCursor, FeedError, FeedEvent, FeedFilter, FeedPage, FeedStart};
use domain::{CustomerId, Event, OrderId, RecordedEvent};
use tokio::time::Instant;

use super::{FeedReader, FeedRecord, FeedSlice, ReadLimits};
use crate::embedded::store::feed::FeedMask;

/// The maximum number of entries that the read of a page examines.
const MAX_EXAMINED: usize = 10_000;
/// The maximum total size of a page's log entries, in bytes. The limit bounds the memory of a read. The page still
/// contains the entry that exceeds the limit.
const MAX_PAGE_BYTES: usize = 4 << 20;

impl FeedReader {
    pub(crate) async fn start(self: &Arc<Self>, from: FeedStart) -> anyhow::Result<FeedCursor> {
        let reader = Arc::clone(self);
        let place = self.log.store.read_turns.read(move || reader.place_of(from)).await?;
        Ok(FeedCursor(vec![place]))
    }

    pub(crate) async fn page(
        self: &Arc<Self>,
        filter: &FeedFilter,
        after: &FeedCursor,
        limit: usize,
    ) -> Result<FeedPage, FeedError> {
        let after = self.place(after)?;
        let (reader, filter) = (Arc::clone(self), filter.clone());
        let read = move || reader.read_page(&filter, after, limit);
        Ok(self.log.store.read_turns.read(read).await?)
    }

    pub(crate) async fn wait_for_page(
        &self,
        filter: &FeedFilter,
        after: &FeedCursor,
        until: Instant,
    ) -> FeedCursor {
        // A cursor of another feed is returned without a wait, and the next read refuses the cursor.
        let Ok(place) = self.place(after) else { return after.clone() };
        FeedCursor(vec![self.wait(FeedMask::of(filter), place, until).await])
    }

    /// The position in a cursor. Fails if the feed has no such position.
    fn place(&self, cursor: &FeedCursor) -> Result<u64, FeedError> {
        match cursor.0.as_slice() {
            [place] if *place <= self.end() => Ok(*place),
            _ => Err(FeedError::UnknownCursor),
        }
    }

    fn read_page(&self, filter: &FeedFilter, after: u64, limit: usize) -> anyhow::Result<FeedPage> {
        let limits = ReadLimits { events: limit.max(1), examined: MAX_EXAMINED, bytes: MAX_PAGE_BYTES };
        let FeedSlice { records, next, end } = self.read(FeedMask::of(filter), after, limits)?;
        let mut events = Vec::with_capacity(records.len());
        let mut customers = OrdersOfCustomer { reader: self, known: HashMap::new() };
        for record in records {
            let position = record.position;
            let event = self.decode(&record)?;
            let is_of_type =
                filter.types.is_empty() || filter.types.contains(&event.envelope.event.event_type());
            let is_selected = is_of_type
                && match &filter.customer_id {
                    Some(customer_id) => customers.contain(customer_id, &event)?,
                    None => true,
                };
            if is_selected {
                let cursor = FeedCursor(vec![position]);
                events.push(FeedEvent { position: position.to_string(), cursor, event });
            }
        }
        Ok(FeedPage { events, next: FeedCursor(vec![next]), is_last: next == end })
    }

    /// Decodes the log entry of a feed record. An event of an older schema version is upcast.
    pub(crate) fn decode(&self, record: &FeedRecord) -> anyhow::Result<RecordedEvent> {
        let FeedRecord { position, order_id, version, entry, .. } = record;
        let decoded = self.log.decode_entry(entry);
        decoded.with_context(|| {
            format!("version {version} of order {order_id}, at position {position} of the feed")
        })
    }

    /// Whether the order of the event belongs to the customer. Only the first event of an order contains the customer.
    pub(crate) fn is_of_customer(
        &self,
        customer_id: &CustomerId,
        event: &RecordedEvent,
    ) -> anyhow::Result<bool> {
        if let Event::Created(created) = &event.envelope.event {
            return Ok(created.customer_id == *customer_id);
        }
        let order_id = &event.envelope.order_id;
        let customer = self.log.customer_of(&*self.log.store.view(), order_id);
        let customer = customer.with_context(|| format!("order {order_id}"))?;
        Ok(customer.as_ref() == Some(customer_id))
    }
}

/// For each order of a page, whether the order belongs to the customer in the filter. The entries of the feed contain
/// only a hash of the customer.
struct OrdersOfCustomer<'a> {
    reader: &'a FeedReader,
    known: HashMap<OrderId, bool>,
}

impl OrdersOfCustomer<'_> {
    fn contain(&mut self, customer_id: &CustomerId, event: &RecordedEvent) -> anyhow::Result<bool> {
        let order_id = &event.envelope.order_id;
        if let Some(known) = self.known.get(order_id) {
            return Ok(*known);
        }
        let is_of_customer = self.reader.is_of_customer(customer_id, event)?;
        self.known.insert(order_id.clone(), is_of_customer);
        Ok(is_of_customer)
    }
}
