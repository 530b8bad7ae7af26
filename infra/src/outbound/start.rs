//! Finds the cursor at which a reader of the feed starts. `read` calls this module.

use api::ports::feed::{FeedCursor, FeedStart};
use futures_util::future::try_join_all;

use super::read::TableFeed;

impl TableFeed {
    /// The cursor at which a reader starts: before the oldest event that is kept, after the latest event, or before the
    /// first chunk whose time is at least a given time.
    pub(super) async fn cursor_at(&self, from: FeedStart) -> anyhow::Result<FeedCursor> {
        let heads = self.heads().await?;
        let places = heads.iter().enumerate().map(async |(partition, head)| {
            let next = match from {
                FeedStart::Latest => head.next,
                FeedStart::Oldest => self.table.oldest(partition, head.next).await?,
                FeedStart::At(time) => self.table.first_at(partition, time.micros(), head.next).await?,
            };
            anyhow::Ok(next - 1)
        });
        Ok(FeedCursor(try_join_all(places).await?))
    }
}
