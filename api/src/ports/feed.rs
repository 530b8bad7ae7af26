//! The feed: the recorded events of all orders, in the order of their positions. The handlers of `GET /v1/events` read it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::{CustomerId, EventType, RecordedEvent, Timestamp};
use tokio::time::Instant;

/// Reads the feed.
///
/// A reader continues from the cursor of each page. So the reader gets every event that passes its filter, and gets the
/// events of an order in the order of their versions. After a failure, the reader may get an event again: delivery is
/// at least once.
#[async_trait]
pub trait EventFeed: Send + Sync {
    /// Returns the cursor for a reader that starts at `from`.
    async fn start(&self, from: FeedStart) -> anyhow::Result<FeedCursor>;

    /// Returns a page of up to `limit` events that are after the cursor `after` and pass the filter. The number of
    /// events examined is limited, so a page may have fewer events, or none, before the end of the feed.
    async fn read(
        &self,
        filter: &FeedFilter,
        after: &FeedCursor,
        limit: usize,
    ) -> Result<FeedPage, FeedError>;

    /// Waits until the feed may have an event after `after` that passes the filter, but at most until `until`. Returns
    /// the cursor from which the reader continues: `after` or a later cursor. A later cursor skips only events that do
    /// not pass the filter, so a reader that waits for rare events need not examine the skipped ones.
    async fn wait(&self, filter: &FeedFilter, after: &FeedCursor, until: Instant) -> FeedCursor;
}

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedStart {
    /// At the oldest event.
    Oldest,
    /// After the latest event.
    Latest,
    /// At the first event that was recorded at this time or later. The reader may start earlier, but never later.
    At(Timestamp),
}

/// Selects events. Every condition that is present must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedFilter {
    /// Only events of these types. Empty: all types.
    pub types: BTreeSet<EventType>,
    /// Only events of this customer's orders.
    pub customer_id: Option<CustomerId>,
}

/// A place in the feed: for each partition, the position after which the reader continues. The embedded feed has one
/// partition, and the feed on AWS has several. The list is never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedCursor(pub Vec<u64>);

/// An event of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEvent {
    /// The position of the event in the feed, as text. On AWS, the text contains the partition too.
    pub position: String,
    /// The cursor with which a reader continues after this event.
    pub cursor: FeedCursor,
    /// The event.
    pub event: RecordedEvent,
}

/// A page of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// The events.
    pub events: Vec<FeedEvent>,
    /// The place where the next page begins.
    pub next: FeedCursor,
    /// Whether there was no further event when the page was read.
    pub is_last: bool,
}

/// Why the feed could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The cursor does not belong to this feed. For example, another service returned it, or it contains a position
    /// that the feed has not reached.
    #[error("the cursor does not belong to this feed")]
    UnknownCursor,
    /// The events after the cursor are no longer kept.
    #[error("the events after the cursor are no longer kept")]
    Expired,
    /// The store failed.
    #[error("the store failed")]
    Failed(#[from] anyhow::Error),
}
