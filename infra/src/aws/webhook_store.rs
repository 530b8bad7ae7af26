//! Implements the API's [`WebhookStore`] on AWS, with the outbound table and the queue of deliveries. Operators manage
//! subscriptions and deliveries through this store.
//!
//! On AWS, a subscription has no cursor, because its deliveries come from the queue. So it gets only events that are
//! recorded after it was created. An operator can replay single orders from their logs. A replay from a time or a
//! position reads the feed, so the service must have a feed.

use std::sync::Arc;

use anyhow::Context;
use api::ports::OrderReader;
use api::ports::feed::{FeedError, FeedStart};
use api::ports::webhooks::{
    DeliveryAttempt, DeliveryFilter, DeliveryList, DeliveryProgress, MAX_SUBSCRIPTIONS, ReplayFrom, Skip,
    SubscriptionStatus, WebhookError, WebhookStore,
};
use async_trait::async_trait;
use consumer::webhooks::ports::WebhookSender;
use consumer::webhooks::queued::{DeliveryQueue, HeldRow, Job, held_from};
use consumer::webhooks::{EventPayload, HeldOrder, SkipRequest};
use domain::{CustomerId, Event, EventId, OrderId, Subscription, SubscriptionId, SubscriptionState};
use uuid::Uuid;

use crate::deliveries;
use crate::dynamodb::Table;
use crate::outbound::{JobQueue, OutboundTable, TableFeed};

/// The error for a request to start a subscription in the past.
const ONLY_LATEST: &str = "On this service, a subscription starts with the next recorded event.";
/// The error for a request to replay more than a single order.
const ONLY_ORDERS: &str =
    "This service has no feed, so only the events of single orders can be replayed: give an order_id.";

/// The store of subscriptions on AWS.
#[derive(Clone)]
pub struct AwsWebhookStore {
    /// The outbound table.
    pub table: OutboundTable,
    /// The logs of orders.
    pub log: Table,
    /// The queue of deliveries.
    pub queue: JobQueue,
    /// Posts test events.
    pub sender: Arc<dyn WebhookSender>,
    /// The `source` of the CloudEvents.
    pub source: String,
    /// The feed, from which deliveries can be replayed.
    pub feed: Option<TableFeed>,
}

impl AwsWebhookStore {
    async fn status(&self, subscription: Subscription) -> anyhow::Result<SubscriptionStatus> {
        let health = self.table.receiver_health(subscription.id).await?;
        let (held_orders, held_since) = self.table.count_held(&subscription).await?;
        let progress = DeliveryProgress {
            cursor: None,
            lag_events: None,
            lag_ms: None,
            held_orders,
            held_since,
            succeeded_at: health.succeeded_at,
            succeeded_recorded_at: health.succeeded_recorded_at,
            failing_since: health.failing_since,
            last_error: health.last_error,
        };
        Ok(SubscriptionStatus { subscription, progress })
    }

    async fn existing(&self, id: SubscriptionId) -> Result<Subscription, WebhookError> {
        self.table.subscription(id).await?.ok_or(WebhookError::NotFound)
    }

    async fn send(&self, job: Job) -> anyhow::Result<()> {
        self.queue.send_one(job).await.context("sending a job to the queue of webhook deliveries")
    }

    /// Starts a replay of a part of the feed. The webhook sender continues it in steps.
    async fn replay_from(
        &self,
        subscription_id: SubscriptionId,
        from: &ReplayFrom,
    ) -> Result<(), WebhookError> {
        let feed = self.feed.as_ref().ok_or(WebhookError::NotSupported(ONLY_ORDERS))?;
        let range = feed.replay_range(from).await.map_err(|error| match error {
            FeedError::UnknownCursor => WebhookError::UnknownCursor,
            FeedError::Expired => WebhookError::ExpiredCursor,
            FeedError::Failed(error) => WebhookError::Failed(error),
        })?;
        if let Some(range) = range {
            self.send(Job::Replay { subscription_id, replay: Uuid::now_v7(), range }).await?;
        }
        Ok(())
    }

    /// Sends a job that lets the deliveries of a held order catch up.
    async fn let_catch_up(&self, of: &Subscription, order_id: &OrderId) -> Result<(), WebhookError> {
        Ok(self.send(Job::CatchUp { subscription_id: of.id, order_id: order_id.clone() }).await?)
    }

    /// The customer of an order, or `None` if the order does not exist.
    async fn customer_of(&self, order_id: &OrderId) -> anyhow::Result<Option<CustomerId>> {
        let first = self.log.events(order_id, 0, 1).await?.into_iter().next();
        Ok(match first.map(|first| first.envelope.event) {
            Some(Event::Created(created)) => Some(created.customer_id),
            _ => None,
        })
    }

