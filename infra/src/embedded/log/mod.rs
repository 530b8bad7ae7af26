//! The log of orders, and what follows from it: projection, customer index and receipts, in one atomic batch.

pub(crate) mod waiters;

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use consumer::ports::{Append, AppendError, Appended, Loaded, OrderLog, Settled, Wanted};
use domain::{EventId, Order, OrderId, Outcome, Receipt, RecordedEvent};

use crate::embedded::Embedded;
use crate::embedded::inbox::receipt_row;
use crate::embedded::store::keys::{self, StoredReceipt};
use crate::embedded::store::stage::Stage;
use crate::embedded::store::views::Rows as Readable;
use crate::embedded::store::writer::Durability;

impl Embedded {
    /// The order as of its latest event. The projection is never ahead of the log; where there is none yet, or it lags (an
    /// append that a crash cut off from its projection), the events behind it are folded in here.
    pub(crate) fn order_in(&self, rows: &impl Readable, order_id: &OrderId) -> anyhow::Result<Option<Order>> {
        let projected = rows.get(&self.0.keys.orders, order_id.as_str())?;
        let mut order: Option<Order> = projected
            .map(|row| {
                serde_json::from_slice(&row).with_context(|| format!("the projection of order {order_id}"))
            })
            .transpose()?;
        loop {
            let next = order.as_ref().map_or(1, |order| order.version + 1);
            let Some(event) = self.recorded(rows, order_id, next)? else { return Ok(order) };
            order =
                Some(Order::apply(order, &event).with_context(|| format!("the log of order {order_id}"))?);
        }
    }

    fn recorded(
        &self,
        rows: &impl Readable,
        order_id: &OrderId,
        version: u64,
    ) -> anyhow::Result<Option<RecordedEvent>> {
        let entry = rows.get(&self.0.keys.log, keys::log_key(order_id, version))?;
        entry.map(|entry| self.decode_entry(&entry)).transpose()
    }

    pub(crate) fn decode_entry(&self, entry: &[u8]) -> anyhow::Result<RecordedEvent> {
        let (event, _) = keys::split_entry(entry);
        RecordedEvent::decode(event, self.0.options.default_currency).context("an entry of the log")
    }

    /// The type and outcome of an event, if it has come to one. What is in the log counts, whatever was stored before.
    pub(crate) fn receipt_in(
        &self,
        rows: &impl Readable,
        order_id: &OrderId,
        event_id: EventId,
    ) -> anyhow::Result<Option<StoredReceipt>> {
        if let Some(entry) = rows.get(&self.0.keys.log, keys::log_key(order_id, 1))? {
            let (event, message) = keys::split_entry(&entry);
            // Nearly always another event, which the text tells sooner.
            if keys::mentions(event, event_id) {
                let event = self.decode_entry(&entry)?;
                if event.envelope.event_id == event_id {
                    return Ok(Some(StoredReceipt::of_entry(event, message)));
                }
            }
        }
        let row = rows.get(&self.0.keys.receipts, keys::receipt_key(order_id, event_id))?;
        row.map(|row| serde_json::from_slice(&row).context("a stored receipt")).transpose()
    }

    /// The same, of what is committed, synced or not.
    pub(crate) fn stored_receipt(
        &self,
        order_id: &OrderId,
        event_id: EventId,
    ) -> anyhow::Result<Option<StoredReceipt>> {
        self.receipt_in(&self.latest(), order_id, event_id)
    }

    pub(crate) fn load_one(&self, wanted: &Wanted) -> anyhow::Result<Loaded> {
        // Outcomes first: what is recorded after this look is in the order too.
        let mut outcomes = Vec::new();
        for event_id in &wanted.event_ids {
            if let Some(receipt) = self.stored_receipt(&wanted.order_id, *event_id)? {
                let (event_id, message) = (*event_id, receipt.message);
                outcomes.push(Settled { event_id, outcome: receipt.outcome, message });
            }
        }
        let order = self.order_in(&self.latest(), &wanted.order_id)?;
        Ok(Loaded { order, parked: self.line_ids(&wanted.order_id, wanted.event_ids.len() + 1)?, outcomes })
    }

