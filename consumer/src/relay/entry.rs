//! Log entries in two forms: as the change stream delivers them, and as the feed keeps them. The Lambda handler and the
//! adapter of the change stream read them.

use anyhow::{Context, bail};
use domain::{CustomerId, OrderId, Timestamp};
use serde::Deserialize;

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

/// The attributes of a table item that the relay reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct EntryAttributes<'a> {
    /// The log entry as JSON.
    pub entry: Option<&'a str>,
    /// The name of the event's type.
    pub event_type: Option<&'a str>,
    /// The customer of the order.
    pub customer_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct EntryTime {
    recorded_at: Timestamp,
}

impl StreamEntry {
    /// Reads the log entry from the table item that was inserted under the keys `pk` and `sk`. `None` if the
    /// item is not a log entry.
    pub fn read(pk: &str, sk: &str, attributes: EntryAttributes<'_>) -> Option<anyhow::Result<Self>> {
        let (order_id, version) = (pk.strip_prefix("ORDER#")?, sk.strip_prefix("EVENT#")?);
        let read = Self::of(order_id, version, attributes);
        Some(read.with_context(|| format!("the log entry {sk} of {pk} cannot be relayed")))
    }

    fn of(order_id: &str, version: &str, attributes: EntryAttributes<'_>) -> anyhow::Result<Self> {
        let EntryAttributes { entry, event_type, customer_id } = attributes;
        let (Some(entry), Some(event_type)) = (entry, event_type) else {
            bail!(
                "the change stream has no new image of the entry; the stream must have the view type NEW_IMAGE"
            )
        };
        let EntryTime { recorded_at } =
            serde_json::from_str(entry).context("the entry's JSON cannot be read")?;
        Ok(Self {
            order_id: OrderId::parse(order_id)?,
            version: version.parse().context("the entry's version is not a number")?,
            event_type: event_type.to_owned(),
            recorded_at,
            customer_id: customer_id.map(CustomerId::parse).transpose()?,
            json: entry.to_owned(),
        })
    }

    pub(super) fn into_feed_entry(self, customer_id: CustomerId) -> FeedEntry {
        let Self { order_id, version, event_type, recorded_at, customer_id: _, json } = self;
        FeedEntry { order_id, version, event_type, recorded_at, customer_id, json }
    }
}
