//! Reads the recorded events for a backup, in the order of their positions.

use anyhow::Context;
use domain::EventId;
use serde::Deserialize;

use super::{PART_BYTES, PART_ROWS};
use crate::backup::record::{EventRecord, LogRecord};
use crate::embedded::log::Log;
use crate::embedded::store::feed::decode::{FeedEntry, FeedItem, FeedRow};
use crate::embedded::store::feed::{FIRST_SCRATCH_KEY, feed_key};
use crate::embedded::store::views::{ReadStore, View};
use crate::embedded::store::{keys, records};

/// The place in the log where the next read begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogPlace {
    pub(super) next: u64,
}

/// The id of an event, which is in one JSON member in all schema versions.
#[derive(Deserialize)]
struct WithEventId {
    event_id: EventId,
}

/// Reads the next records. Also returns the place where the following read begins, or `None` at the end. Every position
/// up to the end of the view is in exactly one record.
pub(super) fn read(
    log: &Log,
    view: &View,
    place: LogPlace,
) -> anyhow::Result<(Vec<LogRecord>, Option<LogPlace>)> {
    let (mut next, end) = (place.next, view.feed.position);
    let (mut found, mut bytes, mut time) = (Vec::new(), 0, 0);
    let feed = &log.store.keys.feed;
    let first = view.range(feed, ..=feed_key(next)).next_back();
    let first = first.map(|row| row.key().map(|key| key.to_vec())).transpose()?;
    let first = first.unwrap_or_else(|| feed_key(next));
    for row in view.range(feed, first..FIRST_SCRATCH_KEY.to_vec()) {
        let (key, value) = row.into_inner()?;
        let row = FeedRow::decode(&key, &value).context("`orders rebuild` corrects the feed")?;
        for item in row.items() {
            let item = item.context("`orders rebuild` corrects the feed")?;
            if item.last_position() < next {
                continue;
            }
            if bytes >= PART_BYTES || found.len() >= PART_ROWS {
                return Ok((found, Some(LogPlace { next })));
            }
            let first = first_of(&item).max(next);
            if first > next {
                // Damaged folders can lack rows. A rebuild also marks the positions of missing rows as lost.
                found.push(LogRecord::Lost { position: next, time: row.time, count: first - next });
            }
            let record = record(log, view, &item, first, row.time)?;
            if let LogRecord::Event(event) = &record {
                bytes += event.entry.len();
            }
            (next, time) = (record.last() + 1, row.time);
            found.push(record);
        }
    }
    if next <= end {
        found.push(LogRecord::Lost { position: next, time, count: end - next + 1 });
    }
    Ok((found, None))
}

fn first_of(item: &FeedItem<'_>) -> u64 {
    match item {
        FeedItem::Event(entry) => entry.position,
        FeedItem::Lost { position, .. } => *position,
    }
}

/// The record of a feed item. Begins at the position `first`, if the item covers several positions.
fn record(log: &Log, view: &View, item: &FeedItem<'_>, first: u64, time: i64) -> anyhow::Result<LogRecord> {
    let lost = |count| LogRecord::Lost { position: first, time, count };
    let FeedItem::Event(entry) = item else { return Ok(lost(item.last_position() - first + 1)) };
    // A recovery can cut off the event of a position.
    Ok(event(log, view, entry, time)?.map_or_else(|| lost(1), LogRecord::Event))
}

/// The event of a feed entry, or `None` if it is not in the log.
fn event(log: &Log, view: &View, entry: &FeedEntry<'_>, time: i64) -> anyhow::Result<Option<EventRecord>> {
    let keys = &log.store.keys;
    let (position, version, order_id) = (entry.position, entry.version, entry.order_id()?);
    let Some(stored) = view.get(&keys.log, keys::log_key(&order_id, version))? else { return Ok(None) };
    let (json, message) = records::split_log_entry(&stored);
    // The first log entry of an order also serves as the event's receipt if the entry contains a message id.
    let is_receipt = version == 1 && message.is_some();
    let event_id = serde_json::from_slice::<WithEventId>(json).ok().filter(|_| !is_receipt);
    let receipt = match event_id {
        Some(WithEventId { event_id }) => view.get(&keys.receipts, keys::receipt_key(&order_id, event_id))?,
        None => None,
    };
    let receipt = receipt.map(|row| row.to_vec());
    Ok(Some(EventRecord { position, time, order_id, version, entry: stored.to_vec(), receipt }))
}
