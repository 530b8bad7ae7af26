//! What the jobs of one commit want written, before it is.

use std::cell::OnceCell;
use std::collections::HashSet;

use fjall::{Database, OwnedWriteBatch, PersistMode, UserKey, UserValue};
use foldhash::fast::RandomState;

use super::chain::Touched;
use super::keys::Numbered;
use super::sync::Waiting;
use super::writer::{Books, Completion, Failure, Totals};

/// What the jobs of one commit want written.
pub(crate) struct Stage {
    /// The books after the commit.
    pub(crate) books: Books,
    /// Why this is not committed, if a write has failed before: then no job stages anything.
    pub(crate) failure: Failure,
    /// Messages on the queue after the commit.
    pub(crate) queued: u64,
    /// The number of the next message, if messages got numbers.
    pub(crate) next_seq: Option<u64>,
    batch: OwnedWriteBatch,
    after_commit: Vec<Box<dyn FnOnce() + Send>>,
    /// Who is to be told how it went, and what is to be done then.
    pub(crate) waiting: Waiting,
    staged: HashSet<Vec<u8>, RandomState>,
    pub(crate) touched: Touched,
    bytes: usize,
    /// Whether the disk is full, once somebody has looked.
    full_disk: OnceCell<Option<String>>,
}

impl Stage {
    pub(crate) fn new(db: &Database, before: Totals) -> Self {
        Self {
            books: before.books,
            failure: None,
            queued: before.queued,
            next_seq: None,
            batch: db.batch().durability(Some(PersistMode::Buffer)),
            after_commit: Vec::new(),
            waiting: Waiting::default(),
            staged: HashSet::default(),
            touched: Touched::default(),
            bytes: 0,
            full_disk: OnceCell::new(),
        }
    }

    /// Writes a value.
    pub(crate) fn put(&mut self, keyspace: &Numbered, key: impl Into<UserKey>, value: impl Into<UserValue>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.touched.add(keyspace.number);
        self.batch.insert(keyspace, key, value);
    }

    /// Why the disk has no room, if so; `look` finds it out, once for all jobs of this commit.
    pub(crate) fn full_disk(&self, look: impl FnOnce() -> Option<String>) -> Option<String> {
        self.full_disk.get_or_init(look).clone()
    }

    /// Removes a value.
    pub(crate) fn remove(&mut self, keyspace: &Numbered, key: impl Into<UserKey>) {
        let key = key.into();
        self.bytes += key.len();
        self.touched.add(keyspace.number);
        self.batch.remove(keyspace, key);
    }

    /// Runs once the commit has succeeded, before anybody is told of it, even if nobody waits any more.
    pub(crate) fn after_commit(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(effect));
    }

    /// Runs once the commit is on the disk, before anybody is told that it is, even if nobody waits any more. For jobs
    /// that are [`Durability::Synced`](super::writer::Durability).
    pub(crate) fn after_sync(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.waiting.effects.push(if_synced(effect));
    }

    /// The same, once everybody is told: for what nobody is to wait for.
    pub(crate) fn at_last(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.waiting.at_last.push(if_synced(effect));
    }

    /// About how much is to be written.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes all of it, or nothing; then says so by `committed`, before anything else that waits for it.
    pub(crate) fn commit(self, committed: impl FnOnce()) -> fjall::Result<()> {
        self.batch.commit()?;
        committed();
        self.after_commit.into_iter().for_each(|effect| effect());
        Ok(())
    }

    /// Notes that this commit takes `key`, for later jobs of the same commit.
    pub(crate) fn claim(&mut self, key: Vec<u8>) {
        self.staged.insert(key);
    }

    /// Whether an earlier job of this commit has claimed `key`.
    pub(crate) fn has_staged(&self, key: &[u8]) -> bool {
        self.staged.contains(key)
    }
}

fn if_synced(effect: impl FnOnce() + Send + 'static) -> Completion {
    Box::new(move |failure| {
        if failure.is_none() {
            effect();
        }
    })
}
