//! Implements the port of the API for webhook subscriptions. Requests that change deliveries go to the worker of the subscription.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use api::ports::feed::{FeedCursor, FeedStart};
use api::ports::webhooks::{
    DeliveryAttempt, DeliveryFilter, DeliveryList, DeliveryProgress, MAX_SUBSCRIPTIONS, ReplayFrom, Skip,
    SubscriptionStatus, WebhookError, WebhookStore,
};
use async_trait::async_trait;
use consumer::webhooks::ports::EventSource;
use consumer::webhooks::{CommandError, EventPayload, Progress, SkipRequest};
use domain::{EventId, OrderId, Subscription, SubscriptionId};

use super::rows::{self, Row};
use super::state::show;
use super::{EmbeddedWebhooks, listing};
use crate::deliveries;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::views::ReadStore;
use crate::embedded::store::writer::Durability;
use crate::now;

#[async_trait]
impl WebhookStore for EmbeddedWebhooks {
    async fn subscriptions(&self) -> anyhow::Result<Vec<SubscriptionStatus>> {
        let subscriptions = Arc::clone(&self.subscriptions.borrow());
        let mut all = subscriptions.values().map(|one| self.status(one)).collect::<Result<Vec<_>, _>>()?;
        all.sort_by_key(|status| (status.subscription.created_at, status.subscription.id));
        Ok(all)
    }

    async fn subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<SubscriptionStatus>> {
        let subscription = self.subscriptions.borrow().get(&id).cloned();
        subscription.map(|subscription| self.status(&subscription)).transpose()
    }

    async fn create(&self, subscription: &Subscription, start: FeedStart) -> Result<(), WebhookError> {
        let feed = Arc::clone(&self.engine.0.feed);
        let cursor = self.engine.0.store.read_turns.read(move || feed.place_of(start)).await?;
        let (subscription, id) = (subscription.clone(), subscription.id);
        let (store, subscriptions) = (Arc::clone(&self.engine.0.store), self.subscriptions.clone());
        let write = move |stage: &mut Stage| {
            let key = Row::Subscription.key(id);
            let webhooks = &store.keys.webhooks;
            if stage.is_claimed(&key) || store.latest().get(webhooks, &key)?.is_some() {
                return Ok(Err(WebhookError::Changed));
            }
            if subscriptions.borrow().len() >= MAX_SUBSCRIPTIONS {
                return Ok(Err(WebhookError::TooMany));
            }
            // The worker of a deleted subscription with the same id may have written rows after the deletion. Such rows
            // are removed here.
            rows::remove_all(stage, &store, id)?;
            stage.claim(key.clone());
            stage.put(webhooks, key, rows::encode(&subscription));
            let progress = Progress { cursor, ..Progress::default() };
            stage.put(webhooks, Row::Progress.key(id), rows::encode(&progress));
            show(stage, subscriptions, id, Some(subscription));
            Ok(Ok(()))
        };
        self.engine.0.store.writer.write(Durability::Synced, write).await?
    }

    async fn replace(&self, subscription: &Subscription) -> Result<(), WebhookError> {
        let changed = subscription.clone();
        let change =
            move |current: &Subscription| (changed.revision == current.revision + 1).then_some(changed);
        match self.change(subscription.id, change).await? {
            Some(true) => Ok(()),
            Some(false) => Err(WebhookError::Changed),
            None => Err(WebhookError::NotFound),
        }
    }

    async fn delete(&self, id: SubscriptionId) -> Result<(), WebhookError> {
        let (store, subscriptions) = (Arc::clone(&self.engine.0.store), self.subscriptions.clone());
        let write = move |stage: &mut Stage| {
            let key = Row::Subscription.key(id);
            let exists = store.latest().get(&store.keys.webhooks, &key)?.is_some();
            if !exists || stage.is_claimed(&key) {
                return Ok(Err(if exists { WebhookError::Changed } else { WebhookError::NotFound }));
            }
            stage.claim(key);
            rows::remove_all(stage, &store, id)?;
            show(stage, subscriptions, id, None);
            Ok(Ok(()))
        };
        self.engine.0.store.writer.write(Durability::Synced, write).await?
    }

