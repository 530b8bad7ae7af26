//! The webhook subscriptions and their deliveries, as operators manage them. The handlers of `/v1/webhooks` use this port.

use async_trait::async_trait;
use domain::{EventId, EventType, OrderId, Subscription, SubscriptionId, Timestamp};

use super::feed::{FeedCursor, FeedStart};

/// The maximum number of subscriptions of a service.
pub const MAX_SUBSCRIPTIONS: usize = 100;

/// Stores subscriptions and shows their deliveries.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// All subscriptions, oldest first, each with its progress.
    async fn subscriptions(&self) -> anyhow::Result<Vec<SubscriptionStatus>>;

    /// The subscription with its progress.
    async fn subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<SubscriptionStatus>>;

    /// Adds a subscription, which gets the events from `start` on. Fails with [`WebhookError::Changed`] if the id of
    /// the subscription already exists.
    async fn create(&self, subscription: &Subscription, start: FeedStart) -> Result<(), WebhookError>;

    /// Replaces the stored subscription. The revision of `subscription` must be the stored revision plus one.
    async fn replace(&self, subscription: &Subscription) -> Result<(), WebhookError>;

    /// Deletes the subscription with its deliveries. Attempts in progress may still reach the receiver.
    async fn delete(&self, id: SubscriptionId) -> Result<(), WebhookError>;

    /// Lists deliveries of the subscription: first the failed ones and the ones that are held back, in a stable order,
    /// and then other recent deliveries.
    async fn deliveries(
        &self,
        id: SubscriptionId,
        filter: &DeliveryFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DeliveryList, WebhookError>;

    /// Posts a test event immediately and only once, and returns the attempt.
    async fn test(&self, id: SubscriptionId) -> Result<DeliveryAttempt, WebhookError>;

    /// Delivers the events that `from` selects again, in order. Later events of the same orders are delivered after the
    /// replayed events.
    async fn replay(&self, id: SubscriptionId, from: &ReplayFrom) -> Result<(), WebhookError>;

    /// Gives up a delivery that failed, so that the later events of its order are delivered.
    async fn skip(&self, id: SubscriptionId, event_id: EventId, skip: &Skip) -> Result<(), WebhookError>;
}

/// A subscription and the progress of its deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionStatus {
    /// The subscription.
    pub subscription: Subscription,
    /// The progress of its deliveries.
    pub progress: DeliveryProgress,
}

/// The progress of the deliveries of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryProgress {
    /// The place in the feed up to which all events are delivered, skipped or held back. `None` if the backend keeps no
    /// cursor for a subscription.
    pub cursor: Option<FeedCursor>,
    /// The number of events after `cursor`, if it is known. Includes events that the subscription does not select.
    pub lag_events: Option<u64>,
    /// The age of the oldest event that is not delivered, in milliseconds, if it is known.
    pub lag_ms: Option<u64>,
    /// The number of orders whose events are held back by a failed delivery.
    pub held_orders: u64,
    /// When the oldest event that holds back its order was recorded. `None` if no order is held.
    pub held_since: Option<Timestamp>,
    /// When a delivery last succeeded.
    pub succeeded_at: Option<Timestamp>,
    /// When the event of the last successful delivery was recorded, if the backend notes it.
    pub succeeded_recorded_at: Option<Timestamp>,
    /// The time since which every delivery has failed. `None` while deliveries succeed.
    pub failing_since: Option<Timestamp>,
    /// The latest failure, in a sentence.
    pub last_error: Option<String>,
}

/// Selects deliveries. Every condition that is present must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Only deliveries in this state.
    pub state: Option<DeliveryState>,
    /// Only deliveries of this order's events.
    pub order_id: Option<OrderId>,
}

impl DeliveryFilter {
    /// Whether the filter selects the delivery.
    pub fn passes(&self, delivery: &Delivery) -> bool {
        self.state.is_none_or(|state| state == delivery.state)
            && self.order_id.as_ref().is_none_or(|order_id| *order_id == delivery.order_id)
    }
}

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// The receiver answered with a 2xx status.
    Delivered,
    /// Every attempt so far has failed, and another one follows.
    Retrying,
    /// An earlier delivery of the order must succeed first.
    Held,
    /// Every attempt has failed, and none follows until an operator replays or skips the delivery.
    GaveUp,
    /// An operator has skipped the delivery.
    Skipped,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Delivered, Self::Retrying, Self::Held, Self::GaveUp, Self::Skipped];

    /// The state as written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::GaveUp => "gave_up",
            Self::Skipped => "skipped",
        }
    }
}

/// The delivery of an event to a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event, whose id is the `webhook-id` of all attempts.
    pub event_id: EventId,
    /// The type of the event.
    pub event_type: EventType,
    /// The order of the event.
    pub order_id: OrderId,
    /// The version of the order after the event.
    pub version: u64,
    /// The state.
    pub state: DeliveryState,
    /// The number of attempts.
    pub attempts: u32,
    /// The latest attempt.
    pub last_attempt: Option<DeliveryAttempt>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// Who skipped the delivery, and why.
    pub skip: Option<Skip>,
}

/// One request to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// When the attempt began.
    pub at: Timestamp,
    /// How long the attempt took, in milliseconds.
    pub latency_ms: u64,
    /// The status of the answer. `None` if there was no answer.
    pub status: Option<u16>,
    /// The beginning of the answer's body.
    pub body_excerpt: Option<String>,
    /// Why the attempt failed, in a sentence. `None` if the attempt succeeded.
    pub error: Option<String>,
}

/// Who skipped a delivery, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The reason, in free text.
    pub reason: String,
    /// When the delivery was skipped.
    pub at: Timestamp,
    /// The token subject of the operator who skipped the delivery. `None` if requests are not authenticated.
    pub by: Option<String>,
}

/// A page of deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryList {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// Where the next page begins. `None` on the last page.
    pub next: Option<String>,
}

/// Which events a replay delivers again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayFrom {
    /// All events after this place of the feed.
    Cursor(FeedCursor),
    /// All events that a new reader of the feed gets from this start.
    Start(FeedStart),
    /// All events of this order.
    Order(OrderId),
}

/// Why a request about a subscription failed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is no such subscription.
    #[error("there is no such subscription")]
    NotFound,
    /// The delivery does not exist or cannot be skipped.
    #[error("there is no such delivery")]
    NoDelivery,
    /// The order to replay does not exist.
    #[error("there is no such order")]
    NoOrder,
    /// Another request has changed the subscription.
    #[error("another request has changed the subscription")]
    Changed,
    /// The cursor to replay from does not belong to this feed.
    #[error("the cursor does not belong to this feed")]
    UnknownCursor,
    /// The events after the cursor are no longer kept.
    #[error("the events after the cursor are no longer kept")]
    ExpiredCursor,
    /// The service already has [`MAX_SUBSCRIPTIONS`] subscriptions, which is the maximum.
    #[error("there are {MAX_SUBSCRIPTIONS} subscriptions, which is the maximum")]
    TooMany,
    /// The backend does not support the request. The reason is a sentence for clients.
    #[error("{0}")]
    NotSupported(&'static str),
    /// The store failed.
    #[error("the store failed")]
    Failed(#[from] anyhow::Error),
}
