//! The ports of the deliveries: the recorded events, the durable state, and the receivers. `infra` implements these traits.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::subscription::Stopped;
use domain::{CustomerId, EventType, OrderId, Subscription, SubscriptionId, SubscriptionState, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use super::attempt::{Answer, Finished, PostError};
use super::held::{HeldOrder, Progress, SkippedDelivery};
use super::payload::EventPayload;

/// The recorded events.
#[async_trait]
pub trait EventSource: Send + Sync {
    /// The position of the latest event that can be read. It never decreases.
    fn end(&self) -> u64;

    /// Reads events after the position `after`, in the order of their positions. Returns at most `limit`
    /// events, and examines a limited number of events. Events that the subscription cannot select are left
    /// out.
    async fn read(&self, subscription: &Subscription, after: u64, limit: usize)
    -> anyhow::Result<SourcePage>;

    /// The order's event with the given version, or `None` if no such event is recorded. The read includes
    /// every position up to the latest one that [`EventSource::end`] has returned.
    async fn event(&self, order_id: &OrderId, version: u64) -> anyhow::Result<Option<Arc<EventPayload>>>;

    /// Whether the order belongs to the customer.
    async fn is_of_customer(&self, order_id: &OrderId, customer_id: &CustomerId) -> anyhow::Result<bool>;

    /// Waits until there are events after the position `after`.
    async fn wait(&self, after: u64);

    /// The approximate time at which the event at `position` was recorded.
    fn time_at(&self, position: u64) -> Option<Timestamp>;
}

/// An event of the feed, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEntry {
    /// The place of the event in the feed.
    pub position: u64,
    /// The id of the order.
    pub order_id: OrderId,
    /// The version of the order after the event.
    pub version: u64,
    /// The type.
    pub event_type: EventType,
}

/// The result of one read of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourcePage {
    /// The events.
    pub entries: Vec<SourceEntry>,
    /// The position up to which the read has examined events. It is later than the position at which the read started if
    /// the feed contains any later event.
    pub next: u64,
}

/// All subscriptions.
pub type Subscriptions = Arc<BTreeMap<SubscriptionId, Arc<Subscription>>>;

/// The durable state of the subscriptions and their deliveries. Writes become durable in order: if a write survives a
/// crash or a power cut, all earlier writes survive too.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// A channel with the current subscriptions. The channel reports every later change of a subscription.
    fn subscriptions(&self) -> watch::Receiver<Subscriptions>;

    /// The durable state of a subscription's deliveries. `None` if the subscription was deleted.
    async fn load(&self, id: SubscriptionId) -> anyhow::Result<Option<StoredDeliveries>>;

    /// Writes all changes or none. Returns whether the subscription exists. If the subscription was deleted, nothing is
    /// written, even if a new subscription has the same id.
    async fn write(&self, subscription: &Subscription, changes: Vec<Change>) -> anyhow::Result<bool>;

    /// Stops an active subscription. Does nothing if the subscription is not active, or if an operator has changed it
    /// after `seen`. Returns whether this call has stopped it.
    async fn stop(
        &self,
        seen: &Subscription,
        state: SubscriptionState,
        stopped: Stopped,
    ) -> anyhow::Result<bool>;
}

/// The durable state of a subscription's deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredDeliveries {
    /// The progress of the deliveries.
    pub progress: Progress,
    /// The rows of held orders, and of orders that have caught up but whose position `until` the cursor has not passed
    /// yet.
    pub held: Vec<HeldOrder>,
}

/// A change of the durable state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Replaces the progress.
    Progress(Progress),
    /// Puts or replaces the row of a held order.
    Hold(Box<HeldOrder>),
    /// Removes the row of an order.
    Release(OrderId),
    /// Stores a skipped delivery.
    Skip(Box<SkippedDelivery>),
}

/// Posts events to receivers.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Posts an event to the subscription's URL, once.
    async fn post(&self, subscription: &Subscription, payload: &EventPayload) -> Result<Answer, PostError>;

    /// Posts an event once, and classifies the answer.
    async fn attempt(
        &self,
        subscription: &Subscription,
        payload: &EventPayload,
        clock: fn() -> Timestamp,
    ) -> Finished {
        let (at, began) = (clock(), Instant::now());
        let result = self.post(subscription, payload).await;
        Finished::classify(at, began.elapsed(), result)
    }
}
