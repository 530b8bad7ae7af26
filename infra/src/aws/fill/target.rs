//! The resources that a fill writes to, and the checks that they are usable and empty.

use anyhow::{Context, ensure};
use domain::Currency;

use crate::dynamodb::{FillMarker, Table};
use crate::outbound::{JobQueue, OutboundTable};
use crate::s3::Bucket;
use crate::sqs::Queue;

/// The resources to fill.
#[derive(Debug, Clone)]
pub struct FillTarget {
    /// The table of orders.
    pub table: Table,
    /// The queue of events.
    pub queue: Queue,
    /// The archive of dead letters. Required if the source has dead letters.
    pub bucket: Option<Bucket>,
    /// The outbound table, which keeps the subscriptions. Without this table, the subscriptions are left out.
    pub outbound: Option<OutboundTable>,
    /// The queue of webhook deliveries. Without this queue, held orders wait until an operator resumes their
    /// subscription.
    pub webhook_queue: Option<JobQueue>,
    /// The currency of orders whose events contain no currency (schema version 0).
    pub default_currency: Currency,
}

impl FillTarget {
    /// Fails if the queue or the outbound table contains anything, or if a resource cannot be used. The table of orders
    /// is checked when the marker is put.
    pub(super) async fn check_empty(&self) -> anyhow::Result<()> {
        let messages = self.queue.message_counts().await?.total();
        ensure!(messages == 0, "the queue is not empty: it has {messages} messages. Choose an empty queue");
        if let Some(outbound) = &self.outbound {
            let subscriptions = outbound.subscriptions().await.context("reading the outbound table")?.len();
            ensure!(
                subscriptions == 0,
                "the outbound table is not empty: it has {subscriptions} webhook subscriptions. Choose an empty table"
            );
        }
        if let Some(bucket) = &self.bucket {
            bucket.check_reachable().await.map_err(anyhow::Error::msg)?;
        }
        Ok(())
    }
}

/// Abandons a fill, so that its source may change again. Returns `true` if the fill has written more than events. In
/// that case, no role ever starts on the table.
pub async fn take_back(target: &FillTarget, folder: &str, work: &str) -> anyhow::Result<bool> {
    let Some(marker) = target.table.fill_marker().await? else { return Ok(false) };
    ensure!(
        (marker.folder.as_str(), marker.work.as_str()) == (folder, work),
        "the table contains other work: {} from the data folder {}",
        marker.work,
        marker.folder
    );
    let is_void = marker.cut.is_some();
    if is_void {
        let void = FillMarker { is_void, done_at: None, ..marker };
        target.table.put_fill_marker(&void).await?;
    }
    Ok(is_void)
}
