//! The port of webhook subscriptions in memory, and requests to its endpoints.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use api::AppState;
use api::auth::Principal;
use api::ports::feed::{FeedCursor, FeedStart};
use api::ports::webhooks::{
    Delivery, DeliveryAttempt, DeliveryFilter, DeliveryList, DeliveryProgress, DeliveryState,
    MAX_SUBSCRIPTIONS, ReplayFrom, Skip, SubscriptionStatus, WebhookError, WebhookStore,
};
use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Method, Request};
use domain::{EventId, EventType, OrderId, Subscription, SubscriptionId, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use crate::fakes::{Answer, FakePorts, send_to, state};

/// The position of the last event in the feed.
pub(crate) const FEED_END: u64 = 100;

/// A store of subscriptions and deliveries in memory. It also records where subscriptions start, replays, and skips.
#[derive(Default)]
pub(crate) struct FakeWebhooks {
    pub(crate) all: Mutex<Vec<Subscription>>,
    pub(crate) starts: Mutex<Vec<FeedStart>>,
    pub(crate) deliveries: Mutex<Vec<Delivery>>,
    pub(crate) replays: Mutex<Vec<ReplayFrom>>,
    pub(crate) skips: Mutex<Vec<(EventId, Skip)>>,
    /// How many of the next changes fail, as if another request had changed the subscription first.
    pub(crate) interventions: AtomicUsize,
    /// Whether every change fails with an error of the store.
    pub(crate) broken: bool,
}

pub(crate) fn event_id(number: u128) -> EventId {
    Uuid::from_u128(0x0199_d3a0_0000_7000_8000_0000_0000_0000 + number).into()
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub(crate) fn failed_attempt() -> DeliveryAttempt {
    DeliveryAttempt {
        at: at("2026-11-23T09:59:00Z"),
        latency_ms: 83,
        status: Some(500),
        body_excerpt: Some("no".to_owned()),
        error: Some("the receiver answered with the status 500".to_owned()),
    }
}

pub(crate) fn delivery(number: u128, order_id: &str, state: DeliveryState) -> Delivery {
    Delivery {
        event_id: event_id(number),
        event_type: EventType::Paid,
        order_id: OrderId::parse(order_id).unwrap(),
        version: 3,
        state,
        attempts: 1,
        last_attempt: Some(failed_attempt()),
        next_attempt_at: None,
        skip: None,
    }
}

impl FakeWebhooks {
    fn check(&self) -> Result<(), WebhookError> {
        match self.broken {
            true => Err(anyhow::anyhow!("secret: the disk at /dev/sda is gone").into()),
            false => Ok(()),
        }
    }

    fn exists(&self, id: SubscriptionId) -> Result<(), WebhookError> {
        let known = self.all.lock().unwrap().iter().any(|subscription| subscription.id == id);
        known.then_some(()).ok_or(WebhookError::NotFound)
    }

    fn status(subscription: &Subscription) -> SubscriptionStatus {
        let progress = DeliveryProgress {
            cursor: Some(FeedCursor(vec![7])),
            lag_events: Some(2),
            lag_ms: Some(1500),
            held_orders: 1,
            held_since: Some(at("2026-11-23T09:57:00Z")),
            succeeded_at: Some(at("2026-11-23T09:58:00Z")),
            succeeded_recorded_at: None,
            failing_since: None,
            last_error: Some("the receiver answered with the status 500".to_owned()),
        };
        SubscriptionStatus { subscription: subscription.clone(), progress }
    }
}

#[async_trait]
impl WebhookStore for FakeWebhooks {
    async fn subscriptions(&self) -> anyhow::Result<Vec<SubscriptionStatus>> {
        Ok(self.all.lock().unwrap().iter().map(Self::status).collect())
    }

    async fn subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<SubscriptionStatus>> {
        Ok(self.all.lock().unwrap().iter().find(|known| known.id == id).map(Self::status))
    }

    async fn create(&self, subscription: &Subscription, start: FeedStart) -> Result<(), WebhookError> {
        self.check()?;
        let mut all = self.all.lock().unwrap();
        if all.len() >= MAX_SUBSCRIPTIONS {
            return Err(WebhookError::TooMany);
        }
        if all.iter().any(|known| known.id == subscription.id) {
            return Err(WebhookError::Changed);
        }
        all.push(subscription.clone());
        self.starts.lock().unwrap().push(start);
        Ok(())
    }

    async fn replace(&self, subscription: &Subscription) -> Result<(), WebhookError> {
        self.check()?;
        let mut all = self.all.lock().unwrap();
        let known = all.iter_mut().find(|known| known.id == subscription.id).ok_or(WebhookError::NotFound)?;
        if self.interventions.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            known.revision += 1;
        }
        if subscription.revision != known.revision + 1 {
            return Err(WebhookError::Changed);
        }
        *known = subscription.clone();
        Ok(())
    }

    async fn delete(&self, id: SubscriptionId) -> Result<(), WebhookError> {
        self.check()?;
        self.exists(id)?;
        self.all.lock().unwrap().retain(|known| known.id != id);
        Ok(())
    }

    async fn deliveries(
        &self,
        id: SubscriptionId,
        filter: &DeliveryFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DeliveryList, WebhookError> {
        self.exists(id)?;
        let mut deliveries = self.deliveries.lock().unwrap().clone();
        deliveries.retain(|it| {
            filter.state.is_none_or(|state| state == it.state)
                && filter.order_id.as_ref().is_none_or(|order_id| *order_id == it.order_id)
        });
        let from: usize = after.map_or(0, |after| after.parse().unwrap());
        let rest: Vec<_> = deliveries.into_iter().skip(from).collect();
        let next = (rest.len() > limit).then(|| (from + limit).to_string());
        Ok(DeliveryList { deliveries: rest.into_iter().take(limit).collect(), next })
    }

    async fn test(&self, id: SubscriptionId) -> Result<DeliveryAttempt, WebhookError> {
        self.exists(id)?;
        Ok(failed_attempt())
    }

    async fn replay(&self, id: SubscriptionId, from: &ReplayFrom) -> Result<(), WebhookError> {
        self.check()?;
        self.exists(id)?;
        match from {
            ReplayFrom::Cursor(FeedCursor(positions)) if positions.iter().any(|at| *at > FEED_END) => {
                return Err(WebhookError::UnknownCursor);
            }
            ReplayFrom::Order(order_id) if order_id.as_str() != "o-1" => return Err(WebhookError::NoOrder),
            from => self.replays.lock().unwrap().push(from.clone()),
        }
        Ok(())
    }

    async fn skip(&self, id: SubscriptionId, event_id: EventId, skip: &Skip) -> Result<(), WebhookError> {
        self.check()?;
        self.exists(id)?;
        let mut deliveries = self.deliveries.lock().unwrap();
        let delivery = deliveries.iter_mut().find(|it| it.event_id == event_id);
        let delivery = delivery.filter(|it| it.state == DeliveryState::Retrying);
        let delivery = delivery.ok_or(WebhookError::NoDelivery)?;
        (delivery.state, delivery.skip) = (DeliveryState::Skipped, Some(skip.clone()));
        self.skips.lock().unwrap().push((event_id, skip.clone()));
        Ok(())
    }
}

/// A request to an endpoint of webhook subscriptions.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Value,
    pub(crate) who: Option<Principal>,
}

pub(crate) async fn ask(webhooks: &Arc<FakeWebhooks>, ask: Ask<'_>) -> Answer {
    let webhooks: Arc<dyn WebhookStore> = webhooks.clone();
    ask_of(AppState { webhooks: Some(webhooks), ..state(&Arc::new(FakePorts::default())) }, ask).await
}

pub(crate) async fn ask_of(state: AppState, ask: Ask<'_>) -> Answer {
    let mut request = Request::builder().method(ask.method).uri(ask.path);
    for (name, value) in ask.headers {
        request = request.header(*name, *value);
    }
    let body = if ask.body.is_null() {
        Body::empty()
    } else {
        request = request.header("content-type", "application/json");
        Body::from(ask.body.to_string())
    };
    let mut request = request.body(body).unwrap();
    if let Some(who) = ask.who {
        request.extensions_mut().insert(who);
    }
    send_to(api::router(state), request).await
}

async fn plain(webhooks: &Arc<FakeWebhooks>, method: Method, path: &str, body: Value) -> Answer {
    ask(webhooks, Ask { method, path, headers: &[], body, who: None }).await
}

pub(crate) async fn get(webhooks: &Arc<FakeWebhooks>, path: &str) -> Answer {
    plain(webhooks, Method::GET, path, Value::Null).await
}

pub(crate) async fn post(webhooks: &Arc<FakeWebhooks>, path: &str, body: Value) -> Answer {
    plain(webhooks, Method::POST, path, body).await
}

pub(crate) async fn patch(webhooks: &Arc<FakeWebhooks>, path: &str, body: Value) -> Answer {
    plain(webhooks, Method::PATCH, path, body).await
}

pub(crate) async fn delete(webhooks: &Arc<FakeWebhooks>, path: &str) -> Answer {
    plain(webhooks, Method::DELETE, path, Value::Null).await
}

/// A store without subscriptions.
pub(crate) fn webhooks() -> Arc<FakeWebhooks> {
    Arc::default()
}

/// Creates a subscription with only a URL, and returns its path.
pub(crate) async fn subscribed(webhooks: &Arc<FakeWebhooks>) -> String {
    let answer =
        post(webhooks, "/v1/webhooks", serde_json::json!({ "url": "https://shop.example/hooks" })).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.header("location").to_owned()
}
