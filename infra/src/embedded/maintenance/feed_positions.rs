//! Compares the feed with the log, for a rebuild.
//!
//! Each event of the log must have exactly one position, and the positions of an order's events must be in the order of
//! their versions. Positions that readers may have seen are never given to another event. A wrong entry becomes a lost
//! position, and an event without a position gets the next position.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_128;

use super::rebuild::Rebuild;
use crate::embedded::store::feed::decode::{FeedItem, FeedRow};
use crate::embedded::store::feed::encode::{lost_row, row_of};
use crate::embedded::store::feed::from_log::OrderInLog;
use crate::embedded::store::feed::{FIRST_SCRATCH_KEY, feed_key};
use crate::embedded::store::keys;

/// The approximate number of orders that one pass over the log and the feed compares. The limit bounds the memory of a
/// pass.
const ORDERS_OF_PASS: u64 = 2_000_000;

/// The progress of each order in one pass, by the hash of the order's id.
type OrdersOfPass = HashMap<u128, OrderProgress, RandomState>;

/// How far the log and the feed contain an order's versions without a gap.
#[derive(Debug, Default)]
struct OrderProgress {
    /// The latest version in the log.
    in_log: u64,
    /// The latest version that the feed contains in the right order. All versions up to this version have positions,
    /// which increase with the versions.
    in_feed: u64,
}

impl Rebuild<'_> {
    /// Compares the feed with the log. Each pass compares some of the orders.
    pub(super) async fn feed(&mut self) -> anyhow::Result<()> {
        self.feed_gaps().await?;
        let passes = u128::from(self.report.orders / ORDERS_OF_PASS + 1);
        for pass in 0..passes {
            let is_of_pass = |hash: u128| hash % passes == pass;
            let mut orders = OrdersOfPass::default();
            for row in self.log.store.keys.log.iter() {
                let key = row.key()?;
                let Some((order_id, version)) = keys::split_log_key(&key) else { continue };
                let hash = xxh3_128(order_id);
                if is_of_pass(hash) {
                    let order = orders.entry(hash).or_default();
                    order.in_log += u64::from(version == order.in_log + 1);
                }
            }
            self.wrong_entries(&mut orders, is_of_pass).await?;
            if orders.values().any(|order| order.in_feed < order.in_log) {
                self.missing_positions(&orders).await?;
            }
        }
        Ok(())
    }

    /// Looks for rows that cannot be read or overlap, and for positions without a row.
    async fn feed_gaps(&mut self) -> anyhow::Result<()> {
        let feed = &self.log.store.keys.feed;
        let end = self.log.store.view().feed;
        let (mut next, mut time, mut wrong) = (1, 0, Vec::new());
        for row in feed.range(..FIRST_SCRATCH_KEY.to_vec()) {
            let (key, value) = row.into_inner()?;
            let Some((row, last)) =
                FeedRow::decode(&key, &value).ok().and_then(whole).filter(|it| it.0.first >= next)
            else {
                wrong.push(key.to_vec());
                continue;
            };
            self.lost_positions(next, row.first - 1, time, &mut wrong);
            (next, time) = (last + 1, row.time);
            self.commit_full_chunk().await?;
        }
        self.lost_positions(next, end.position, time, &mut wrong);
        self.commit().await
    }

    /// Removes the damaged rows in `wrong`. Marks the positions `from` to `to` as lost, if that range is not empty.
    fn lost_positions(&mut self, from: u64, to: u64, time: i64, wrong: &mut Vec<Vec<u8>>) {
        let feed = &self.log.store.keys.feed;
        let key = feed_key(from);
        for wrong in wrong.drain(..).filter(|wrong| *wrong != key || from > to) {
            self.differs("feed: a row is damaged".to_owned(), feed, wrong, None);
        }
        if from <= to {
            let finding = format!("feed: the positions {from} to {to} have no readable row");
            self.differs(finding, feed, key, Some(lost_row(time, to - from + 1)));
        }
    }

    /// Looks for feed entries whose version is not the next version of their order.
    async fn wrong_entries(
        &mut self,
        orders: &mut OrdersOfPass,
        is_of_pass: impl Fn(u128) -> bool,
    ) -> anyhow::Result<()> {
        let feed = &self.log.store.keys.feed;
        for row in feed.range(..FIRST_SCRATCH_KEY.to_vec()) {
            let (key, value) = row.into_inner()?;
            // A row that cannot be read was reported by `feed_gaps`.
            let Ok(row) = FeedRow::decode(&key, &value) else { continue };
            let mut items: Vec<_> = row.items().flatten().collect();
            let mut is_wrong = false;
            for item in &mut items {
                let FeedItem::Event(entry) = *item else { continue };
                let (order_id, version, position) = (entry.order_id()?, entry.version, entry.position);
                let hash = xxh3_128(order_id.as_str().as_bytes());
                if !is_of_pass(hash) {
                    continue;
                }
                let order = orders.entry(hash).or_default();
                if version == order.in_feed + 1 && version <= order.in_log {
                    order.in_feed = version;
                    continue;
                }
                let why = if version > order.in_log { "is not in the log" } else { "is out of order" };
                self.report.differences.add(format!(
                    "feed: version {version} of order {order_id}, at position {position}, {why}"
                ));
                *item = FeedItem::Lost { position, count: 1 };
                is_wrong = true;
            }
            if is_wrong {
                self.correct(feed, key.to_vec(), Some(row_of(row.time, &items)?));
                self.commit_full_chunk().await?;
            }
        }
        self.commit().await
    }

    /// Gives a position to each event of the orders of a pass that has no position.
    async fn missing_positions(&mut self, orders: &OrdersOfPass) -> anyhow::Result<()> {
        let mut current: Option<OrderInLog> = None;
        for row in self.log.store.keys.log.iter() {
            let (key, entry) = row.into_inner()?;
            let Some((order_id, version)) = keys::split_log_key(&key) else { continue };
            let Some(progress) = orders.get(&xxh3_128(order_id)) else { continue };
            if progress.in_feed == progress.in_log {
                continue;
            }
            let known = current.take().filter(|order| order.has(&key));
            let order = current.insert(known.map_or_else(|| OrderInLog::new(&key), Ok)?);
            let missing = order.next(version, &entry, self.log.default_currency);
            if version > progress.in_feed && version <= progress.in_log {
                let finding = format!("feed: version {version} of order {} has no position", order.order_id);
                self.report.differences.add(finding);
                self.missing_positions.push(missing);
                self.commit_full_chunk().await?;
            }
        }
        self.commit().await
    }
}

/// Checks that all entries of a feed row can be read. Returns the row and its latest position, or `None` if an entry is
/// unreadable.
fn whole(row: FeedRow<'_>) -> Option<(FeedRow<'_>, u64)> {
    let mut last = None;
    for item in row.items() {
        last = Some(item.ok()?.last_position());
    }
    Some((row, last?))
}

#[cfg(test)]
mod tests;