    async fn deliveries(
        &self,
        id: SubscriptionId,
        filter: &DeliveryFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DeliveryList, WebhookError> {
        let subscription = self.find(id)?;
        let monitor = self.workers.monitor(id);
        let listing = listing::Listing {
            engine: self.engine.clone(),
            subscription,
            recent: monitor.map(|monitor| monitor.observed().recent.clone()).unwrap_or_default(),
            filter: filter.clone(),
        };
        let after = after.map(str::to_owned);
        let read = move || listing.page(after.as_deref(), limit);
        Ok(self.engine.0.store.read_turns.read(read).await?)
    }

    async fn test(&self, id: SubscriptionId) -> Result<DeliveryAttempt, WebhookError> {
        let subscription = self.find(id)?;
        let payload = EventPayload::test(&self.source, now()).context("a test event cannot be encoded")?;
        let finished = self.sender.attempt(&subscription, &payload, now).await;
        Ok(deliveries::of_attempt(finished.attempt))
    }

    async fn replay(&self, id: SubscriptionId, from: &ReplayFrom) -> Result<(), WebhookError> {
        let subscription = self.find(id)?;
        let start = match from {
            ReplayFrom::Order(order_id) => return self.replay_order(&subscription, order_id).await,
            ReplayFrom::Cursor(FeedCursor(positions)) => match positions[..] {
                [position] if position <= self.end() => {
                    return self.workers.replay(id, position).await.map_err(command_error);
                }
                _ => return Err(WebhookError::UnknownCursor),
            },
            ReplayFrom::Start(start) => *start,
        };
        let feed = Arc::clone(&self.engine.0.feed);
        let position = self.engine.0.store.read_turns.read(move || feed.place_of(start)).await?;
        self.workers.replay(id, position).await.map_err(command_error)
    }

    async fn skip(&self, id: SubscriptionId, event_id: EventId, skip: &Skip) -> Result<(), WebhookError> {
        self.find(id)?;
        let Skip { reason, at, by } = skip.clone();
        let request = SkipRequest { reason, at, by: by.clone() };
        self.workers.skip(id, event_id, request).await.map_err(command_error)?;
        tracing::warn!(subscription = %id, event_id = %event_id, by, reason = skip.reason, "a delivery was skipped");
        Ok(())
    }
}

fn command_error(error: CommandError) -> WebhookError {
    match error {
        CommandError::NoDelivery => WebhookError::NoDelivery,
        CommandError::Unavailable => WebhookError::Failed(anyhow!(error)),
    }
}

impl EmbeddedWebhooks {
    fn find(&self, id: SubscriptionId) -> Result<Arc<Subscription>, WebhookError> {
        self.subscriptions.borrow().get(&id).cloned().ok_or(WebhookError::NotFound)
    }

    async fn replay_order(
        &self,
        subscription: &Subscription,
        order_id: &OrderId,
    ) -> Result<(), WebhookError> {
        let customer = self.customer_of(order_id)?.ok_or(WebhookError::NoOrder)?;
        let only = subscription.customer_id.as_ref();
        if only.is_some_and(|only| *only != customer) {
            return Err(WebhookError::NoOrder);
        }
        let replayed = self.workers.replay_order(subscription.id, order_id.clone()).await;
        replayed.map_err(command_error)
    }

    fn status(&self, subscription: &Arc<Subscription>) -> anyhow::Result<SubscriptionStatus> {
        let (store, id) = (&self.engine.0.store, subscription.id);
        let monitor = self.workers.monitor(id);
        let observed = monitor.as_ref().map(|monitor| monitor.observed());
        let seen = observed.as_ref().and_then(|observed| {
            let progress = observed.progress.clone()?;
            Some((progress, observed.held_orders as u64, observed.is_full, observed.oldest_held))
        });
        let (progress, held_orders, is_full, oldest_held) = match seen {
            Some(seen) => seen,
            None => {
                let held = rows::held_orders(&store.latest(), store, id).collect::<Result<Vec<_>, _>>()?;
                let oldest = held.iter().filter_map(|row| Some(row.head.as_ref()?.recorded_at)).min();
                let progress = rows::progress(&store.latest(), store, id)?.unwrap_or_default();
                (progress, held.len() as u64, false, oldest)
            }
        };
        let lag = self.end().saturating_sub(progress.cursor);
        let next = if lag > 0 { self.time_at(progress.cursor + 1) } else { None };
        let oldest = [next, oldest_held].into_iter().flatten().min();
        let age = oldest.map_or(0, |at| now().micros().saturating_sub(at.micros()) / 1000);
        let last_error = match is_full {
            true => Some(format!(
                "{held_orders} orders are held back, which is the maximum: further events are not read"
            )),
            false => progress.last_error,
        };
        let progress = DeliveryProgress {
            cursor: Some(FeedCursor(vec![progress.cursor])),
            lag_events: Some(lag),
            lag_ms: Some(u64::try_from(age).unwrap_or(0)),
            held_orders,
            held_since: oldest_held,
            succeeded_at: progress.succeeded_at,
            // Not reported, because the lag is more precise.
            succeeded_recorded_at: None,
            failing_since: progress.failing_since,
            last_error,
        };
        Ok(SubscriptionStatus { subscription: subscription.as_ref().clone(), progress })
    }
}
