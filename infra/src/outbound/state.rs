//! The storage of the webhook sender: implements [`QueuedState`] on the outbound table and [`DeliveryLog`] on the table of
//! orders.

use std::sync::Arc;

use async_trait::async_trait;
use consumer::webhooks::queued::{DeliveryLog, FeedRange, HeldPage, HeldRow, QueuedState, ReplayPage};
use domain::subscription::Stopped;
use domain::{OrderId, RecordedEvent, Subscription, SubscriptionId, SubscriptionState, Timestamp};

use crate::dynamodb::Table;

use super::OutboundTable;
use super::subscriptions::SubscriptionCache;

/// The state of queued deliveries. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TableState {
    table: OutboundTable,
    cache: Arc<SubscriptionCache>,
}

impl TableState {
    /// Creates the state, which is stored in `table`.
    pub fn new(table: OutboundTable) -> Self {
        Self { table, cache: Arc::default() }
    }
}

#[async_trait]
impl QueuedState for TableState {
    async fn subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<Arc<Subscription>>> {
        if let Some(fresh) = self.cache.fresh(id) {
            return Ok(fresh);
        }
        self.current_subscription(id).await
    }

    async fn current_subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<Arc<Subscription>>> {
        let subscription = self.table.subscription(id).await?.map(Arc::new);
        self.cache.put(id, subscription.clone());
        Ok(subscription)
    }

    async fn held(&self, of: &Subscription, order_id: &OrderId) -> anyhow::Result<Option<HeldRow>> {
        self.table.held(of, order_id).await
    }

    async fn held_after(
        &self,
        of: &Subscription,
        after: Option<&OrderId>,
        limit: usize,
    ) -> anyhow::Result<HeldPage> {
        self.table.held_after(of, after, limit).await
    }

    async fn put_held(&self, of: &Subscription, row: &HeldRow) -> anyhow::Result<Option<HeldRow>> {
        self.table.put_held(of, row).await
    }

    async fn replay_page(&self, of: &Subscription, range: &FeedRange) -> anyhow::Result<ReplayPage> {
        self.table.replay_page(of, range).await
    }

    async fn note_success(
        &self,
        id: SubscriptionId,
        at: Timestamp,
        recorded_at: Timestamp,
    ) -> anyhow::Result<()> {
        if self.cache.notes_success(id) { self.table.note_success(id, at, recorded_at).await } else { Ok(()) }
    }

    async fn note_failure(
        &self,
        id: SubscriptionId,
        at: Timestamp,
        error: &str,
    ) -> anyhow::Result<Timestamp> {
        self.cache.forget_success(id);
        self.table.note_failure(id, at, error).await
    }

    async fn stop(
        &self,
        seen: &Subscription,
        state: SubscriptionState,
        stopped: Stopped,
    ) -> anyhow::Result<bool> {
        self.table.stop_subscription(seen, state, stopped).await
    }
}

#[async_trait]
impl DeliveryLog for Table {
    async fn event(&self, order_id: &OrderId, version: u64) -> anyhow::Result<Option<RecordedEvent>> {
        use api::ports::OrderReader;
        let events = self.events(order_id, version.saturating_sub(1), 1).await?;
        Ok(events.into_iter().next().filter(|event| event.version == version))
    }
}
