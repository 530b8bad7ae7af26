//! Reads the feed for one client, with its filter and its limits. `page` and `stream` use this module.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use crate::auth::Principal;
use crate::input::{ValidationCode, ValidationError};
use crate::ports::feed::{EventFeed, FeedCursor, FeedError, FeedFilter, FeedPage, FeedStart};
use crate::problem::{Problem, ProblemKind};

/// Reads the feed for one client, who gets only the events that it asks for and may see.
pub(super) struct FeedReader {
    feed: Arc<dyn EventFeed>,
    /// Selects the events that the client asks for and may see. `None` if the client may see none of them, because its
    /// token is limited to another customer.
    filter: Option<FeedFilter>,
    /// Whether the client is an operator.
    pub(super) operates: bool,
}

/// Where the client's cursor comes from: the query, or the header `Last-Event-ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CursorOrigin {
    Query,
    LastEventId,
}

impl FeedReader {
    pub(super) fn new(feed: Arc<dyn EventFeed>, filter: FeedFilter, principal: &Principal) -> Self {
        let is_visible = filter.customer_id.as_ref().is_none_or(|customer_id| principal.sees(customer_id));
        let customer_id = principal.customer_id.clone().or(filter.customer_id);
        let filter = is_visible.then_some(FeedFilter { customer_id, types: filter.types });
        Self { feed, filter, operates: principal.operates() }
    }

    pub(super) async fn start(&self, from: FeedStart) -> anyhow::Result<FeedCursor> {
        self.feed.start(from).await
    }

    /// Reads up to `limit` events after the cursor `after`.
    pub(super) async fn read(&self, after: &FeedCursor, limit: usize) -> Result<FeedPage, FeedError> {
        match &self.filter {
            Some(filter) => self.feed.read(filter, after, limit).await,
            None => Ok(FeedPage { events: Vec::new(), next: after.clone(), is_last: true }),
        }
    }

    /// Waits until there may be an event after the cursor `after`, but at most until `until`. Returns the cursor from
    /// which the reader continues.
    pub(super) async fn wait(&self, after: &FeedCursor, until: Instant) -> FeedCursor {
        match &self.filter {
            Some(filter) => self.feed.wait(filter, after, until).await,
            None => {
                sleep_until(until).await;
                after.clone()
            }
        }
    }
}

/// The problem for an error of the feed: either the feed has failed, or it refuses the client's cursor.
pub(super) fn refused(error: FeedError, origin: CursorOrigin) -> Problem {
    const UNKNOWN: &str = "must be a cursor of this feed, and not of another service";
    match (error, origin) {
        (FeedError::UnknownCursor, CursorOrigin::Query) => {
            let error = ValidationError::parameter("after", ValidationCode::Format, UNKNOWN);
            Problem::invalid_parameters(vec![error])
        }
        (FeedError::UnknownCursor, CursorOrigin::LastEventId) => {
            Problem::invalid_header("Last-Event-ID", UNKNOWN)
        }
        (FeedError::Expired, _) => {
            let detail = "The events after the cursor are no longer kept. Start again with from=oldest, and expect that events \
                          are missing.";
            Problem::new(ProblemKind::CursorExpired, detail)
        }
        (FeedError::Failed(cause), _) => cause.into(),
    }
}
