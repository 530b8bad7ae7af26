//! Appends events to the feed: the relay's [`FeedSink`].
//!
//! A chunk is put at the position after the last chunk, on condition that this position is free. If another relay has
//! taken the position, the writer reads the chunks of the other relay. It leaves out events that are already in the
//! feed, and tries the next free position. When all chunks are put, the writer moves the head past the chunks, which
//! shows them to readers. If the relay crashes before the head is moved, the stream delivers the batch again. The next
//! attempt finds the chunks and moves the head.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use consumer::backoff::full_jitter;
use consumer::relay::{FeedEntry, FeedSink};
use domain::OrderId;
use futures_util::future::join_all;
use tokio::sync::Mutex;

use crate::sdk::condition_met;

use super::chunk::{Chunk, EventRef, MAX_EVENTS};
use super::window::Window;
use super::{Head, OutboundTable, integer, partition_of, text};

/// The maximum number of attempts to put a chunk while other relays take the next position.
const ATTEMPTS: u32 = 40;
/// The maximum pause after the first attempt. The maximum doubles with each further attempt, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The maximum pause after any attempt.
const MAX_PAUSE: Duration = Duration::from_millis(200);
/// How long the writer uses the cached end of a partition before it reads the end again, in microseconds. After a
/// longer time, chunks of other relays could have expired, and their positions would look free. One hour is shorter
/// than any retention.
const MAX_TAIL_AGE: i64 = 60 * 60 * 1_000_000;
/// How many chunks a query reads.
const CHUNKS_PER_READ: usize = 50;
/// The maximum number of chunks that are searched for entries from before the window.
const MAX_SEARCHED: usize = 500;

/// Appends to the partitions of a feed.
#[derive(Debug)]
pub struct FeedWriter {
    table: OutboundTable,
    /// How long events are kept.
    retention: Duration,
    /// The end of each partition, or `None` if the end has not been read yet. The lock is held while a batch is
    /// appended to the partition.
    partitions: Vec<Mutex<Option<Tail>>>,
}

/// The end of a partition as the writer last read it.
#[derive(Debug)]
struct Tail {
    head: Head,
    window: Window,
    /// When the tail was last read, in microseconds.
    read_at: i64,
}

impl FeedWriter {
    /// Creates a writer of the feed in `table`. `partitions` is the number that [`OutboundTable::fix_partitions`] has
    /// stored.
    pub fn new(table: OutboundTable, partitions: u32, retention: Duration) -> Self {
        Self { table, retention, partitions: (0..partitions).map(|_| Mutex::default()).collect() }
    }
}

#[async_trait]
impl FeedSink for FeedWriter {
    async fn append(&self, entries: &[FeedEntry]) -> Vec<anyhow::Result<()>> {
        let mut by_partition = vec![Vec::new(); self.partitions.len()];
        for (place, entry) in entries.iter().enumerate() {
            by_partition[partition_of(&entry.order_id, self.partitions.len())].push(place);
        }
        let busy = by_partition.into_iter().enumerate().filter(|(_, places)| !places.is_empty());
        let appended = busy.map(|(partition, places)| async move {
            let entries: Vec<_> = places.iter().map(|place| &entries[*place]).collect();
            (self.append_to(partition, &entries).await, places)
        });
        let mut results: Vec<_> = entries.iter().map(|_| Ok(())).collect();
        for (result, places) in join_all(appended).await {
            if let Err(error) = result {
                places.iter().for_each(|place| results[*place] = Err(anyhow::anyhow!("{error:#}")));
            }
        }
        results
    }
}

impl FeedWriter {
    /// Appends entries, but does not move the heads. A relay that crashes before it moves the heads leaves the table in
    /// this state. Only tests call this function.
    #[doc(hidden)]
    pub async fn append_without_showing(&self, entries: &[FeedEntry]) -> anyhow::Result<()> {
        for entry in entries {
            let partition = partition_of(&entry.order_id, self.partitions.len());
            let mut tail = self.table.tail(partition).await?;
            self.append_chunks(partition, &mut tail, &[entry]).await?;
        }
        Ok(())
    }

    async fn append_to(&self, partition: usize, entries: &[&FeedEntry]) -> anyhow::Result<()> {
        let mut known = self.partitions[partition].lock().await;
        // The tail is taken out of `known`, and put back only after the events are appended. So no outdated tail
        // remains after a failure.
        let is_fresh = |tail: &Tail| crate::now().micros().saturating_sub(tail.read_at) < MAX_TAIL_AGE;
        let mut tail = match known.take().filter(is_fresh) {
            Some(tail) => tail,
            None => self.table.tail(partition).await?,
        };
        let result = self.append_and_show(partition, &mut tail, entries).await;
        *known = result.is_ok().then_some(tail);
        result.with_context(|| format!("appending to partition {partition} of the feed"))
    }

    async fn append_and_show(
        &self,
        partition: usize,
        tail: &mut Tail,
        entries: &[&FeedEntry],
    ) -> anyhow::Result<()> {
        self.append_chunks(partition, tail, entries).await?;
        self.table.show(partition, tail.head).await
    }

