//! Appends events to the logs of orders, with their derived writes, in one atomic commit. The consumer and the inline
//! commit use these functions.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use consumer::decide::reference_of;
use consumer::ports::{Append, AppendError, Appended};
use domain::{Event, EventId, Order, OrderId, Outcome, Receipt, RecordedEvent, Reference};

use super::Log;
use crate::embedded::store::feed::customer_hash;
use crate::embedded::store::feed::encode::NewFeedEntry;
use crate::embedded::store::indexes::IndexChanges;
use crate::embedded::store::keys;
use crate::embedded::store::records::{log_entry, receipt_row};
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;

/// Events to append, encoded as rows. The caller encodes the rows, so that the writing thread has less work.
pub(crate) struct EncodedAppend {
    pub(crate) order_id: OrderId,
    /// The order's version after the events are appended.
    version: u64,
    pub(crate) entries: Vec<EncodedEntry>,
    pub(crate) derived: DerivedWrites,
    /// The references that the events give to the order. Usually empty.
    pub(crate) references: Vec<Reference>,
}

pub(crate) struct EncodedEntry {
    version: u64,
    event_id: EventId,
    /// The id of the message that carried the event, if it is known.
    message: Option<String>,
    pub(crate) key: Vec<u8>,
    row: Vec<u8>,
    /// The feed entry of the event.
    feed: NewFeedEntry,
}

/// The writes that accompany log entries and can be rebuilt from the entries.
pub(crate) struct DerivedWrites {
    /// The projection, if the order has more than one event.
    projection: Option<Vec<u8>>,
    /// The key of the order in its customer's list, if the events create the order.
    customer: Option<Vec<u8>>,
    receipts: Vec<(Vec<u8>, Vec<u8>)>,
    indexes: IndexChanges,
}

impl EncodedAppend {
    pub(crate) fn of(append: &Append, searchable: &BTreeSet<String>) -> anyhow::Result<Self> {
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
        let hash = customer_hash(&order.customer_id);
        let entry = |(event, message): (&RecordedEvent, Option<String>)| {
            let for_receipt = message.as_deref().filter(|_| event.version == 1);
            EncodedEntry {
                version: event.version,
                event_id: event.envelope.event_id,
                key: keys::log_key(&order.order_id, event.version),
                row: log_entry(event, for_receipt),
                feed: feed_entry(event, Some(hash)),
                message,
            }
        };
        let references = append.events.iter().filter_map(|event| reference_of(&event.envelope.event));
        let references = references.cloned().collect();
        Ok(Self {
            order_id: order.order_id.clone(),
            version: order.version,
            entries: events.into_iter().map(entry).collect(),
            derived: DerivedWrites {
                projection: crate::is_projected(order).then(|| order.encode()),
                customer: creates.then(customer),
                receipts,
                indexes: IndexChanges::between(append.previous.as_ref(), order, searchable),
            },
            references,
        })
    }
}

impl Log {
    /// Reserves the versions of events to append. Returns the first version that another event has, or `None` if all
    /// versions are reserved.
    pub(crate) fn claim_versions(
        &self,
        stage: &mut Stage,
        append: &EncodedAppend,
    ) -> fjall::Result<Option<u64>> {
        let first = append.version + 1 - append.entries.len() as u64;
        for (version, entry) in (first..).zip(&append.entries) {
            if stage.is_claimed(&entry.key) || self.store.keys.log.contains_key(&entry.key)? {
                return Ok(Some(version));
            }
            stage.claim(entry.key.clone());
        }
        Ok(None)
    }

    pub(crate) async fn append(self: &Arc<Self>, appends: &[Append]) -> Vec<Result<Appended, AppendError>> {
        let all: Vec<_> = appends.iter().map(|append| EncodedAppend::of(append, &self.searchable)).collect();
        let log = Arc::clone(self);
        let job = move |stage: &mut Stage| {
            let append = |append: anyhow::Result<EncodedAppend>| {
                log.stage_append(stage, append.map_err(AppendError::Unavailable)?)
            };
            Ok(all.into_iter().map(append).collect::<Vec<_>>())
        };
        match self.store.writer.write(Durability::Synced, job).await {
            Ok(results) => {
                let appended = appends.iter().flat_map(|append| &append.events);
                self.waiters.wake(appended.map(|event| event.envelope.event_id));
                results
            }
            Err(error) => {
                let failed = |_| Err(AppendError::Unavailable(anyhow::anyhow!("{error:#}")));
                appends.iter().map(failed).collect()
            }
        }
    }

