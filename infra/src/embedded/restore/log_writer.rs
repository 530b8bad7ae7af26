//! Writes the events of a backup, each with its original position. The parent calls [`LogWriter::add`] for each record,
//! in the order of the positions.

use std::collections::HashMap;

use anyhow::ensure;
use domain::{Currency, Order, RecordedEvent};
use foldhash::fast::RandomState;
use serde::Deserialize;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::backup::record::{EventRecord, LogRecord};
use crate::backup::running_hash::RunningHash;
use crate::embedded::store::commit::Committer;
use crate::embedded::store::feed::FeedEnd;
use crate::embedded::store::feed::encode::{NewFeedEntry, lost_row, number};
use crate::embedded::store::feed::from_log::OrderInLog;
use crate::embedded::store::keys;
use crate::embedded::store::records::split_log_entry;
use crate::embedded::store::stage::Stage;

/// The approximate number of bytes in a commit.
const COMMIT_BYTES: usize = 1 << 20;
/// The maximum number of orders that are remembered, so that their first events need not be read again. The limit
/// bounds the memory.
const MAX_REMEMBERED_ORDERS: usize = 20_000;

pub(super) struct LogWriter<'a> {
    committer: &'a mut Committer,
    currency: Currency,
    stage: Stage,
    /// The end of the feed, including the staged rows.
    end: FeedEnd,
    /// The events of the next row of the feed. All events of a row have one time.
    row: Vec<NewFeedEntry>,
    /// The orders whose first events were written recently, by the hash of the order id.
    orders_in_log: HashMap<u128, OrderInLog, RandomState>,
    pub(super) events: u64,
    pub(super) orders: u64,
    pub(super) hash: RunningHash,
}

/// The id of an event, which is in one JSON member in all schema versions.
#[derive(Deserialize)]
struct EventIdMember {
    event_id: Uuid,
}

impl<'a> LogWriter<'a> {
    pub(super) fn new(committer: &'a mut Committer, currency: Currency) -> Self {
        let stage = committer.stage();
        Self {
            committer,
            currency,
            stage,
            end: FeedEnd::default(),
            row: Vec::new(),
            orders_in_log: HashMap::default(),
            events: 0,
            orders: 0,
            hash: RunningHash::default(),
        }
    }

    /// Writes the record. Positions after `until` are left out.
    pub(super) fn add(&mut self, record: &LogRecord, until: u64) -> anyhow::Result<()> {
        let next = self.end.position + self.row.len() as u64 + 1;
        ensure!(record.first() == next, "position {next} is missing before position {}", record.first());
        match record {
            LogRecord::Event(event) => self.event(event)?,
            LogRecord::Lost { position, time, count } => {
                self.end_row();
                let count = (*count).min(until - position + 1);
                let row = lost_row(*time, count);
                self.stage.put(&self.committer.keys.feed, position.to_be_bytes(), row);
                self.end = FeedEnd { position: position + count - 1, time: *time };
            }
        }
        if self.stage.bytes() >= COMMIT_BYTES { self.commit() } else { Ok(()) }
    }

    fn event(&mut self, event: &EventRecord) -> anyhow::Result<()> {
        let EventRecord { time, order_id, version, entry, receipt, .. } = event;
        if self.row.first().is_some_and(|first| first.recorded_at_micros != *time) {
            self.end_row();
        }
        let mut feed = self.feed_entry(event)?;
        feed.recorded_at_micros = *time;
        self.row.push(feed);
        let keys = &self.committer.keys;
        self.stage.put(&keys.log, keys::log_key(order_id, *version), entry.as_slice());
        let (json, _) = split_log_entry(entry);
        if let Some(receipt) = receipt {
            let EventIdMember { event_id } = serde_json::from_slice(json)?;
            self.stage.put(&keys.receipts, keys::receipt_key(order_id, event_id.into()), receipt.as_slice());
        }
        if *version == 1 {
            self.orders += 1;
            // An order whose first event cannot be read is in no customer's list. `orders rebuild` reports such an
            // order.
            let first = RecordedEvent::decode(json, self.currency);
            if let Ok(order) =
                first.map_err(anyhow::Error::from).and_then(|first| Ok(Order::apply(None, &first)?))
            {
                let key = keys::customer_key(&order.customer_id, order.created_at.micros(), &order.order_id);
                self.stage.put(&keys.customers, key, []);
            }
        }
        self.events += 1;
        self.hash.add(event);
        Ok(())
    }

    /// The entry of the event in the feed. The entry contains the customer, who is named in the order's first event,
    /// which was written earlier.
    fn feed_entry(&mut self, event: &EventRecord) -> anyhow::Result<NewFeedEntry> {
        let hash = xxh3_128(event.order_id.as_str().as_bytes());
        let order = match self.orders_in_log.entry(hash) {
            std::collections::hash_map::Entry::Occupied(order) => order.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let first = keys::log_key(&event.order_id, 1);
                let mut order = OrderInLog::new(&first)?;
                if event.version > 1
                    && let Some(entry) = self.committer.keys.log.get(first)?
                {
                    order.next(1, &entry, self.currency);
                }
                vacant.insert(order)
            }
        };
        Ok(order.next(event.version, &event.entry, self.currency))
    }

    /// Stages the events that form a row of the feed.
    fn end_row(&mut self) {
        let entries = std::mem::take(&mut self.row);
        for (first, row) in number(&entries, &mut self.end) {
            self.stage.put(&self.committer.keys.feed, first.to_be_bytes(), row);
        }
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        self.end_row();
        // The committer adds no rows to the feed, because the stage records no events.
        self.committer.feed = self.end;
        let full = std::mem::replace(&mut self.stage, self.committer.stage());
        self.committer.commit_portion(full)?;
        if self.orders_in_log.len() >= MAX_REMEMBERED_ORDERS {
            // The store now contains the first events of the remembered orders, so they can be read from the store.
            self.orders_in_log.clear();
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> anyhow::Result<WrittenLog> {
        self.commit()?;
        Ok(WrittenLog { events: self.events, orders: self.orders, hash: self.hash, end: self.end })
    }
}

pub(super) struct WrittenLog {
    pub(super) events: u64,
    pub(super) orders: u64,
    pub(super) hash: RunningHash,
    pub(super) end: FeedEnd,
}