    async fn append_chunks(
        &self,
        partition: usize,
        tail: &mut Tail,
        entries: &[&FeedEntry],
    ) -> anyhow::Result<()> {
        self.table.catch_up(partition, tail).await?;
        let older = self.table.older_events(partition, tail, entries).await?;
        let mut attempt = 0;
        loop {
            let mut taken = HashSet::new();
            let is_new = |entry: &&&FeedEntry| {
                let key = (entry.order_id.clone(), entry.version);
                !tail.window.contains(&key) && !older.contains(&key) && taken.insert(key)
            };
            let new: Vec<_> = entries.iter().filter(is_new).take(MAX_EVENTS).collect();
            let Some(time) = new.iter().map(|entry| entry.recorded_at.micros()).max() else {
                return Ok(());
            };
            let chunk = Chunk {
                first: tail.head.next,
                time: time.max(tail.head.time),
                events: new.into_iter().map(|entry| EventRef::of(entry)).collect(),
            };
            if self.put(partition, &chunk).await? {
                tail.push(&chunk);
                attempt = 0;
                continue;
            }
            attempt += 1;
            if attempt == ATTEMPTS {
                bail!("other relays took the next position {ATTEMPTS} times");
            }
            tokio::time::sleep(full_jitter(attempt, FIRST_PAUSE, MAX_PAUSE)).await;
            self.table.catch_up(partition, tail).await?;
        }
    }

    /// Puts the chunk. Returns `false` if another chunk is at its position.
    async fn put(&self, partition: usize, chunk: &Chunk) -> anyhow::Result<bool> {
        let retention = i64::try_from(self.retention.as_secs()).unwrap_or(i64::MAX);
        let expires_at = (crate::now().micros() / 1_000_000).saturating_add(retention);
        let call = self.table.client.put_item().table_name(&self.table.name);
        let call = call
            .set_item(Some(chunk.item(partition, expires_at)?))
            .condition_expression("attribute_not_exists(pk)");
        condition_met(Box::pin(call.send()).await)
    }
}

impl Tail {
    fn push(&mut self, chunk: &Chunk) {
        self.window.push(chunk);
        self.head = Head { next: chunk.end(), time: chunk.time };
    }
}

impl OutboundTable {
    /// Reads the end of a partition from its head.
    async fn tail(&self, partition: usize) -> anyhow::Result<Tail> {
        // The relay has stored the number of partitions, so `heads` does not use the 0.
        let heads = self.heads(0, true).await?;
        let head = *heads.get(partition).with_context(|| format!("the feed has no partition {partition}"))?;
        let mut window = Window::empty(head.next, head.time);
        if head.next == 1 {
            window.extend_to_all();
        }
        Ok(Tail { head, window, read_at: crate::now().micros() })
    }

    /// Reads the chunks that other relays have put after the cached end.
    async fn catch_up(&self, partition: usize, tail: &mut Tail) -> anyhow::Result<()> {
        loop {
            let now = crate::now().micros();
            let chunks = self.chunks_between(partition, tail.head.next, u64::MAX, CHUNKS_PER_READ).await?;
            if chunks.is_empty() {
                tail.read_at = now;
                return Ok(());
            }
            for chunk in chunks {
                if chunk.first != tail.head.next {
                    bail!("the chunk at position {} is missing", tail.head.next);
                }
                tail.push(&chunk);
            }
        }
    }

    /// Finds entries that the feed already contains in chunks before the window. The result may also contain events
    /// that are not among `entries`.
    ///
    /// Usually the stream delivers entries soon after they are recorded, so they are in the window or in the few chunks
    /// before it. If the stream delivers old entries again, only two ranges are searched: the newest chunks before the
    /// window, and the chunks right after the time at which the oldest entry was recorded. An entry that was first
    /// relayed much later than it was recorded can be outside of both ranges, and is then repeated in the feed.
    async fn older_events(
        &self,
        partition: usize,
        tail: &mut Tail,
        entries: &[&FeedEntry],
    ) -> anyhow::Result<HashSet<(OrderId, u64)>> {
        let mut found = HashSet::new();
        let Some(oldest) = entries.iter().map(|entry| entry.recorded_at.micros()).min() else {
            return Ok(found);
        };
        let mut searched = 0;
        while !tail.window.covers(oldest) && searched < MAX_SEARCHED {
            let chunks = self.chunks_before(partition, tail.window.first(), CHUNKS_PER_READ).await?;
            if chunks.is_empty() {
                tail.window.extend_to_all();
            }
            searched += chunks.len();
            for chunk in chunks {
                if tail.window.covers(oldest) {
                    break;
                }
                tail.window.push_older(&chunk);
            }
        }
        if tail.window.covers(oldest) {
            return Ok(found);
        }
        let until = tail.window.first();
        let mut position = self.first_at(partition, oldest, until).await?;
        for _ in 0..MAX_SEARCHED / CHUNKS_PER_READ {
            let chunks = self.chunks_between(partition, position, until, CHUNKS_PER_READ).await?;
            let Some(last) = chunks.last() else { break };
            position = last.end();
            found.extend(chunks.into_iter().flat_map(|chunk| chunk.events).map(|event| (event.0, event.1)));
        }
        Ok(found)
    }

    /// Moves the head of the partition to `head`, unless the stored head is already at or after that position.
    async fn show(&self, partition: usize, head: Head) -> anyhow::Result<()> {
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", text("FEED"))
            .key("sk", text(format!("HEAD#{partition:04}")))
            .update_expression("SET #next = :next, #time = :time")
            .condition_expression("attribute_not_exists(#next) OR #next < :next")
            .expression_attribute_names("#next", "next")
            .expression_attribute_names("#time", "time")
            .expression_attribute_values(":next", integer(head.next))
            .expression_attribute_values(":time", integer(head.time));
        condition_met(Box::pin(call.send()).await).context("moving the head")?;
        Ok(())
    }
}
