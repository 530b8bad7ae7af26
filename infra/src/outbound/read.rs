//! Reads the feed: implements the API's [`EventFeed`].
//!
//! A page contains an equal share of events from every partition that has events, sorted by time. Chunks contain the
//! data that filters need, so only events that pass the filter are read from the log.

use std::sync::Arc;
use std::time::Duration;

use api::ports::feed::{EventFeed, FeedCursor, FeedError, FeedEvent, FeedFilter, FeedPage, FeedStart};
use async_trait::async_trait;
use domain::EventType;
use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::dynamodb::Table;

use super::chunk::{Chunk, EventRef};
use super::{Head, OutboundTable};

/// The maximum number of events that a page examines, whether or not they pass the filter.
const MAX_EXAMINED: usize = 10_000;
/// How many chunks a query reads.
const CHUNKS_PER_READ: usize = 100;
/// The first pause between two reads of the heads, and the maximum pause.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The feed in the outbound table.
#[derive(Debug, Clone)]
pub struct TableFeed {
    pub(super) table: OutboundTable,
    /// The log, which chunks refer to.
    log: Table,
    /// The configured number of partitions, which is used until the relay has stored a number.
    pub(super) partitions: u32,
    /// The heads that were last read for a waiting reader. All waiting readers share these heads.
    seen: Arc<Mutex<Option<SeenHeads>>>,
}

/// The heads of all partitions, and the time at which they were read.
#[derive(Debug)]
struct SeenHeads {
    at: Instant,
    heads: Vec<Head>,
}

/// The events that were read from one partition for a page.
#[derive(Debug)]
struct Share {
    partition: usize,
    /// The events that pass the filter, each with its position and its chunk's time.
    events: Vec<(u64, i64, EventRef)>,
    /// The position of the last event that was examined.
    examined: u64,
}

/// The maximum numbers of events that a page returns and examines from one partition.
#[derive(Debug, Clone, Copy)]
struct ShareLimits {
    events: usize,
    examined: usize,
}

impl TableFeed {
    /// The feed in `table`, whose chunks refer to the log in `log`.
    pub fn new(table: OutboundTable, log: Table, partitions: u32) -> Self {
        Self { table, log, partitions, seen: Arc::default() }
    }

    pub(super) async fn heads(&self) -> anyhow::Result<Vec<Head>> {
        self.table.heads(self.partitions, true).await
    }

    /// Reads a share of the page from each partition that has events after the cursor.
    async fn shares(
        &self,
        filter: &FeedFilter,
        after: &FeedCursor,
        heads: &[Head],
        limit: usize,
    ) -> Result<Vec<Share>, FeedError> {
        check(after, heads)?;
        let places = after.0.iter().zip(heads).enumerate();
        let busy: Vec<_> = places.filter(|(_, (after, head))| **after + 1 < head.next).collect();
        let count = busy.len().max(1);
        let limits = ShareLimits { events: limit.div_ceil(count), examined: (MAX_EXAMINED / count).max(1) };
        let shares = busy
            .into_iter()
            .map(|(partition, (after, head))| self.share(partition, filter, *after, head.next, limits));
        try_join_all(shares).await
    }

    async fn share(
        &self,
        partition: usize,
        filter: &FeedFilter,
        after: u64,
        until: u64,
        limits: ShareLimits,
    ) -> Result<Share, FeedError> {
        let mut share = Share { partition, events: Vec::new(), examined: after };
        let most = after.saturating_add(limits.examined as u64).min(until - 1);
        let mut chunks = self.chunks_after(partition, after, until).await?;
        loop {
            for chunk in &chunks {
                if chunk.first > share.examined + 1 {
                    return Err(FeedError::Expired);
                }
                for (position, event) in (chunk.first..).zip(&chunk.events) {
                    if position <= share.examined {
                        continue;
                    }
                    if share.events.len() == limits.events || position > most {
                        return Ok(share);
                    }
                    share.examined = position;
                    if passes(filter, event) {
                        share.events.push((position, chunk.time, event.clone()));
                    }
                }
            }
            if share.examined == most || share.events.len() == limits.events {
                return Ok(share);
            }
            chunks = self.chunks_after(partition, share.examined, until).await?;
        }
    }

    /// Reads chunks from the position after `after` on, which must be before the head. If no chunk contains that
    /// position, its chunk has expired.
    pub(super) async fn chunks_after(
        &self,
        partition: usize,
        after: u64,
        until: u64,
    ) -> Result<Vec<Chunk>, FeedError> {
        let chunks = self.table.chunks_between(partition, after + 1, until, CHUNKS_PER_READ).await?;
        if chunks.first().is_some_and(|chunk| chunk.first == after + 1) {
            return Ok(chunks);
        }
        // The position may be within a chunk that begins earlier.
        let mut with_earlier = self.table.chunks_before(partition, after + 1, 1).await?;
        if with_earlier.first().is_none_or(|chunk| chunk.end() <= after + 1) {
            return Err(FeedError::Expired);
        }
        with_earlier.extend(chunks);
        Ok(with_earlier)
    }

