//! Reads the recorded events of all orders, in the order of their positions. [`pages`] serves the feed to the API. The
//! deliveries of webhooks read the feed too.
//!
//! All reads use a synced view. So readers never see an event that a power cut can remove, and never see a gap between
//! positions.

pub(crate) mod pages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::Context;
use api::ports::feed::FeedStart;
use domain::{OrderId, Timestamp};
use fjall::UserValue;
use tokio::time::{Instant, timeout_at};

use super::log::Log;
use super::store::feed::decode::{FeedEntry, FeedItem, FeedRow};
use super::store::feed::{FIRST_SCRATCH_KEY, FeedMask, feed_key};
use super::store::keys;
use super::store::views::{ReadStore, View};

pub(crate) struct FeedReader {
    log: Arc<Log>,
}

/// The limits of one read of the feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadLimits {
    pub(crate) events: usize,
    /// The maximum number of entries to examine.
    pub(crate) examined: usize,
    /// The maximum total size of the log entries, in bytes. The read still returns the entry that exceeds this size.
    pub(crate) bytes: usize,
}

/// A recorded event whose log entry is not decoded yet.
#[derive(Debug, Clone)]
pub(crate) struct FeedRecord {
    pub(crate) position: u64,
    pub(crate) order_id: OrderId,
    pub(crate) version: u64,
    pub(crate) entry: UserValue,
}

/// The events that one read of the feed has found.
#[derive(Debug, Clone)]
pub(crate) struct FeedSlice<R = FeedRecord> {
    pub(crate) records: Vec<R>,
    /// The latest position that was examined. The next read begins after that position.
    pub(crate) next: u64,
    /// The latest position of the feed at the time of the read.
    pub(crate) end: u64,
}

impl FeedReader {
    pub(crate) fn new(log: &Arc<Log>) -> Self {
        Self { log: Arc::clone(log) }
    }

    /// The latest position that readers can see, or 0 if the feed is empty.
    pub(crate) fn end(&self) -> u64 {
        self.log.store.view().feed.position
    }

    /// The time of the feed row that contains `position`, or `None` if the feed has no such position. Every event of
    /// the row was recorded at that time or earlier. No later row has an earlier time.
    pub(crate) fn time_at(&self, position: u64) -> anyhow::Result<Option<Timestamp>> {
        let view = self.log.store.view();
        if position == 0 || position > view.feed.position {
            return Ok(None);
        }
        let time = self.row_time(&view, position)?;
        Timestamp::from_micros(time).context("a feed row has an impossible time").map(Some)
    }

    /// Reads the events that come after a position and may pass the filter, in order. Finds no events if the position
    /// is at the end of the feed. The function blocks.
    pub(crate) fn read(&self, mask: FeedMask, after: u64, limits: ReadLimits) -> anyhow::Result<FeedSlice> {
        self.scan(mask, after, limits, |view, entry| {
            Ok(self.record(view, entry)?.map(|record| {
                let bytes = record.entry.len();
                (record, bytes)
            }))
        })
    }

    /// Like [`read`](Self::read), but `take` decides what the slice contains for each event. `take` also returns the
    /// number of bytes to count toward the limit.
    pub(crate) fn scan<R>(
        &self,
        mask: FeedMask,
        after: u64,
        limits: ReadLimits,
        mut take: impl FnMut(&View, &FeedEntry<'_>) -> anyhow::Result<Option<(R, usize)>>,
    ) -> anyhow::Result<FeedSlice<R>> {
        let view = self.log.store.view();
        let mut slice = FeedSlice { records: Vec::new(), next: after, end: view.feed.position };
        if after >= slice.end {
            return Ok(slice);
        }
        let (mut examined, mut bytes) = (0, 0);
        for row in self.rows_from(&view, after + 1) {
            let (key, value) = row?.into_inner()?;
            for item in FeedRow::decode(&key, &value)?.items() {
                let item = item?;
                if item.last_position() <= after {
                    continue;
                }
                slice.next = item.last_position();
                examined += 1;
                if let FeedItem::Event(entry) = item
                    && mask.may_pass(&entry)
                    && let Some((record, size)) = take(&view, &entry)?
                {
                    bytes += size;
                    slice.records.push(record);
                }
                if examined >= limits.examined
                    || slice.records.len() >= limits.events
                    || bytes >= limits.bytes
                {
                    return Ok(slice);
                }
            }
        }
        // If the last rows of the feed are missing, their events cannot be read. The next read begins after the missing
        // rows.
        slice.next = slice.end;
        Ok(slice)
    }

    /// Waits for an event after position `after` that may pass the filter, but at most until `until`. Returns the
    /// position after which the reader continues. No event between `after` and that position passes the filter.
    pub(crate) async fn wait(&self, mask: FeedMask, after: u64, until: Instant) -> u64 {
        let Some(mut waiter) = self.log.store.feed_waiters.join(mask, after, || self.end()) else {
            return after;
        };
        match timeout_at(until, waiter.woken()).await {
            Ok(place) => place,
            Err(_) => waiter.place(),
        }
    }

    /// The position after which a reader that begins at `start` reads. This function blocks.
    pub(crate) fn place_of(&self, start: FeedStart) -> anyhow::Result<u64> {
        let view = self.log.store.view();
        let time = match start {
            FeedStart::Oldest => return Ok(0),
            FeedStart::Latest => return Ok(view.feed.position),
            FeedStart::At(time) => time.micros(),
        };
        // The invariant of the binary search: all rows up to position `before` are earlier than `time`, and no row
        // after position `from` is earlier than `time`.
        let (mut before, mut from) = (0, view.feed.position);
        while before < from {
            let middle = before + (from - before).div_ceil(2);
            if self.row_time(&view, middle)? < time { before = middle } else { from = middle - 1 }
        }
        Ok(before)
    }

    /// Reads the event to which a feed entry refers. `None` if the log does not contain the event, because a recovery
    /// has cut off the entry.
    pub(crate) fn record(&self, view: &View, entry: &FeedEntry<'_>) -> anyhow::Result<Option<FeedRecord>> {
        let FeedEntry { position, version, .. } = *entry;
        let order_id = entry.order_id()?;
        let Some(found) = view.get(&self.log.store.keys.log, keys::log_key(&order_id, version))? else {
            let order_id = order_id.as_str();
            tracing::error!(
                position,
                order_id,
                version,
                "the feed contains an event that the log does not contain; run `orders rebuild`"
            );
            return Ok(None);
        };
        Ok(Some(FeedRecord { position, order_id, version, entry: found }))
    }

    /// The row that contains `position`, and all later rows.
    fn rows_from(
        &self,
        view: &View,
        position: u64,
    ) -> impl Iterator<Item = anyhow::Result<fjall::Guard>> + use<> {
        let feed = &self.log.store.keys.feed;
        let before = view.range(feed, ..=feed_key(position)).next_back();
        let first = before.map_or(Ok(feed_key(position)), |row| row.key().map(|key| key.to_vec()));
        let (rows, failed) = match first {
            Ok(first) => (Some(view.range(feed, first..FIRST_SCRATCH_KEY.to_vec())), None),
            Err(error) => (None, Some(Err(error.into()))),
        };
        rows.into_iter().flatten().map(Ok).chain(failed)
    }

    /// The time of the row that contains `position`.
    fn row_time(&self, view: &View, position: u64) -> anyhow::Result<i64> {
        let row = view.range(&self.log.store.keys.feed, ..=feed_key(position)).next_back();
        let (key, value) = row.context("the feed lacks its first row")?.into_inner()?;
        Ok(FeedRow::decode(&key, &value)?.time)
    }
}