    /// Runs on the writing thread, where the log does not change between the look and the commit.
    fn stage_append(&self, stage: &mut Stage, rows: Rows) -> Result<Appended, AppendError> {
        let unavailable = AppendError::Unavailable;
        let order_id = &rows.order_id;
        let (mut missing, mut healed) = (Vec::new(), None);
        for Entry { version, event_id, message, key, row } in rows.entries {
            let conflict = || AppendError::Conflict { order_id: order_id.clone(), version };
            if stage.has_staged(&key) {
                return Err(conflict());
            }
            match self.recorded(&self.latest(), order_id, version).map_err(unavailable)? {
                Some(there) if there.envelope.event_id != event_id => return Err(conflict()),
                Some(_) => {
                    let known = self.stored_receipt(order_id, event_id).map_err(unavailable)?;
                    let of = known.and_then(|known| known.message);
                    if message.is_some() && of.is_some() && of != message {
                        return Err(conflict());
                    }
                    if version == 1 && of.is_none() {
                        healed = Some((key, row));
                    }
                }
                None => missing.push((key, row)),
            }
        }
        let already = missing.is_empty();
        if already {
            let is_whole = match rows.following.projection {
                Some(_) => !self.projection_lags(order_id, rows.version).map_err(unavailable)?,
                None => healed.is_none(),
            };
            if is_whole {
                return Ok(Appended::Already);
            }
        }
        let entries: Vec<_> = missing.into_iter().chain(healed).collect();
        entries.iter().for_each(|(key, _)| stage.claim(key.clone()));
        self.stage_rows(stage, order_id, entries.into_iter(), rows.following);
        Ok(if already { Appended::Already } else { Appended::New })
    }

    /// Stages entries of an order's log, and what follows from them. Readers may look while a commit is applied, row by row: a
    /// receipt comes after what it promises.
    pub(crate) fn stage_rows(
        &self,
        stage: &mut Stage,
        order_id: &OrderId,
        entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
        following: Following,
    ) {
        let keys = &self.0.keys;
        entries.for_each(|(key, row)| stage.put(&keys.log, key, row));
        if let Some(projection) = following.projection {
            stage.put(&keys.orders, order_id.as_str(), projection);
        }
        if let Some(key) = following.customer {
            stage.put(&keys.customers, key, []);
        }
        following.receipts.into_iter().for_each(|(key, row)| stage.put(&keys.receipts, key, row));
    }

    fn projection_lags(&self, order_id: &OrderId, version: u64) -> anyhow::Result<bool> {
        let Some(row) = self.0.keys.orders.get(order_id.as_str())? else { return Ok(true) };
        let projected: Order = serde_json::from_slice(&row).context("a projection")?;
        Ok(projected.version < version)
    }

    /// Puts an event into the log and nowhere else, as a crash between append and projection would leave it on a
    /// backend that writes the two separately. For the conformance suite.
    #[doc(hidden)]
    pub async fn append_without_projecting(&self, event: RecordedEvent) -> anyhow::Result<()> {
        let log = self.0.keys.log.clone();
        let job = move |stage: &mut Stage| {
            let key = keys::log_key(&event.envelope.order_id, event.version);
            stage.put(&log, key, event.encode());
            Ok(())
        };
        self.0.writer.write(Durability::Synced, job).await
    }
}

/// What an append writes, encoded before the writing thread sees it.
pub(crate) struct Rows {
    pub(crate) order_id: OrderId,
    /// The order's, after the append.
    version: u64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) following: Following,
}

/// An event in the log.
pub(crate) struct Entry {
    version: u64,
    event_id: EventId,
    /// The message that brought it, if one did.
    message: Option<String>,
    pub(crate) key: Vec<u8>,
    pub(crate) row: Vec<u8>,
}

