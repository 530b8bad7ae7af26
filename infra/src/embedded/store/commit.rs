//! Makes the commits of the store, one after the other, and numbers them. The writing thread owns a [`Committer`].
//! Opening and recovery use a committer as well.

use std::sync::Arc;

use fjall::{AbstractTree, UserValue};

use super::chain::{Chain, Link};
use super::changes::OrderChanges;
use super::counters::{LatestTotals, Totals};
use super::feed::{self, FeedEnd};
use super::keyspaces::{self, Keyspaces};
use super::stage::Stage;
use super::views::View;

pub(crate) struct Committer {
    pub(crate) keys: Keyspaces,
    pub(crate) totals: LatestTotals,
    pub(crate) changes: Arc<OrderChanges>,
    pub(crate) chain: Chain,
    /// The end of the feed as of the latest commit.
    pub(crate) feed: FeedEnd,
}

/// A commit that was written.
pub(crate) struct Committed {
    pub(crate) view: View,
    /// The rows of the feed that the commit added, each with its first position.
    pub(crate) feed_rows: Vec<(u64, UserValue)>,
}

impl Committer {
    pub(crate) fn stage(&self) -> Stage {
        Stage::new(&self.keys.db, self.totals.get())
    }

    /// Writes the staged writes together with the counters, the positions of the recorded events and the commit number.
    pub(crate) fn commit(&mut self, mut stage: Stage) -> fjall::Result<Committed> {
        let before = self.totals.get();
        let after = Totals { counters: stage.counters, queued: stage.queued };
        let meta = &self.keys.meta;
        if after.counters != before.counters {
            let row = serde_json::to_vec(&after.counters).expect("counters always serialize");
            stage.put(meta, keyspaces::LEDGER, row);
        }
        if let Some(next) = stage.next_seq {
            stage.put(meta, keyspaces::NEXT_SEQ, next.to_be_bytes());
        }
        let mut feed_end = self.feed;
        let feed_rows = self.stage_feed(&mut stage, &mut feed_end);
        stage.touched.add(keyspaces::META);
        let link = self.chain.next(stage.touched);
        stage.put(meta, Link::KEY, link.encode());
        // The changed orders must be recorded before any reader can see the commit.
        self.changes.record(&stage.changed_orders, link.commit);
        stage.commit(|| self.totals.set(after))?;
        // Only the writing thread writes to the database, so the latest write to `meta` belongs to the commit just
        // made.
        let seqno = meta.tree.get_highest_seqno().expect("every commit writes to the keyspace `meta`");
        self.chain = Chain::after(&link, seqno);
        self.feed = feed_end;
        let view = View::new(self.keys.db.snapshot(), link.commit, after, feed_end);
        Ok(Committed { view, feed_rows })
    }

    /// Commits one of many stages of a restore or an upgrade, and limits how much data is only in memory and in
    /// journals. Without the limit, fjall would keep several tables of each keyspace in memory, and read all of their
    /// journals at the next start.
    pub(crate) fn commit_portion(&mut self, stage: Stage) -> fjall::Result<()> {
        self.commit(stage)?;
        self.keys.write_large_tables()
    }

    /// Adds lost positions to the end of the feed, and stages a row for them. The same commit must not record events.
    pub(crate) fn stage_lost_positions(&mut self, stage: &mut Stage, count: u64) {
        let row = feed::encode::lost_row(self.feed.time, count);
        stage.put(&self.keys.feed, (self.feed.position + 1).to_be_bytes(), row);
        self.feed.position += count;
    }

    /// Stages feed rows for the recorded events, and moves the end of the feed.
    fn stage_feed(&self, stage: &mut Stage, end: &mut FeedEnd) -> Vec<(u64, UserValue)> {
        let recorded = std::mem::take(&mut stage.recorded);
        let rows = feed::encode::number(&recorded, end);
        let stage_row = |(first, row): (u64, Vec<u8>)| {
            let row = UserValue::from(row);
            stage.put(&self.keys.feed, first.to_be_bytes(), row.clone());
            (first, row)
        };
        rows.into_iter().map(stage_row).collect()
    }
}
