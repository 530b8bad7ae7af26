//! Determines and reads the parts of the feed that webhook deliveries replay. The API asks for the range of a replay,
//! and the webhook sender reads its pages.

use std::collections::BTreeSet;

use api::ports::feed::{FeedCursor, FeedError};
use api::ports::webhooks::ReplayFrom;
use consumer::webhooks::queued::{FeedRange, ReplayPage};
use domain::{EventType, Subscription};

use super::OutboundTable;
use super::chunk::{Chunk, EventRef};
use super::read::{TableFeed, check};

/// The maximum number of chunks in a page, besides the chunk in which the page begins.
const CHUNKS: usize = 2;

impl TableFeed {
    /// The range of a replay, which ends at the current end of the feed. `None` for the replay of an order.
    pub(crate) async fn replay_range(&self, from: &ReplayFrom) -> Result<Option<FeedRange>, FeedError> {
        let after = match from {
            ReplayFrom::Order(_) => return Ok(None),
            ReplayFrom::Start(start) => self.cursor_at(*start).await?,
            ReplayFrom::Cursor(cursor) => cursor.clone(),
        };
        let heads = self.heads().await?;
        check(&after, &heads)?;
        for (partition, (after, head)) in after.0.iter().zip(&heads).enumerate() {
            if after + 1 < head.next {
                self.chunks_after(partition, *after, head.next).await?;
            }
        }
        let FeedCursor(after) = after;
        Ok(Some(FeedRange { after, until: heads.iter().map(|head| head.next).collect() }))
    }
}

impl OutboundTable {
    /// A page of one partition. Events that have expired since the replay began are left out.
    pub(crate) async fn replay_page(
        &self,
        of: &Subscription,
        range: &FeedRange,
    ) -> anyhow::Result<ReplayPage> {
        let FeedRange { after, until } = range;
        let mut places = after.iter().zip(until);
        let Some(partition) = places.position(|(after, until)| after + 1 < *until) else {
            return Ok(ReplayPage::default());
        };
        let (from, end) = (after[partition] + 1, until[partition]);
        // The page may begin within a chunk.
        let mut chunks = self.chunks_before(partition, from + 1, 1).await?;
        chunks.retain(|chunk| chunk.end() > from);
        let later = chunks.last().map_or(from, Chunk::end);
        chunks.extend(self.chunks_between(partition, later, end, CHUNKS).await?);
        let mut orders = BTreeSet::new();
        for chunk in &chunks {
            let events = (chunk.first..).zip(&chunk.events);
            let selected = events.filter(|(place, event)| (from..end).contains(place) && selects(of, event));
            orders.extend(selected.map(|(_, event)| event.0.clone()));
        }
        let mut next = after.clone();
        next[partition] = chunks.last().map_or(end, Chunk::end).min(end) - 1;
        let is_last = next.iter().zip(until).all(|(after, until)| after + 1 >= *until);
        Ok(ReplayPage { orders: orders.into_iter().collect(), next: (!is_last).then_some(next) })
    }
}

/// Whether the subscription selects the event, even if the event is older than the subscription.
fn selects(of: &Subscription, EventRef(_, _, event_type, customer_id): &EventRef) -> bool {
    of.selects(EventType::from_name(event_type), customer_id)
}
