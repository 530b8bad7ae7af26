//! Reads chunks of a partition: forwards, backwards and by time. `append`, `read` and `start` call these functions.

use anyhow::Context;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use crate::sdk::explain;

use super::chunk::{Chunk, position_key};
use super::{OutboundTable, partition_key, text};

impl OutboundTable {
    fn chunks(&self, partition: usize, limit: usize) -> QueryFluentBuilder {
        let query = self.query(partition_key(partition)).consistent_read(true);
        query.limit(i32::try_from(limit).unwrap_or(i32::MAX))
    }

    /// One page of a query for chunks. The page may have fewer chunks than the limit of the query.
    async fn page(&self, query: QueryFluentBuilder) -> anyhow::Result<Vec<Chunk>> {
        let page = Box::pin(query.send()).await;
        let page = page.map_err(explain).with_context(|| format!("reading the table {}", self.name))?;
        page.items().iter().map(Chunk::read).collect()
    }

    /// Up to `limit` chunks that begin at `from` or later and before `until`. The result is empty only if no such chunk exists.
    pub(super) async fn chunks_between(
        &self,
        partition: usize,
        from: u64,
        until: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<Chunk>> {
        if from >= until {
            return Ok(Vec::new());
        }
        let query =
            self.chunks(partition, limit).key_condition_expression("pk = :pk AND sk BETWEEN :from AND :last");
        let query = query.expression_attribute_values(":from", text(position_key(from)));
        self.page(query.expression_attribute_values(":last", text(position_key(until - 1)))).await
    }

    /// Up to `limit` chunks that begin before `position`, newest first. The result is empty only if no such chunk exists.
    pub(super) async fn chunks_before(
        &self,
        partition: usize,
        position: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<Chunk>> {
        let query = self.chunks(partition, limit).scan_index_forward(false);
        let query = query.key_condition_expression("pk = :pk AND sk < :position");
        self.page(query.expression_attribute_values(":position", text(position_key(position)))).await
    }

    /// The position of the oldest event before `until` in a partition, or `until` if there is no such event.
    pub(super) async fn oldest(&self, partition: usize, until: u64) -> anyhow::Result<u64> {
        let oldest = self.chunks_between(partition, 0, until, 1).await?;
        Ok(oldest.first().map_or(until, |chunk| chunk.first))
    }

    /// The position of the first chunk before `until` whose time is at least `time`, or `until` if there is no such
    /// chunk. The times of chunks never decrease, so the function uses a binary search.
    pub(super) async fn first_at(&self, partition: usize, time: i64, until: u64) -> anyhow::Result<u64> {
        let (mut low, mut high) = (self.oldest(partition, until).await?, until);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.chunks_before(partition, middle + 1, 1).await?.first() {
                Some(chunk) if chunk.time >= time => high = chunk.first.max(low),
                Some(chunk) => low = chunk.end().max(middle + 1),
                // The chunks up to the middle have expired since the search began.
                None => low = middle + 1,
            }
        }
        Ok(low.min(until))
    }
}
