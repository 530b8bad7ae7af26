//! The writes of a commit that is being prepared. The writer makes a [`Stage`] for each commit. The jobs of the commit
//! fill the stage, one after the other.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use domain::{OrderId, Reference};
use fjall::{Database, OwnedWriteBatch, PersistMode, UserKey, UserValue};
use foldhash::fast::RandomState;

use super::chain::TouchedKeyspaces;
use super::changes::ChangedOrders;
use super::counters::{Counters, Totals};
use super::feed::encode::NewFeedEntry;
use super::keyspaces::NumberedKeyspace;
use super::sync::{AwaitingSync, Completion, Failure};

pub(crate) struct Stage {
    /// The counters of the store as of the commit.
    pub(crate) counters: Counters,
    /// The failure after which the store can no longer be written. `None` while the store can be written. After a
    /// failure, no job stages anything.
    pub(crate) failure: Failure,
    /// The number of messages on the queue as of the commit.
    pub(crate) queued: u64,
    /// The next free sequence number, if the commit assigns any.
    pub(crate) next_seq: Option<u64>,
    batch: OwnedWriteBatch,
    after_commit: Vec<Box<dyn FnOnce() + Send>>,
    /// The replies to send and the effects to run once the commit is synced.
    pub(crate) awaiting_sync: AwaitingSync,
    claimed_keys: HashSet<Vec<u8>, RandomState>,
    /// The references that earlier jobs of the commit give to orders.
    pub(crate) claimed_references: HashMap<Reference, OrderId>,
    /// The events that the commit records, in the order of their positions.
    pub(crate) recorded: Vec<NewFeedEntry>,
    pub(crate) touched: TouchedKeyspaces,
    pub(crate) changed_orders: ChangedOrders,
    bytes: usize,
    /// The reason why the disk is too full for writes. `None` if the disk is not too full. The cell is empty until a
    /// job of the commit has checked the disk.
    full_disk: OnceCell<Option<String>>,
}

impl Stage {
    pub(crate) fn new(db: &Database, before: Totals) -> Self {
        Self {
            counters: before.counters,
            failure: None,
            queued: before.queued,
            next_seq: None,
            batch: db.batch().durability(Some(PersistMode::Buffer)),
            after_commit: Vec::new(),
            awaiting_sync: AwaitingSync::default(),
            claimed_keys: HashSet::default(),
            claimed_references: HashMap::new(),
            recorded: Vec::new(),
            touched: TouchedKeyspaces::default(),
            changed_orders: ChangedOrders::default(),
            bytes: 0,
            full_disk: OnceCell::new(),
        }
    }

    pub(crate) fn put(
        &mut self,
        keyspace: &NumberedKeyspace,
        key: impl Into<UserKey>,
        value: impl Into<UserValue>,
    ) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.touched.add(keyspace.number);
        self.changed_orders.add(keyspace.number, &key);
        self.batch.insert(keyspace, key, value);
    }

    pub(crate) fn remove(&mut self, keyspace: &NumberedKeyspace, key: impl Into<UserKey>) {
        let key = key.into();
        self.bytes += key.len();
        self.touched.add(keyspace.number);
        self.changed_orders.add(keyspace.number, &key);
        self.batch.remove(keyspace, key);
    }

    /// Adds an event to the feed, at the next position. Positions are assigned in the order of the calls. The job must
    /// also stage the log entry of the event.
    pub(crate) fn record(&mut self, entry: NewFeedEntry) {
        self.bytes += entry.bytes.len();
        self.recorded.push(entry);
    }

    /// Returns why the disk is too full for writes, or `None` if it is not too full. Only the first call in a commit
    /// runs `look`, which checks the disk. Later calls get the same result.
    pub(crate) fn full_disk(&self, look: impl FnOnce() -> Option<String>) -> Option<String> {
        self.full_disk.get_or_init(look).clone()
    }

    /// Runs `effect` once the commit has succeeded, before any caller gets its result. The effect runs even if the
    /// caller has stopped waiting.
    pub(crate) fn after_commit(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(effect));
    }

    /// Runs `effect` once the commit is synced, before any caller gets its result. The effect runs even if the caller
    /// has stopped waiting. Only jobs that are [`Durability::Synced`](super::writer::Durability) may call this
    /// function.
    pub(crate) fn after_sync(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.awaiting_sync.effects.push(if_synced(effect));
    }

    /// Like [`Stage::after_sync`], but runs after the callers have their results. Use this function for work that no
    /// caller waits for.
    pub(crate) fn after_replies(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.awaiting_sync.effects_after_replies.push(if_synced(effect));
    }

    /// The approximate number of bytes that the commit writes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Commits the staged writes atomically. After the commit, runs `committed` first, and the other effects after it.
    pub(crate) fn commit(self, committed: impl FnOnce()) -> fjall::Result<()> {
        self.batch.commit()?;
        committed();
        self.after_commit.into_iter().for_each(|effect| effect());
        Ok(())
    }

    /// Reserves `key` for the calling job. [`Stage::is_claimed`] reports the key to later jobs of the same commit.
    pub(crate) fn claim(&mut self, key: Vec<u8>) {
        self.claimed_keys.insert(key);
    }

    /// Whether an earlier job of the same commit has claimed `key`.
    pub(crate) fn is_claimed(&self, key: &[u8]) -> bool {
        self.claimed_keys.contains(key)
    }
}

pub(crate) fn if_synced(effect: impl FnOnce() + Send + 'static) -> Completion {
    Box::new(move |failure| {
        if failure.is_none() {
            effect();
        }
    })
}
