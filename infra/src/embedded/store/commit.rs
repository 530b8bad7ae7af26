//! Makes the commits of the store, one after the other, and numbers them. The writing thread owns a [`Committer`].
//! Opening and recovering a store use one as well, for a single commit.

use std::sync::Arc;

use fjall::AbstractTree;

use super::chain::{Chain, Link};
use super::changes::OrderChanges;
use super::counters::{LatestTotals, Totals};
use super::keyspaces::{self, Keyspaces};
use super::stage::Stage;
use super::views::View;

pub(crate) struct Committer {
    pub(crate) keys: Keyspaces,
    pub(crate) totals: LatestTotals,
    pub(crate) changes: Arc<OrderChanges>,
    /// The latest commit.
    pub(crate) chain: Chain,
}

impl Committer {
    /// An empty stage for the next commit.
    pub(crate) fn stage(&self) -> Stage {
        Stage::new(&self.keys.db, self.totals.get())
    }

    /// Writes the staged writes together with the counters and the commit number. Returns the store as of this commit.
    pub(crate) fn commit(&mut self, mut stage: Stage) -> fjall::Result<View> {
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
        stage.touched.add(keyspaces::META);
        let link = self.chain.next(stage.touched);
        stage.put(meta, Link::KEY, link.encode());
        // Before any reader can see the commit.
        self.changes.record(&stage.changed_orders, link.commit);
        stage.commit(|| self.totals.set(after))?;
        // Only this thread writes, so the database's latest write belongs to this commit.
        let seqno = meta.tree.get_highest_seqno().expect("a commit was written");
        self.chain = Chain::after(&link, seqno);
        Ok(View::new(self.keys.db.snapshot(), link.commit, after))
    }
}
