//! Log entries in two forms: as the change stream delivers them, and as the feed keeps them. The Lambda handler and the
//! adapter of the change stream read them.

use anyhow::{Context, bail};
use domain::{CustomerId, OrderId, Timestamp};
use serde::Deserialize;

use crate::table_entry::{self, EntryValue, Lookup};

/// A new log entry in the change stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// The id of the order.
    pub order_id: OrderId,
    /// The version of the order after the event.
    pub version: u64,
    /// The name of the event's type. A newer program may have recorded a type that this program does not know.
    pub event_type: String,
    /// When the event was recorded.
    pub recorded_at: Timestamp,
    /// The customer of the order. Only the first entry of an order names the customer.
    pub customer_id: Option<CustomerId>,
    /// The log entry as JSON.
    pub json: String,
}

/// A recorded event to relay: its log entry, and the data by which filters select events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// The id of the order.
    pub order_id: OrderId,
    /// The version of the order after the event.
    pub version: u64,
    /// The name of the event's type.
    pub event_type: String,
    /// When the event was recorded.
    pub recorded_at: Timestamp,
    /// The customer of the order.
    pub customer_id: CustomerId,
    /// The log entry as JSON, which outputs publish. The feed only refers to the log entry.
    pub json: String,
}

#[derive(Deserialize)]
struct EntryTime {
    recorded_at: Timestamp,
}

impl StreamEntry {
    /// Reads the log entry from the table item that was inserted under these keys. `get` returns the attributes of the new
    /// image. `None` if the item is not a log entry.
    pub fn read(pk: &str, sk: &str, get: Lookup<'_>) -> Option<anyhow::Result<Self>> {
        let (order_id, version) = (pk.strip_prefix("ORDER#")?, sk.strip_prefix("EVENT#")?);
        let read = Self::of(order_id, version, get);
        Some(read.with_context(|| format!("the log entry {sk} of {pk} cannot be relayed")))
    }

    fn of(order_id: &str, version: &str, get: Lookup<'_>) -> anyhow::Result<Self> {
        let Ok(event_type) = table_entry::event_type(get) else {
            bail!(
                "the change stream has no new image of the entry; the stream must have the view type NEW_IMAGE"
            )
        };
        let order_id = OrderId::parse(order_id)?;
        let version = version.parse().context("the entry's version is not a number")?;
        let customer_id = match get("customer_id") {
            Some(EntryValue::Text(customer_id)) => Some(CustomerId::parse(&customer_id)?),
            _ => None,
        };
        let json = table_entry::event_json(&order_id, version, customer_id.as_ref(), get)?;
        let EntryTime { recorded_at } =
            serde_json::from_str(&json).context("the entry's JSON cannot be read")?;
        Ok(Self { order_id, version, event_type, recorded_at, customer_id, json })
    }

    pub(super) fn into_feed_entry(self, customer_id: CustomerId) -> FeedEntry {
        let Self { order_id, version, event_type, recorded_at, customer_id: _, json } = self;
        FeedEntry { order_id, version, event_type, recorded_at, customer_id, json }
    }
}
