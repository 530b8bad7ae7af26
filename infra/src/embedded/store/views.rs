//! What readers see: the store as of the latest commit that is on the disk. A commit can be read before it is synced, and
//! a power cut could take away again what somebody was shown, so whoever answers a query reads a [`View`]. The writer, and
//! whoever judges events for it, reads the [`Latest`].

use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard};

use fjall::{Iter, Keyspace, Readable as _, Snapshot, UserValue};

use super::keys::Numbered;
use super::writer::Totals;

/// The store as of one commit.
pub(crate) struct View {
    snapshot: Snapshot,
    /// Its numbers, as of the same commit.
    pub(crate) totals: Totals,
}

impl View {
    pub(crate) fn new(snapshot: Snapshot, totals: Totals) -> Self {
        Self { snapshot, totals }
    }
}

/// Holds the view that readers see. The thread that syncs replaces it.
pub(crate) struct Synced(Mutex<Arc<View>>);

impl Synced {
    pub(crate) fn new(view: View) -> Self {
        Self(Mutex::new(Arc::new(view)))
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.lock())
    }

    /// Shows readers what is on the disk now.
    pub(crate) fn show(&self, view: View) {
        let before = std::mem::replace(&mut *self.lock(), Arc::new(view));
        drop(before);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<View>> {
        // Nothing that is done under the lock panics.
        self.0.lock().expect("the view is intact")
    }
}

/// The store with everything that is committed, synced or not.
pub(crate) struct Latest {
    /// Dead letters that are parked or on their way back.
    pub(crate) letters: u64,
}

/// A state of the store that can be read.
pub(crate) trait Rows {
    fn get(&self, keyspace: &Numbered, key: impl AsRef<[u8]>) -> fjall::Result<Option<UserValue>>;
    fn range(&self, keyspace: &Numbered, range: impl RangeBounds<Vec<u8>>) -> Iter;
    /// Dead letters that are parked or on their way back.
    fn letters(&self) -> u64;
}

impl Rows for View {
    fn get(&self, keyspace: &Numbered, key: impl AsRef<[u8]>) -> fjall::Result<Option<UserValue>> {
        self.snapshot.get(keyspace, key)
    }

    fn range(&self, keyspace: &Numbered, range: impl RangeBounds<Vec<u8>>) -> Iter {
        self.snapshot.range(keyspace, range)
    }

    fn letters(&self) -> u64 {
        self.totals.books.letters
    }
}

impl Rows for Latest {
    fn get(&self, keyspace: &Numbered, key: impl AsRef<[u8]>) -> fjall::Result<Option<UserValue>> {
        Keyspace::get(keyspace, key)
    }

    fn range(&self, keyspace: &Numbered, range: impl RangeBounds<Vec<u8>>) -> Iter {
        Keyspace::range(keyspace, range)
    }

    fn letters(&self) -> u64 {
        self.letters
    }
}