    /// The heads for readers that wait. Readers that need the heads at about the same time share one read.
    async fn seen_heads(&self) -> anyhow::Result<Vec<Head>> {
        let mut seen = self.seen.lock().await;
        if let Some(SeenHeads { at, heads }) = &*seen
            && at.elapsed() < FIRST_PAUSE
        {
            return Ok(heads.clone());
        }
        let heads = self.table.heads(self.partitions, false).await?;
        *seen = Some(SeenHeads { at: Instant::now(), heads: heads.clone() });
        Ok(heads)
    }

    /// Looks for an event after the cursor that passes the filter. `Err` contains the position up to which no event
    /// passes the filter.
    async fn look(&self, filter: &FeedFilter, after: &FeedCursor) -> Result<FeedCursor, FeedCursor> {
        // An error ends the wait. The reader reads a page next, and that read reports the error.
        let Ok(heads) = self.seen_heads().await else { return Ok(after.clone()) };
        let Ok(shares) = self.shares(filter, after, &heads, 1).await else { return Ok(after.clone()) };
        let mut place = after.clone();
        for share in &shares {
            place.0[share.partition] =
                share.events.first().map_or(share.examined, |(position, ..)| position - 1);
        }
        if shares.iter().any(|share| !share.events.is_empty()) { Ok(place) } else { Err(place) }
    }
}

/// Checks that the cursor belongs to the feed with the given heads.
pub(super) fn check(after: &FeedCursor, heads: &[Head]) -> Result<(), FeedError> {
    let is_known =
        after.0.len() == heads.len() && after.0.iter().zip(heads).all(|(at, head)| *at < head.next);
    if is_known { Ok(()) } else { Err(FeedError::UnknownCursor) }
}

fn passes(filter: &FeedFilter, EventRef(_, _, event_type, customer_id): &EventRef) -> bool {
    let is_of_type = || EventType::from_name(event_type).is_some_and(|known| filter.types.contains(&known));
    (filter.types.is_empty() || is_of_type())
        && filter.customer_id.as_ref().is_none_or(|customer| customer == customer_id)
}

#[async_trait]
impl EventFeed for TableFeed {
    async fn start(&self, from: FeedStart) -> anyhow::Result<FeedCursor> {
        self.cursor_at(from).await
    }

    async fn read(
        &self,
        filter: &FeedFilter,
        after: &FeedCursor,
        limit: usize,
    ) -> Result<FeedPage, FeedError> {
        let heads = self.heads().await?;
        let shares = self.shares(filter, after, &heads, limit).await?;
        let mut next = after.clone();
        for share in &shares {
            next.0[share.partition] = share.examined;
        }
        let mut found: Vec<_> = shares
            .into_iter()
            .flat_map(|share| {
                share.events.into_iter().map(move |(at, time, event)| (time, share.partition, at, event))
            })
            .collect();
        found.sort_unstable_by_key(|(time, partition, position, _)| (*time, *partition, *position));
        // The share of each partition is rounded up, so all shares together may exceed the limit. Events beyond the
        // limit are left for the next page.
        for (_, partition, position, _) in found.drain(limit.min(found.len())..) {
            next.0[partition] = next.0[partition].min(position - 1);
        }
        let entries: Vec<_> = found.iter().map(|(.., event)| (event.0.clone(), event.1)).collect();
        let recorded = self.log.log_entries(&entries).await?;
        let mut cursor = after.clone();
        let to_event = |((_, partition, position, _), event)| {
            cursor.0[partition] = position;
            FeedEvent { position: format!("{partition}-{position}"), cursor: cursor.clone(), event }
        };
        let events = found.into_iter().zip(recorded).map(to_event).collect();
        let is_last = next.0.iter().zip(&heads).all(|(at, head)| at + 1 == head.next);
        Ok(FeedPage { events, next, is_last })
    }

    async fn wait(&self, filter: &FeedFilter, after: &FeedCursor, until: Instant) -> FeedCursor {
        let (mut place, mut pause) = (after.clone(), FIRST_PAUSE);
        loop {
            match self.look(filter, &place).await {
                Ok(found) => return found,
                Err(later) => place = later,
            }
            if Instant::now() >= until {
                return place;
            }
            sleep_until(until.min(Instant::now() + pause)).await;
            pause = (pause * 3 / 2).min(MAX_PAUSE);
        }
    }
}