    /// Continues a skip that was stored, but whose catch-up was not sent because the process ended or the queue failed.
    /// Fails if there is no such skip.
    async fn finish_skip(&self, of: &Subscription, event_id: EventId) -> Result<(), WebhookError> {
        let skipped = self.table.skipped(of, event_id).await?.ok_or(WebhookError::NoDelivery)?;
        let order = self.table.held(of, &skipped.order_id).await?.map(|row| row.order);
        let is_waiting =
            |order: &HeldOrder| order.is_held() && order.next == skipped.version + 1 && order.head.is_none();
        if !order.as_ref().is_some_and(is_waiting) {
            return Err(WebhookError::NoDelivery);
        }
        self.let_catch_up(of, &skipped.order_id).await
    }
}

#[async_trait]
impl WebhookStore for AwsWebhookStore {
    async fn subscriptions(&self) -> anyhow::Result<Vec<SubscriptionStatus>> {
        let mut subscriptions = self.table.subscriptions().await?;
        subscriptions.sort_by_key(|subscription| (subscription.created_at, subscription.id));
        let mut all = Vec::with_capacity(subscriptions.len());
        for subscription in subscriptions {
            all.push(self.status(subscription).await?);
        }
        Ok(all)
    }

    async fn subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<SubscriptionStatus>> {
        match self.table.subscription(id).await? {
            Some(subscription) => Ok(Some(self.status(subscription).await?)),
            None => Ok(None),
        }
    }

    async fn create(&self, subscription: &Subscription, start: FeedStart) -> Result<(), WebhookError> {
        if start != FeedStart::Latest {
            return Err(WebhookError::NotSupported(ONLY_LATEST));
        }
        if self.table.subscriptions().await?.len() >= MAX_SUBSCRIPTIONS {
            return Err(WebhookError::TooMany);
        }
        if self.table.put_subscription(subscription).await? { Ok(()) } else { Err(WebhookError::Changed) }
    }

    async fn replace(&self, subscription: &Subscription) -> Result<(), WebhookError> {
        self.existing(subscription.id).await?;
        if !self.table.put_subscription(subscription).await? {
            return Err(WebhookError::Changed);
        }
        if subscription.state == SubscriptionState::Active {
            // The sweep lets orders catch up whose deliveries were held while the subscription was stopped, and retries
            // other held orders at the new URL.
            self.send(Job::sweep_now(subscription.id)).await?;
        }
        Ok(())
    }

    async fn delete(&self, id: SubscriptionId) -> Result<(), WebhookError> {
        let subscription = self.existing(id).await?;
        if !self.table.delete_subscription(id).await? {
            return Err(WebhookError::NotFound);
        }
        self.table.delete_held(&subscription).await?;
        Ok(())
    }

    async fn deliveries(
        &self,
        id: SubscriptionId,
        filter: &DeliveryFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DeliveryList, WebhookError> {
        let subscription = self.existing(id).await?;
        Ok(super::webhook_list::page(&self.table, &subscription, filter, after, limit).await?)
    }

    async fn test(&self, id: SubscriptionId) -> Result<DeliveryAttempt, WebhookError> {
        let subscription = self.existing(id).await?;
        let payload = EventPayload::test(&self.source, crate::now()).context("encoding a test")?;
        let finished = self.sender.attempt(&subscription, &payload, crate::now).await;
        Ok(deliveries::of_attempt(finished.attempt))
    }

    async fn replay(&self, id: SubscriptionId, from: &ReplayFrom) -> Result<(), WebhookError> {
        let subscription = self.existing(id).await?;
        let ReplayFrom::Order(order_id) = from else { return self.replay_from(id, from).await };
        let customer = self.customer_of(order_id).await?.ok_or(WebhookError::NoOrder)?;
        if subscription.customer_id.as_ref().is_some_and(|only| *only != customer) {
            return Err(WebhookError::NoOrder);
        }
        let revision = self.table.held(&subscription, order_id).await?.map_or(0, |row| row.revision);
        let row = HeldRow { order: held_from(order_id, 1, crate::now()), revision };
        if self.table.put_held(&subscription, &row).await?.is_none() {
            return Err(WebhookError::Changed);
        }
        self.let_catch_up(&subscription, order_id).await
    }

    async fn skip(&self, id: SubscriptionId, event_id: EventId, skip: &Skip) -> Result<(), WebhookError> {
        let subscription = self.existing(id).await?;
        let Some(HeldRow { order, revision }) = self.table.held_by(&subscription, event_id).await? else {
            return self.finish_skip(&subscription, event_id).await;
        };
        let Skip { reason, at, by } = skip.clone();
        let skipped = order.skipped(SkipRequest { reason, at, by }).ok_or(WebhookError::NoDelivery)?;
        let next = held_from(&order.order_id, order.next + 1, crate::now());
        if !self.table.put_skipped(&subscription, &skipped, &HeldRow { order: next, revision }).await? {
            return Err(WebhookError::Changed);
        }
        self.let_catch_up(&subscription, &order.order_id).await?;
        tracing::warn!(subscription = %id, %event_id, order_id = %order.order_id, reason = skip.reason, by = skip.by, "an operator skipped a delivery");
        Ok(())
    }
}
