//! The ports through which the relay reads and writes. `infra` implements them on DynamoDB.

use std::time::Duration;

use async_trait::async_trait;
use domain::{CustomerId, OrderId};

use super::{FeedEntry, StreamEntry};

/// Appends to the feed.
#[async_trait]
pub trait FeedSink: Send + Sync {
    /// Appends entries in order, and returns one result for each entry. An entry that the feed already contains is not
    /// appended again, even if another process appends it at the same time. The result of such an entry is `Ok`.
    async fn append(&self, entries: &[FeedEntry]) -> Vec<anyhow::Result<()>>;
}

/// Sends recorded events on to webhook subscriptions.
#[async_trait]
pub trait WebhookOutbox: Send + Sync {
    /// Sends entries in order, each to the subscriptions that select it, and returns one result for each entry. After a failure,
    /// no later entry of the order is sent to that subscription.
    async fn send(&self, entries: &[FeedEntry]) -> Vec<anyhow::Result<()>>;
}

/// Finds the customers of orders.
#[async_trait]
pub trait CustomerLookup: Send + Sync {
    /// Looks up the customers of the given orders. The result is not sorted. An order without a log entry is
    /// left out.
    async fn customers(&self, orders: &[OrderId]) -> anyhow::Result<Vec<(OrderId, CustomerId)>>;
}

/// The change stream of the table of orders, which consists of shards. The stream keeps changes for 24 hours.
#[async_trait]
pub trait ChangeStream: Send + Sync {
    /// The current shards of the stream.
    async fn shards(&self) -> anyhow::Result<Vec<Shard>>;

    /// Begins to read a shard after the checkpoint `from`. Returns the iterator for [`ChangeStream::read`].
    async fn iterate(&self, shard: &str, from: &Checkpoint) -> Result<String, StreamError>;

    /// Reads the page at the iterator. A page may be empty.
    async fn read(&self, iterator: &str) -> Result<ShardPage, StreamError>;
}

/// A part of the change stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The id of the shard.
    pub id: String,
    /// The id of the parent: the shard that this shard continues, if any. The entries of the parent must be relayed
    /// first.
    pub parent: Option<String>,
}

/// How far a shard is relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// Nothing is relayed yet.
    Start,
    /// Everything up to the record with the given sequence number is relayed.
    After(String),
    /// Everything is relayed, and the shard gets no further records.
    End,
}

/// A page of a shard.
#[derive(Debug, Default)]
pub struct ShardPage {
    /// The new log entries, each with the sequence number of its record.
    pub entries: Vec<(String, anyhow::Result<StreamEntry>)>,
    /// The sequence number of the last record of the page, even if that record is not a new log entry.
    pub last: Option<String>,
    /// The iterator of the next page. `None` at the end of a shard that gets no further records.
    pub next: Option<String>,
}

/// Why a shard could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The iterator is too old. The caller can continue with a new iterator from its checkpoint.
    #[error("the iterator of the shard has expired")]
    IteratorExpired,
    /// The records after the checkpoint are older than 24 hours and are gone.
    #[error("the change stream no longer has the records after the checkpoint")]
    Trimmed,
    /// The stream failed.
    #[error("the change stream failed")]
    Failed(#[from] anyhow::Error),
}

/// The checkpoints of shards, and leases that keep two relays from working on the same shard. Leases only save work:
/// even without them, the feed would be in order.
#[async_trait]
pub trait ShardLeases: Send + Sync {
    /// The checkpoint of a shard.
    async fn checkpoint(&self, shard: &str) -> anyhow::Result<Checkpoint>;

    /// Takes or renews the lease of a shard for the duration `time`. Returns the checkpoint, or `None` if
    /// another owner holds the lease.
    async fn take(&self, shard: &str, owner: &str, time: Duration) -> anyhow::Result<Option<Checkpoint>>;

    /// Stores a checkpoint and renews the lease. Returns `false` if another owner has taken the lease.
    async fn store(
        &self,
        shard: &str,
        owner: &str,
        checkpoint: &Checkpoint,
        time: Duration,
    ) -> anyhow::Result<bool>;

    /// Gives the lease up, so that another relay can take it immediately.
    async fn release(&self, shard: &str, owner: &str) -> anyhow::Result<()>;
}
