//! Replays the events of a subscription from a place of the feed. Each message of a replay reads one page of
//! the feed, lets the orders in the page catch up, and sends the message for the next page. `order` calls
//! this module.
//!
//! An order is replayed from its first event on, once for each replay. If the replay began with a later
//! event, a queued job for an earlier event would find a row which says that the event is delivered.

use domain::{OrderId, Subscription};
use uuid::Uuid;

use super::handle::{JobEnd, QueuedDeliveries};
use super::{FeedRange, HeldRow, Job, held_from};
use crate::webhooks::{HeldOrder, HeldState};

/// The orders of a page of the feed with an event that a subscription selects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayPage {
    /// The orders.
    pub orders: Vec<OrderId>,
    /// The places of the partitions after the page. `None` at the end of the range.
    pub next: Option<Vec<u64>>,
}

impl QueuedDeliveries {
    /// Handles one page. A step that fails in the middle is repeated from its beginning.
    pub(super) async fn replay(
        &self,
        subscription: &Subscription,
        replay: Uuid,
        range: &FeedRange,
    ) -> anyhow::Result<JobEnd> {
        let ReplayPage { orders, next } = self.0.state.replay_page(subscription, range).await?;
        let subscription_id = subscription.id;
        let mut jobs = Vec::with_capacity(orders.len() + 1);
        for order_id in orders {
            if self.rewind(subscription, &order_id, replay).await? {
                jobs.push(Job::CatchUp { subscription_id, order_id });
            }
        }
        if let Some(after) = next {
            let range = FeedRange { after, until: range.until.clone() };
            jobs.push(Job::Replay { subscription_id, replay, range });
        }
        self.0.queue.send(&jobs).await.into_iter().collect::<anyhow::Result<()>>()?;
        Ok(JobEnd::Done)
    }

    /// Moves the row of an order to the first event, unless the replay has already done so. Returns whether
    /// the order needs a catch-up.
    async fn rewind(
        &self,
        subscription: &Subscription,
        order_id: &OrderId,
        replay: Uuid,
    ) -> anyhow::Result<bool> {
        let stored = self.0.state.held(subscription, order_id).await?;
        if let Some(HeldRow { order, .. }) = stored.as_ref().filter(|row| row.order.replay == Some(replay)) {
            // An earlier attempt at this step of the replay may have failed before it sent the catch-up.
            return Ok(matches!(order.state, HeldState::Retrying { .. }));
        }
        let order = HeldOrder { replay: Some(replay), ..held_from(order_id, 1, (self.0.clock)()) };
        self.put(subscription, &HeldRow { order, revision: stored.map_or(0, |row| row.revision) }).await?;
        Ok(true)
    }
}
