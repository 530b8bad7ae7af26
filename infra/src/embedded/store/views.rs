//! The two states of the store that can be read. Queries read a [`View`], which is synced. The writing thread reads the
//! [`LatestCommit`]. So does the code that judges events before they reach the writing thread.
//!
//! A commit can be read before it is synced. Until the sync, a power cut could remove the commit, so no client may see
//! its writes.

use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard};

use fjall::{Iter, Keyspace, Readable as _, Snapshot, UserValue};

use super::counters::Totals;
use super::feed::FeedEnd;
use super::keyspaces::NumberedKeyspace;

/// The store as of one commit.
pub(crate) struct View {
    snapshot: Snapshot,
    pub(crate) commit: u64,
    /// The totals as of the commit.
    pub(crate) totals: Totals,
    /// The end of the feed as of the commit.
    pub(crate) feed: FeedEnd,
}

impl View {
    pub(crate) fn new(snapshot: Snapshot, commit: u64, totals: Totals, feed: FeedEnd) -> Self {
        Self { snapshot, commit, totals, feed }
    }

    /// All rows whose key begins with the prefix.
    pub(crate) fn prefix(&self, keyspace: &NumberedKeyspace, prefix: Vec<u8>) -> Iter {
        self.snapshot.prefix(keyspace, prefix)
    }
}

/// The view of the latest synced commit. The syncing thread replaces it.
pub(crate) struct SyncedView(Mutex<Arc<View>>);

impl SyncedView {
    pub(crate) fn new(view: View) -> Self {
        Self(Mutex::new(Arc::new(view)))
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.lock())
    }

    /// Makes a later commit visible to readers. The caller must have synced it.
    pub(crate) fn replace(&self, view: View) {
        let before = std::mem::replace(&mut *self.lock(), Arc::new(view));
        // The old view is dropped outside of the lock, because closing a snapshot takes a while.
        drop(before);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<View>> {
        // No code panics while it holds the lock.
        self.0.lock().expect("the view is intact")
    }
}

/// The store as of the latest commit, even if that commit is not synced yet.
pub(crate) struct LatestCommit {
    /// The number of dead letters that are parked or being redriven.
    pub(crate) dead_letters: u64,
}

/// Reads one state of the store.
pub(crate) trait ReadStore {
    fn get(&self, keyspace: &NumberedKeyspace, key: impl AsRef<[u8]>) -> fjall::Result<Option<UserValue>>;
    fn range(&self, keyspace: &NumberedKeyspace, range: impl RangeBounds<Vec<u8>>) -> Iter;
    /// The number of dead letters that are parked or being redriven.
    fn dead_letters(&self) -> u64;
}

impl ReadStore for View {
    fn get(&self, keyspace: &NumberedKeyspace, key: impl AsRef<[u8]>) -> fjall::Result<Option<UserValue>> {
        self.snapshot.get(keyspace, key)
    }

    fn range(&self, keyspace: &NumberedKeyspace, range: impl RangeBounds<Vec<u8>>) -> Iter {
        self.snapshot.range(keyspace, range)
    }

    fn dead_letters(&self) -> u64 {
        self.totals.counters.letters
    }
}

impl ReadStore for LatestCommit {
    fn get(&self, keyspace: &NumberedKeyspace, key: impl AsRef<[u8]>) -> fjall::Result<Option<UserValue>> {
        Keyspace::get(keyspace, key)
    }

    fn range(&self, keyspace: &NumberedKeyspace, range: impl RangeBounds<Vec<u8>>) -> Iter {
        Keyspace::range(keyspace, range)
    }

    fn dead_letters(&self) -> u64 {
        self.dead_letters
    }
}