    /// Stores the outcomes of events that are not in the log.
    pub(crate) async fn settle(&self, receipts: &[Receipt]) -> Vec<anyhow::Result<()>> {
        let rows: Vec<_> = receipts.iter().map(receipt_row).collect();
        let stored: Vec<_> = rows.iter().flatten().cloned().collect();
        let keyspace = self.store.keys.receipts.clone();
        let job = move |stage: &mut Stage| {
            stored.into_iter().for_each(|(key, row)| stage.put(&keyspace, key, row));
            Ok(())
        };
        let written = self.store.writer.write(Durability::Synced, job).await;
        self.waiters.wake(receipts.iter().map(|receipt| receipt.event_id));
        let result = |row: anyhow::Result<_>| match &written {
            Ok(()) => row.map(|_| ()),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        rows.into_iter().map(result).collect()
    }

    /// Stages events to append, after a check against the log. Runs on the writing thread, so no other code changes the
    /// log between the check and the commit.
    fn stage_append(&self, stage: &mut Stage, append: EncodedAppend) -> Result<Appended, AppendError> {
        let unavailable = AppendError::Unavailable;
        let order_id = &append.order_id;
        let (mut missing, mut repaired_entry) = (Vec::new(), None);
        for entry in append.entries {
            let conflict = || AppendError::Conflict { order_id: order_id.clone(), version: entry.version };
            if stage.is_claimed(&entry.key) {
                return Err(conflict());
            }
            match self.event_in(&self.store.latest(), order_id, entry.version).map_err(unavailable)? {
                Some(there) if there.envelope.event_id != entry.event_id => return Err(conflict()),
                Some(_) => {
                    let known = self.latest_receipt(order_id, entry.event_id).map_err(unavailable)?;
                    let carried_by = known.and_then(|known| known.message);
                    if entry.message.is_some() && carried_by.is_some() && carried_by != entry.message {
                        return Err(conflict());
                    }
                    if entry.version == 1 && carried_by.is_none() {
                        // The stored log entry lacks the id of its message, so the commit writes the entry again, with
                        // the id.
                        repaired_entry = Some(entry);
                    }
                }
                None => missing.push(entry),
            }
        }
        let already = missing.is_empty();
        if !already {
            self.claim_references(stage, order_id, &append.references)?;
        }
        if already {
            let is_complete = match append.derived.projection {
                Some(_) => !self.projection_lags(order_id, append.version).map_err(unavailable)?,
                None => repaired_entry.is_none(),
            };
            // If the log contains a later version, the staged derived writes would replace newer derived writes.
            let next = keys::log_key(order_id, append.version + 1);
            if is_complete
                || self.store.keys.log.contains_key(next).map_err(|error| unavailable(error.into()))?
            {
                return Ok(Appended::Already);
            }
        }
        missing.iter().chain(&repaired_entry).for_each(|entry| stage.claim(entry.key.clone()));
        if let Some(EncodedEntry { key, row, .. }) = repaired_entry {
            stage.put(&self.store.keys.log, key, row);
        }
        self.stage_entries(stage, order_id, missing, append.derived);
        Ok(if already { Appended::Already } else { Appended::New })
    }

    /// Stages entries of an order's log and their derived writes. fjall applies the rows of a commit one after the
    /// other, and readers may see only the first of these rows. So a log entry is staged before the receipt that
    /// reports the event as recorded.
    pub(crate) fn stage_entries(
        &self,
        stage: &mut Stage,
        order_id: &OrderId,
        entries: Vec<EncodedEntry>,
        derived: DerivedWrites,
    ) {
        let keys = &self.store.keys;
        for EncodedEntry { key, row, feed, .. } in entries {
            stage.put(&keys.log, key, row);
            stage.record(feed);
        }
        if let Some(projection) = derived.projection {
            stage.put(&keys.orders, order_id.as_str(), projection);
        }
        if let Some(key) = derived.customer {
            stage.put(&keys.customers, key, []);
        }
        derived.indexes.stage(stage, keys, order_id);
        derived.receipts.into_iter().for_each(|(key, row)| stage.put(&keys.receipts, key, row));
    }

    /// Reserves references for an order. Fails if another order has one of the references. Runs on the writing thread,
    /// so no other code changes the references between the check and the commit.
    pub(crate) fn claim_references(
        &self,
        stage: &mut Stage,
        order_id: &OrderId,
        references: &[Reference],
    ) -> Result<(), AppendError> {
        let unavailable = AppendError::Unavailable;
        for reference in references {
            let staged = stage.claimed_references.get(reference).cloned();
            let holder = match staged {
                Some(holder) => Some(holder),
                None => self.reference_holder(&self.store.latest(), reference).map_err(unavailable)?,
            };
            if let Some(by) = holder.filter(|holder| holder != order_id) {
                return Err(AppendError::ReferenceTaken { reference: reference.clone(), by });
            }
        }
        let claims = references.iter().map(|reference| (reference.clone(), order_id.clone()));
        stage.claimed_references.extend(claims);
        Ok(())
    }

    fn projection_lags(&self, order_id: &OrderId, version: u64) -> anyhow::Result<bool> {
        let Some(row) = self.store.keys.orders.get(order_id.as_str())? else { return Ok(true) };
        let projected: Order = serde_json::from_slice(&row).context("a projection")?;
        Ok(projected.version < version)
    }

    /// Puts an event into the log without its derived writes, for the conformance suite. On a backend that writes
    /// events and projections separately, a crash between the two writes leaves such a log.
    pub(crate) async fn append_without_projecting(&self, event: RecordedEvent) -> anyhow::Result<()> {
        let log = self.store.keys.log.clone();
        // The log may contain events that cannot be folded, so the customer may be unknown.
        let before = self.order_in(&self.store.latest(), &event.envelope.order_id)?;
        let customer = match (before, &event.envelope.event) {
            (Some(order), _) => Some(order.customer_id),
            (None, Event::Created(created)) => Some(created.customer_id.clone()),
            (None, _) => None,
        };
        let job = move |stage: &mut Stage| {
            let key = keys::log_key(&event.envelope.order_id, event.version);
            stage.put(&log, key, event.encode());
            stage.record(feed_entry(&event, customer.as_ref().map(customer_hash)));
            Ok(())
        };
        self.store.writer.write(Durability::Synced, job).await
    }
}

/// The entry of an event in the feed.
fn feed_entry(event: &RecordedEvent, customer_hash: Option<u32>) -> NewFeedEntry {
    let envelope = &event.envelope;
    NewFeedEntry::new(
        Some(envelope.event.event_type()),
        customer_hash,
        &envelope.order_id,
        event.version,
        event.recorded_at.micros(),
    )
}
