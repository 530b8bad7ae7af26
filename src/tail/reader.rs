//! Reads the feed page by page. While it follows the feed, repeats requests that fail. [`super::run`] uses this module.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use crate::api_client::{ApiClient, RequestFailure, with_query};
use crate::telemetry;

/// The number of events to request in a page. It is the maximum that the service allows.
const LIMIT: usize = 1000;
/// How long a request at the end of the feed waits for events, in seconds. It is the maximum that the
/// service allows.
const WAIT_SECONDS: u64 = 25;
/// The first pause and the longest pause before a failed request is repeated.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// A page of the feed. The items are printed as they are.
#[derive(Debug, Deserialize)]
pub(super) struct FeedPage {
    pub(super) items: Vec<Box<RawValue>>,
    next_cursor: String,
    pub(super) has_more: bool,
}

pub(super) struct TailReader {
    client: ApiClient,
    filter: Vec<(&'static str, String)>,
    /// The query parameter that states where the next page begins.
    place: (&'static str, String),
    follows: bool,
    /// Whether the last page was the end of the feed.
    is_at_end: bool,
    /// Whether a page has been read. If the first request fails, the command reports the error and does not retry.
    has_begun: bool,
}

impl TailReader {
    pub(super) fn new(
        client: ApiClient,
        filter: Vec<(&'static str, String)>,
        start: (&'static str, String),
        follows: bool,
    ) -> Self {
        Self { client, filter, place: start, follows, is_at_end: false, has_begun: false }
    }

    /// Reads the next page. While following, waits for events at the end of the feed. A page that fails is read again
    /// as a whole, so no event is missing or returned twice.
    pub(super) async fn next_page(&mut self) -> anyhow::Result<FeedPage> {
        let mut pause = BACKOFF.0;
        loop {
            match self.read().await {
                Ok(page) => {
                    self.place = ("after", page.next_cursor.clone());
                    (self.is_at_end, self.has_begun) = (!page.has_more, true);
                    return Ok(page);
                }
                Err(RequestFailure::Temporary(error)) if self.follows && self.has_begun => {
                    if pause == BACKOFF.0 {
                        // The error is printed and not logged, because its reader is the person who typed the command.
                        telemetry::print(&format!("{error:#}; trying again"));
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(BACKOFF.1);
                }
                Err(RequestFailure::Temporary(error) | RequestFailure::Final(error)) => return Err(error),
            }
        }
    }

    async fn read(&self) -> Result<FeedPage, RequestFailure> {
        let mut pairs = self.filter.clone();
        pairs.push(("limit", LIMIT.to_string()));
        pairs.push(self.place.clone());
        let path = with_query("/v1/events", &pairs).map_err(RequestFailure::Final)?;
        let wait = (self.follows && self.is_at_end).then_some(WAIT_SECONDS);
        self.client.try_get(&path, wait).await
    }
}
