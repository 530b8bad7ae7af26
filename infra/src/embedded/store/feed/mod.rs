//! The rows of the keyspace `feed`: the positions of the recorded events. The committer writes them. The feed, the
//! rebuild and the recovery read them. [`encode`] and [`decode`] convert the rows, and [`waiters`] wakes readers when
//! there are new rows. [`backfill`] gives positions to the events of a folder of an earlier format, and [`from_log`]
//! makes the entries of these events.
//!
//! A commit that records events writes one row, or several if it records more than [`MAX_ENTRIES_OF_ROW`] events. The key
//! is the position of the row's first event, as a big-endian integer. Positions begin with 1 and have no gap. The value:
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the format of the row, which is 1 |
//! | 8 | the time of the row, in microseconds since 1970, big-endian |
//! | | the entries, one after the other |
//!
//! The time of a row is the latest `recorded_at` of its events, but never earlier than the time of the previous row. So
//! a reader that wants all events from a given time on starts at the first row with that time or a later one.
//!
//! The entry of an event:
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the [code](code_of) of the event's type, or 0 if the log entry cannot be read |
//! | 4 | the [hash](customer_hash) of the customer |
//! | 1–10 | the version, LEB128 |
//! | 17 | 0, then the order id, if it is a UUID in the usual form |
//! | 2–65 | otherwise, the length of the order id, then the order id |
//!
//! An entry with the code [`LOST`] stands for positions without an event. Only the number of these positions follows, as
//! LEB128.

pub(crate) mod backfill;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod from_log;
pub(crate) mod waiters;

use anyhow::Context;
use api::ports::feed::FeedFilter;
use domain::{CustomerId, EventType};
use xxhash_rust::xxh3::xxh3_64;

use super::keyspaces::Keyspaces;
use decode::{FeedEntry, FeedRow};

/// The maximum number of entries in a row. The number is small, because a reader that looks for a position decodes a
/// whole row.
pub(crate) const MAX_ENTRIES_OF_ROW: usize = 256;
/// The format of a row, which is its first byte.
const FORMAT: u8 = 1;
/// The code of positions whose events were lost with damaged files.
const LOST: u8 = 255;
/// The code of an event whose type is unknown, because its log entry cannot be read.
const UNKNOWN: u8 = 0;
/// The first key of the scratch rows, which the [backfill] writes. The keys of all positions sort before the scratch
/// rows.
pub(crate) const FIRST_SCRATCH_KEY: [u8; 1] = [0xFF];

/// Where the feed ends after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FeedEnd {
    /// The latest position, or 0 if no event was recorded.
    pub(crate) position: u64,
    /// The time of the latest row, in microseconds since 1970.
    pub(crate) time: i64,
}

impl FeedEnd {
    /// The end of the feed as of the latest commit.
    pub(crate) fn stored(keys: &Keyspaces) -> anyhow::Result<Self> {
        let Some(latest) = keys.feed.range(..FIRST_SCRATCH_KEY.to_vec()).next_back() else {
            return Ok(Self::default());
        };
        let (key, value) = latest.into_inner()?;
        let first = u64::from_be_bytes((*key).try_into().context("a feed row with a malformed key")?);
        let decode = || -> anyhow::Result<Self> {
            let row = FeedRow::decode(&key, &value)?;
            let mut end = Self { position: first - 1, time: row.time };
            for item in row.items() {
                end.position = item?.last_position();
            }
            Ok(end)
        };
        Ok(decode().unwrap_or_else(|error| {
            tracing::error!("the end of the feed cannot be read, `orders rebuild` corrects it: {error:#}");
            // Readers may have seen the positions of the unreadable row, so none of its positions is used again.
            Self { position: first + MAX_ENTRIES_OF_ROW as u64, time: 0 }
        }))
    }
}

pub(crate) fn feed_key(position: u64) -> Vec<u8> {
    position.to_be_bytes().to_vec()
}

/// A stable number of each type of event. A code is never used again for another type.
pub(crate) fn code_of(event_type: EventType) -> u8 {
    match event_type {
        EventType::Created => 1,
        EventType::Amended => 2,
        EventType::Annotated => 3,
        EventType::Confirmed => 4,
        EventType::Held => 5,
        EventType::Released => 6,
        EventType::PaymentAuthorized => 7,
        EventType::PaymentVoided => 8,
        EventType::Paid => 9,
        EventType::Shipped => 10,
        EventType::Delivered => 11,
        EventType::Cancelled => 12,
        EventType::ReturnRequested => 13,
        EventType::Returned => 14,
        EventType::Refunded => 15,
    }
}

/// The inverse of [`code_of`].
fn type_of(code: u8) -> anyhow::Result<Option<EventType>> {
    if code == UNKNOWN {
        return Ok(None);
    }
    let found = EventType::ALL.into_iter().find(|event_type| code_of(*event_type) == code);
    found.map(Some).with_context(|| format!("a feed entry has the unknown type {code}"))
}

/// The part of a reader's filter that can be checked on the entries of the feed, without reading log entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeedMask {
    /// The hash of the customer whose events pass the mask. `None` if the events of all customers pass.
    customer_hash: Option<u32>,
    /// The event types that pass the mask, with one bit for each type's code.
    types: u32,
}

impl FeedMask {
    /// The mask that every event passes.
    pub(crate) const ALL: Self = Self { customer_hash: None, types: u32::MAX };

    pub(crate) fn of(filter: &FeedFilter) -> Self {
        let types = match filter.types.is_empty() {
            true => u32::MAX,
            false => {
                filter.types.iter().fold(Self::bit_of(None), |bits, kind| bits | Self::bit_of(Some(*kind)))
            }
        };
        Self { customer_hash: filter.customer_id.as_ref().map(customer_hash), types }
    }

    /// Returns `false` if the filter certainly does not select the event. If the result is `true`, the caller must
    /// check the event's log entry.
    pub(crate) fn may_pass(self, entry: &FeedEntry<'_>) -> bool {
        let Some(event_type) = entry.event_type else { return true };
        self.types & Self::bit_of(Some(event_type)) != 0
            && self.customer_hash.is_none_or(|hash| hash == entry.customer_hash)
    }

    fn bit_of(event_type: Option<EventType>) -> u32 {
        1 << event_type.map_or(UNKNOWN, code_of)
    }

    fn group(self) -> (Option<u32>, u32) {
        (self.customer_hash, self.types)
    }
}

/// A hash of the customer, by which filters skip the events of other customers without reading those events. Different
/// customers may share a hash.
pub(crate) fn customer_hash(customer_id: &CustomerId) -> u32 {
    xxh3_64(customer_id.as_str().as_bytes()) as u32
}

#[cfg(test)]
mod tests;
