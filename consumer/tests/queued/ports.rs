//! Implements the ports of the deliveries on the simulated world of a test.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use consumer::alert::Alert;
use consumer::ports::Alerts;
use consumer::webhooks::ports::WebhookSender;
use consumer::webhooks::queued::{
    DeliveryLog, DeliveryQueue, FeedRange, HeldPage, HeldRow, Job, QueuedState, ReplayPage,
};
use consumer::webhooks::{Answer, EventPayload, HeldState, PostError};
use domain::subscription::Stopped;
use domain::{OrderId, RecordedEvent, Subscription, SubscriptionId, SubscriptionState, Timestamp};

use crate::fixtures::{customer_of, event};
use crate::world::World;

#[async_trait]
impl QueuedState for World {
    async fn subscription(&self, _: SubscriptionId) -> anyhow::Result<Option<Arc<Subscription>>> {
        Ok(Some(Arc::new(self.lock().subscription.clone())))
    }

    async fn current_subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<Arc<Subscription>>> {
        self.subscription(id).await
    }

    async fn held(&self, _: &Subscription, order_id: &OrderId) -> anyhow::Result<Option<HeldRow>> {
        Ok(self.lock().rows.get(order_id).cloned())
    }

    async fn held_after(
        &self,
        _: &Subscription,
        after: Option<&OrderId>,
        limit: usize,
    ) -> anyhow::Result<HeldPage> {
        let outside = self.lock();
        let held = outside
            .rows
            .iter()
            .filter(|(id, row)| after.is_none_or(|after| *id > after) && row.order.is_held());
        let mut rows: Vec<_> = held.map(|(_, row)| row.clone()).take(limit + 1).collect();
        let is_last = rows.len() <= limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| !is_last).map(|row| row.order.order_id.clone());
        Ok(HeldPage { rows, next })
    }

    async fn put_held(&self, _: &Subscription, row: &HeldRow) -> anyhow::Result<Option<HeldRow>> {
        Ok(self.lock().put(row))
    }

    /// The feed of a test contains the events of all orders, order by order. Each page has three events.
    async fn replay_page(&self, _: &Subscription, range: &FeedRange) -> anyhow::Result<ReplayPage> {
        let outside = self.lock();
        let all = outside.recorded.iter().flat_map(|(id, last)| (1..=*last).map(move |_| id));
        let (mut orders, mut next) = (BTreeSet::new(), range.after[0]);
        for id in all.skip(usize::try_from(next)?).take(3) {
            next += 1;
            if next < range.until[0] && outside.selects(id) {
                orders.insert(id.clone());
            }
        }
        let next = (next > range.after[0] && next + 1 < range.until[0]).then(|| vec![next]);
        Ok(ReplayPage { orders: orders.into_iter().collect(), next })
    }

    async fn note_success(&self, _: SubscriptionId, _: Timestamp, _: Timestamp) -> anyhow::Result<()> {
        self.lock().failing_since = None;
        Ok(())
    }

    async fn note_failure(&self, _: SubscriptionId, at: Timestamp, _: &str) -> anyhow::Result<Timestamp> {
        Ok(*self.lock().failing_since.get_or_insert(at))
    }

    async fn stop(
        &self,
        seen: &Subscription,
        state: SubscriptionState,
        stopped: Stopped,
    ) -> anyhow::Result<bool> {
        // Lets the other deliveries of the batch fail too before this call continues.
        tokio::task::yield_now().await;
        let mut outside = self.lock();
        let current = &mut outside.subscription;
        if current.revision != seen.revision || current.state != SubscriptionState::Active {
            return Ok(false);
        }
        current.revision += 1;
        current.stop(state, stopped.reason, stopped.at);
        outside.stops += 1;
        Ok(true)
    }
}

#[async_trait]
impl DeliveryLog for World {
    async fn event(&self, order_id: &OrderId, version: u64) -> anyhow::Result<Option<RecordedEvent>> {
        let last = self.lock().recorded.get(order_id).copied().unwrap_or(0);
        Ok((version <= last).then(|| event(order_id, version)))
    }
}

#[async_trait]
impl DeliveryQueue for World {
    async fn send(&self, jobs: &[Job]) -> Vec<anyhow::Result<()>> {
        let mut outside = self.lock();
        jobs.iter().for_each(|job| outside.queue.send(job));
        jobs.iter().map(|_| Ok(())).collect()
    }
}

#[async_trait]
impl WebhookSender for World {
    async fn post(&self, subscription: &Subscription, payload: &EventPayload) -> Result<Answer, PostError> {
        let body: serde_json::Value = serde_json::from_slice(&payload.body).unwrap();
        let order_id = OrderId::parse(body["subject"].as_str().unwrap()).unwrap();
        let version = body["orderversion"].as_u64().unwrap();
        let is_selected = subscription.selects(payload.event_type, &customer_of(&order_id));
        assert!(is_selected, "the subscription does not select version {version} of order {order_id}");
        let status = self.lock().receive(&order_id, version);
        match status {
            0 => Err(PostError::TimedOut("no answer".to_owned())),
            status => Ok(Answer { status, ..Answer::default() }),
        }
    }
}

#[async_trait]
impl Alerts for World {
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()> {
        let Alert::Webhook(alert) = alert else { panic!("{alert:?}") };
        let mut outside = self.lock();
        match alert.stopped {
            Some(_) => outside.stop_alerts += 1,
            None => outside.gave_up_alerts += 1,
        }
        Ok(())
    }
}

impl crate::world::Outside {
    /// Writes a row if the stored row still has the revision of `row`.
    pub(crate) fn put(&mut self, row: &HeldRow) -> Option<HeldRow> {
        let before = self.rows.get(&row.order.order_id);
        if before.map_or(0, |row| row.revision) != row.revision {
            return None;
        }
        let gave_up = |row: &HeldRow| row.order.state == HeldState::GaveUp;
        self.gave_ups += usize::from(gave_up(row) && !before.is_some_and(gave_up));
        let put = HeldRow { order: row.order.clone(), revision: row.revision + 1 };
        self.rows.insert(put.order.order_id.clone(), put.clone());
        Some(put)
    }
}
