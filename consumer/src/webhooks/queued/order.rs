//! Delivers the events of one order to one subscription: the first attempt of an event, and the catch-up of a
//! held order. `handle` calls this module.

use std::sync::Arc;

use anyhow::{Context, bail};
use domain::subscription::Selection;
use domain::{Event, OrderId, RecordedEvent, Subscription, SubscriptionState, Timestamp};

use super::attempts::between;
use super::handle::{JobEnd, QueuedDeliveries};
use super::{HeldRow, Job, MAX_WAIT};
use crate::webhooks::attempt::Verdict;
use crate::webhooks::{HeldOrder, HeldState, Place};

impl QueuedDeliveries {
    /// Carries out a job.
    pub(super) async fn run(&self, job: &Job) -> anyhow::Result<JobEnd> {
        let id = job.subscription_id();
        let mut subscription = self.0.state.subscription(id).await?;
        // The cached subscription may be out of date, for example because it was just resumed. Only a delivery to an active
        // subscription relies on the cached state. Every other job reads the current subscription.
        let is_active = |it: &Arc<Subscription>| it.state == SubscriptionState::Active;
        if !matches!(job, Job::Deliver { .. }) || !subscription.as_ref().is_some_and(is_active) {
            subscription = self.0.state.current_subscription(id).await?;
        }
        // The events of a deleted subscription are not delivered.
        let Some(subscription) = subscription else { return Ok(JobEnd::Done) };
        match job {
            Job::Deliver { order_id, version, .. } => self.deliver(&subscription, order_id, *version).await,
            Job::CatchUp { order_id, .. } => match self.0.state.held(&subscription, order_id).await? {
                Some(row) => self.catch_up(&subscription, row).await,
                None => Ok(JobEnd::Done),
            },
            Job::Sweep { after, untried, not_before, .. } => {
                let is_tried = after.is_some() && !untried;
                self.sweep(&subscription, after.as_ref(), is_tried, *not_before).await
            }
            Job::Replay { replay, range, .. } => self.replay(&subscription, *replay, range).await,
        }
    }

    async fn deliver(
        &self,
        subscription: &Subscription,
        order_id: &OrderId,
        version: u64,
    ) -> anyhow::Result<JobEnd> {
        let stored = self.0.state.held(subscription, order_id).await?;
        let now = (self.0.clock)();
        let row = match stored {
            Some(HeldRow { order: HeldOrder { state: HeldState::CaughtUp { until }, .. }, .. })
                if version <= until =>
            {
                return Ok(JobEnd::Done);
            }
            // The row concerns earlier events, which are all delivered. If the event of this job must be
            // held, a new row replaces the row.
            Some(HeldRow { order: HeldOrder { state: HeldState::CaughtUp { .. }, .. }, revision }) => {
                HeldRow { order: held_from(order_id, version, now), revision }
            }
            // The job's event is the next event of the held order, so its message serves as the order's timer.
            Some(row) if row.order.next == version => return self.catch_up(subscription, row).await,
            // The order is held because of an earlier event. The order's catch-up will also deliver the event
            // of this job.
            Some(_) => return Ok(JobEnd::Done),
            None => HeldRow { order: held_from(order_id, version, now), revision: 0 },
        };
        if subscription.state != SubscriptionState::Active {
            return self.hold(subscription, &row).await;
        }
        let event = self.0.log.event(order_id, version).await?;
        let event = event.with_context(|| format!("order {order_id} has no event with version {version}"))?;
        // The subscription may have been changed since the relay selected the event.
        if !self.selects(subscription, &event).await? {
            return Ok(JobEnd::Done);
        }
        let finished = self.attempt(subscription, &event).await?;
        if finished.verdict == Verdict::Delivered {
            return Ok(JobEnd::Done);
        }
        self.failed(subscription, row, &event, finished).await
    }

    /// Delivers those events of a held order that are due, from the row's version up to the end of the order's log.
    pub(super) async fn catch_up(
        &self,
        subscription: &Subscription,
        mut row: HeldRow,
    ) -> anyhow::Result<JobEnd> {
        loop {
            let now = (self.0.clock)();
            let HeldState::Retrying { due } = row.order.state else { return Ok(JobEnd::Done) };
            if subscription.state != SubscriptionState::Active {
                return Ok(JobEnd::Done);
            }
            if due > now {
                return Ok(JobEnd::Later(between(now, due).min(MAX_WAIT)));
            }
            let (order_id, next) = (row.order.order_id.clone(), row.order.next);
            let Some(event) = self.0.log.event(&order_id, next).await? else {
                row.order.state = HeldState::CaughtUp { until: next - 1 };
                self.put(subscription, &row).await?;
                return Ok(JobEnd::Done);
            };
            if self.selects(subscription, &event).await? {
                let finished = self.attempt(subscription, &event).await?;
                if finished.verdict != Verdict::Delivered {
                    return self.failed(subscription, row, &event, finished).await;
                }
            }
            row.order.advance(now);
            row = self.put(subscription, &row).await?;
        }
    }

    /// Whether the subscription selects the event. Only the first event of an order names the customer.
    pub(super) async fn selects(
        &self,
        subscription: &Subscription,
        event: &RecordedEvent,
    ) -> anyhow::Result<bool> {
        let only = match subscription.selection(Some(event.envelope.event.event_type())) {
            Selection::All => return Ok(true),
            Selection::None => return Ok(false),
            Selection::OfCustomer(only) => only,
        };
        let order_id = &event.envelope.order_id;
        let first = if event.version == 1 { None } else { self.0.log.event(order_id, 1).await? };
        match &first.as_ref().unwrap_or(event).envelope.event {
            Event::Created(created) => Ok(created.customer_id == *only),
            _ => bail!("order {order_id} does not begin with its creation"),
        }
    }

    pub(super) async fn put(&self, subscription: &Subscription, row: &HeldRow) -> anyhow::Result<HeldRow> {
        let Some(row) = self.0.state.put_held(subscription, row).await? else {
            bail!("the deliveries of order {} were changed meanwhile", row.order.order_id)
        };
        Ok(row)
    }
}

/// A row that holds the order from the event with the given version on.
pub fn held_from(order_id: &OrderId, version: u64, now: Timestamp) -> HeldOrder {
    HeldOrder::from_place(order_id.clone(), Place { version, position: 0 }, now)
}