/// What follows from entries of an order's log.
pub(crate) struct Following {
    /// The order, unless its only event tells it.
    projection: Option<Vec<u8>>,
    /// The order's key in its customer's list, if the append creates the order.
    customer: Option<Vec<u8>>,
    receipts: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Rows {
    pub(crate) fn of(append: &Append) -> anyhow::Result<Self> {
        let order = &append.order;
        let messages = append.messages.iter().cloned().map(Some).chain(std::iter::repeat(None));
        let events: Vec<_> = append.events.iter().zip(messages).collect();
        let receipt = |(event, message): &(&RecordedEvent, Option<String>)| {
            let outcome = Some(Outcome::Recorded { version: event.version });
            receipt_row(&Receipt { message: message.clone(), ..Receipt::of(&event.envelope, outcome) })
        };
        let creates = append.events.iter().any(|event| event.version == 1);
        let customer = || keys::customer_key(&order.customer_id, order.created_at.micros(), &order.order_id);
        let others = events.iter().filter(|(event, _)| event.version > 1);
        let receipts = others.map(receipt).collect::<Result<_, _>>()?;
        let entry = |(event, message): (&RecordedEvent, Option<String>)| {
            let of = message.as_deref().filter(|_| event.version == 1);
            Entry {
                version: event.version,
                event_id: event.envelope.event_id,
                key: keys::log_key(&order.order_id, event.version),
                row: keys::entry(event, of),
                message,
            }
        };
        Ok(Self {
            order_id: order.order_id.clone(),
            version: order.version,
            entries: events.into_iter().map(entry).collect(),
            following: Following {
                projection: crate::is_projected(order).then(|| order.encode()),
                customer: creates.then(customer),
                receipts,
            },
        })
    }
}

#[async_trait]
impl OrderLog for Embedded {
    async fn load(&self, wanted: &[Wanted]) -> Vec<anyhow::Result<Loaded>> {
        // Here and now: the consumer has a thread of its own, and orders in work are in memory.
        wanted.iter().map(|wanted| self.load_one(wanted)).collect()
    }

    async fn append(&self, appends: &[Append]) -> Vec<Result<Appended, AppendError>> {
        let engine = Arc::downgrade(&self.0);
        let all: Vec<_> = appends.iter().map(Rows::of).collect();
        let job = move |stage: &mut Stage| {
            let engine = Self(engine.upgrade().context("the engine is closing")?);
            let append = |rows: anyhow::Result<Rows>| {
                engine.stage_append(stage, rows.map_err(AppendError::Unavailable)?)
            };
            Ok(all.into_iter().map(append).collect::<Vec<_>>())
        };
        match self.0.writer.write(Durability::Synced, job).await {
            Ok(results) => {
                let appended = appends.iter().flat_map(|append| &append.events);
                self.0.waiters.wake(appended.map(|event| event.envelope.event_id));
                results
            }
            Err(error) => {
                let failed = |_| Err(AppendError::Unavailable(anyhow::anyhow!("{error:#}")));
                appends.iter().map(failed).collect()
            }
        }
    }

    async fn settle(&self, receipts: &[Receipt]) -> Vec<anyhow::Result<()>> {
        let rows: Vec<_> = receipts.iter().map(receipt_row).collect();
        let stored: Vec<_> = rows.iter().flatten().cloned().collect();
        let keyspace = self.0.keys.receipts.clone();
        let job = move |stage: &mut Stage| {
            stored.into_iter().for_each(|(key, row)| stage.put(&keyspace, key, row));
            Ok(())
        };
        let written = self.0.writer.write(Durability::Synced, job).await;
        self.0.waiters.wake(receipts.iter().map(|receipt| receipt.event_id));
        let result = |row: anyhow::Result<_>| match &written {
            Ok(()) => row.map(|_| ()),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        rows.into_iter().map(result).collect()
    }
}
