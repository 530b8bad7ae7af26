//! A chunk of the feed: references to consecutive events, in one item. `append` writes chunks, and `pages` reads them.
//!
//! A chunk contains references to log entries, not copies. A reference has a tenth of the size of its log entry, so ten
//! events share a write unit. Personal data stays in the log.

use anyhow::{Context, ensure};
use consumer::relay::FeedEntry;
use domain::{CustomerId, OrderId};
use serde::{Deserialize, Serialize};

use super::{Item, integer, number, partition_key, string, text};

/// The maximum number of events in a chunk. The largest references are about 230 bytes long, so a chunk stays far below the
/// 400 KB of an item.
pub(super) const MAX_EVENTS: usize = 100;

/// The place of an event in the log, and the data that filters need. The table contains the reference as a JSON array:
/// order, version, type, customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EventRef(pub(super) OrderId, pub(super) u64, pub(super) String, pub(super) CustomerId);

impl EventRef {
    pub(super) fn of(entry: &FeedEntry) -> Self {
        let FeedEntry { order_id, version, event_type, customer_id, recorded_at: _, json: _ } = entry;
        Self(order_id.clone(), *version, event_type.clone(), customer_id.clone())
    }
}

/// Consecutive events of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) first: u64,
    /// The latest time at which an event of the chunk or of an earlier chunk was recorded, in microseconds. So a reader
    /// that wants all events from a given time on starts at the first chunk with that time or a later time.
    pub(super) time: i64,
    pub(super) events: Vec<EventRef>,
}

impl Chunk {
    /// The position after the last event.
    pub(super) fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// The item of the chunk, which DynamoDB may delete after `expires_at`, in seconds since 1970.
    pub(super) fn item(&self, partition: usize, expires_at: i64) -> anyhow::Result<Item> {
        Ok(Item::from([
            ("pk".to_owned(), text(partition_key(partition))),
            ("sk".to_owned(), text(position_key(self.first))),
            ("time".to_owned(), integer(self.time)),
            ("events".to_owned(), text(serde_json::to_string(&self.events)?)),
            ("expires_at".to_owned(), integer(expires_at)),
        ]))
    }

    pub(super) fn read(item: &Item) -> anyhow::Result<Self> {
        let first = string(item, "sk")?.parse().context("cannot read the position of a chunk")?;
        let events: Vec<_> =
            serde_json::from_str(string(item, "events")?).context("cannot read the events of a chunk")?;
        ensure!(!events.is_empty(), "the chunk at position {first} is empty");
        Ok(Self { first, time: number(item, "time")?, events })
    }
}

/// The sort key of a chunk that begins at `position`.
pub(super) fn position_key(position: u64) -> String {
    format!("{position:020}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored text of a chunk, as the first version of the program wrote it. Every later version must be able to
    /// read it.
    const GOLDEN: &str = r#"[["o-1",1,"order_created","c \"1\""],["o-1",2,"order_paid","c \"1\""]]"#;

    fn chunk() -> Chunk {
        let order_id = OrderId::parse("o-1").unwrap();
        let customer = CustomerId::parse("c \"1\"").unwrap();
        let event =
            |version, kind: &str| EventRef(order_id.clone(), version, kind.to_owned(), customer.clone());
        Chunk { first: 17, time: -5, events: vec![event(1, "order_created"), event(2, "order_paid")] }
    }

    #[test]
    fn a_chunk_is_written_as_the_first_version_wrote_it() {
        let item = chunk().item(3, 1_800_000_000).unwrap();
        assert_eq!(string(&item, "events").unwrap(), GOLDEN);
        assert_eq!(string(&item, "pk").unwrap(), "FEED#0003");
        assert_eq!(string(&item, "sk").unwrap(), "00000000000000000017");
        assert_eq!(number::<i64>(&item, "expires_at").unwrap(), 1_800_000_000);
        assert_eq!((Chunk::read(&item).unwrap(), chunk().end()), (chunk(), 19));
    }

    #[test]
    fn a_damaged_chunk_is_an_error() {
        for events in ["[]", "{}", r#"[["o-1"]]"#, r#"[["",1,"order_paid","c"]]"#] {
            let mut item = chunk().item(0, 0).unwrap();
            item.insert("events".to_owned(), text(events));
            assert!(Chunk::read(&item).is_err(), "{events}");
        }
    }
}
