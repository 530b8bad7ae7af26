//! Makes the feed entries of events that are already in the log. The [backfill](super::backfill) and the rebuild call
//! this module while they read the log in the order of its keys.

use domain::{Currency, Event, EventType, OrderId, RecordedEvent, Timestamp};
use serde::Deserialize;

use super::customer_hash;
use super::encode::NewFeedEntry;
use crate::embedded::store::{keys, records};

/// An order whose log entries are being read, in the order of their versions.
pub(crate) struct OrderInLog {
    pub(crate) order_id: OrderId,
    /// The beginning of the keys of the order's log entries: everything before the version.
    prefix: Vec<u8>,
    customer_hash: Option<u32>,
    /// The latest recording time among the order's events so far.
    time: i64,
}

/// The members of a log entry that all schema versions share.
#[derive(Deserialize)]
struct EntryMembers {
    recorded_at: Timestamp,
    #[serde(rename = "type")]
    event_type: String,
}

impl OrderInLog {
    /// The order that a key of the log belongs to.
    pub(crate) fn new(key: &[u8]) -> anyhow::Result<Self> {
        let order_id = keys::order_of_log_key(key)?;
        let prefix = keys::log_prefix(&order_id);
        Ok(Self { order_id, prefix, customer_hash: None, time: 0 })
    }

    /// Whether a key of the log belongs to the order.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        key.strip_prefix(self.prefix.as_slice()).is_some_and(|version| version.len() == 8)
    }

    /// The feed entry of the order's next log entry. The times of an order's feed entries never decrease, even if the
    /// clock was set back.
    pub(crate) fn next(&mut self, version: u64, entry: &[u8], currency: Currency) -> NewFeedEntry {
        let (event, _) = records::split_log_entry(entry);
        if version == 1 {
            self.customer_hash = customer_in(event, currency);
        }
        let members = serde_json::from_slice::<EntryMembers>(event).ok();
        if let Some(members) = &members {
            self.time = self.time.max(members.recorded_at.micros());
        }
        // Filters never skip an entry without a type. So if the customer or the type is unknown, the entry gets no type.
        let event_type = members.and_then(|members| EventType::from_name(&members.event_type));
        let event_type = event_type.filter(|_| self.customer_hash.is_some());
        NewFeedEntry::new(event_type, self.customer_hash, &self.order_id, version, self.time)
    }
}

/// The hash of the customer in an order's first event, or `None` if the event cannot be read.
fn customer_in(event: &[u8], currency: Currency) -> Option<u32> {
    match RecordedEvent::decode(event, currency).ok()?.envelope.event {
        Event::Created(created) => Some(customer_hash(&created.customer_id)),
        _ => None,
    }
}
