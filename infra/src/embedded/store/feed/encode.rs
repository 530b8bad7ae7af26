//! Encodes the rows of the feed. Code that appends events encodes their entries. The committer gives the entries
//! positions and joins the entries into rows.

use domain::{EventType, OrderId};
use uuid::Uuid;

use super::decode::FeedItem;
use super::{FORMAT, FeedEnd, LOST, MAX_ENTRIES_OF_ROW, UNKNOWN, code_of};

/// The feed entry of an event that has no position yet. The caller encodes the entry, to save time on the writing
/// thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewFeedEntry {
    pub(crate) recorded_at_micros: i64,
    pub(crate) bytes: Vec<u8>,
}

impl NewFeedEntry {
    /// Encodes the feed entry of an event. `event_type` and `customer_hash` are `None` if the event's log entry cannot
    /// be read.
    pub(crate) fn new(
        event_type: Option<EventType>,
        customer_hash: Option<u32>,
        order_id: &OrderId,
        version: u64,
        recorded_at_micros: i64,
    ) -> Self {
        let mut bytes = Vec::with_capacity(32);
        bytes.push(event_type.map_or(UNKNOWN, code_of));
        bytes.extend_from_slice(&customer_hash.unwrap_or_default().to_be_bytes());
        put_varint(&mut bytes, version);
        let id = order_id.as_str();
        match usual_uuid(id) {
            Some(uuid) => {
                bytes.push(0);
                bytes.extend_from_slice(uuid.as_bytes());
            }
            None => {
                bytes.push(id.len() as u8);
                bytes.extend_from_slice(id.as_bytes());
            }
        }
        Self { recorded_at_micros, bytes }
    }
}

/// Converts an id to a UUID, if the id is written in lower case with hyphens. `None` for any other spelling, because
/// decoding could not restore it.
fn usual_uuid(id: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(id).ok()?;
    (*uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *id).then_some(uuid)
}

/// Assigns the positions after `end` to the entries, and moves `end` to the last of these positions. Returns the
/// encoded rows, each with its first position.
pub(crate) fn number(entries: &[NewFeedEntry], end: &mut FeedEnd) -> Vec<(u64, Vec<u8>)> {
    let mut rows = Vec::new();
    for entries in entries.chunks(MAX_ENTRIES_OF_ROW) {
        let latest = entries.iter().map(|entry| entry.recorded_at_micros).max();
        end.time = end.time.max(latest.unwrap_or(end.time));
        let mut row = begin_row(end.time, entries.iter().map(|entry| entry.bytes.len()).sum());
        entries.iter().for_each(|entry| row.extend_from_slice(&entry.bytes));
        rows.push((end.position + 1, row));
        end.position += entries.len() as u64;
    }
    rows
}

/// Encodes a row of the feed that replaces a stored row. `items` must cover the same positions as the stored row.
pub(crate) fn row_of(time: i64, items: &[FeedItem<'_>]) -> anyhow::Result<Vec<u8>> {
    let mut row = begin_row(time, 0);
    for item in items {
        match item {
            FeedItem::Lost { count, .. } => put_lost(&mut row, *count),
            FeedItem::Event(entry) => {
                let (order_id, hash) = (entry.order_id()?, Some(entry.customer_hash));
                let entry = NewFeedEntry::new(entry.event_type, hash, &order_id, entry.version, time);
                row.extend_from_slice(&entry.bytes);
            }
        }
    }
    Ok(row)
}

/// Encodes a feed row for `count` positions without events.
pub(crate) fn lost_row(time: i64, count: u64) -> Vec<u8> {
    let mut row = begin_row(time, 11);
    put_lost(&mut row, count);
    row
}

fn put_lost(row: &mut Vec<u8>, count: u64) {
    row.push(LOST);
    put_varint(row, count);
}

fn begin_row(time: i64, entry_bytes: usize) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + 8 + entry_bytes);
    row.push(FORMAT);
    row.extend_from_slice(&time.to_be_bytes());
    row
}

/// Appends a number as LEB128: each byte contains seven bits, lowest bits first. All bytes except the last have the
/// high bit set.
fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
