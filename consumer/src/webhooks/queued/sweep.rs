//! Sweeps the held orders of a subscription: tests the receiver with one of them, and lets all of them catch up once it works.
//! `order` runs the sweep of a job.
//!
//! While the receiver fails, each sweep sends a sweep for the next minute. Orders that fail send a sweep for
//! the next minute too, and the queue keeps only one sweep for each minute. So sweeps make one attempt a
//! minute at a dead receiver, and their number does not grow.

use domain::{OrderId, RecordedEvent, Subscription, SubscriptionState, Timestamp};

use super::attempts::between;
use super::handle::{JobEnd, QueuedDeliveries};
use super::{HeldRow, Job};
use crate::webhooks::HeldState;
use crate::webhooks::attempt::Verdict;

/// How many orders one job of a sweep handles.
const PAGE: usize = 50;

/// What the attempt of a sweep has shown.
enum Trial {
    /// The receiver works.
    Delivered,
    /// The receiver refuses the event, but has accepted others lately. So every held order continues with its
    /// own schedule.
    Refused,
    /// The receiver does not work.
    Dead,
}

impl QueuedDeliveries {
    pub(super) async fn sweep(
        &self,
        subscription: &Subscription,
        after: Option<&OrderId>,
        mut is_tried: bool,
        not_before: Option<Timestamp>,
    ) -> anyhow::Result<JobEnd> {
        if subscription.state != SubscriptionState::Active {
            return Ok(JobEnd::Done);
        }
        let now = (self.0.clock)();
        if let Some(begin) = not_before.filter(|begin| *begin > now) {
            return Ok(JobEnd::Later(between(now, begin)));
        }
        let page = self.0.state.held_after(subscription, after, PAGE).await?;
        for mut row in page.rows {
            if !matches!(row.order.state, HeldState::Retrying { .. }) {
                continue;
            }
            if !is_tried && let Some(event) = self.selected(subscription, &row).await? {
                is_tried = true;
                match self.try_receiver(subscription, &event).await? {
                    Trial::Delivered => row.order.advance(now),
                    Trial::Refused => {}
                    Trial::Dead => return Ok(JobEnd::Done),
                }
            }
            self.let_catch_up(subscription, row).await?;
        }
        if let Some(next) = page.next {
            let (subscription_id, after) = (subscription.id, Some(next));
            self.send(Job::Sweep { subscription_id, after, untried: !is_tried, not_before: None }).await?;
        }
        Ok(JobEnd::Done)
    }

    /// The next event of a held order, if the subscription selects it. If it selects none, the order can
    /// catch up without an attempt.
    async fn selected(
        &self,
        subscription: &Subscription,
        row: &HeldRow,
    ) -> anyhow::Result<Option<RecordedEvent>> {
        let Some(event) = self.0.log.event(&row.order.order_id, row.order.next).await? else {
            return Ok(None);
        };
        Ok(self.selects(subscription, &event).await?.then_some(event))
    }

    /// Posts the next event of a held order. If the receiver does not work, sends the next sweep.
    async fn try_receiver(
        &self,
        subscription: &Subscription,
        event: &RecordedEvent,
    ) -> anyhow::Result<Trial> {
        let finished = self.attempt(subscription, event).await?;
        if finished.verdict == Verdict::Delivered {
            return Ok(Trial::Delivered);
        }
        let now = (self.0.clock)();
        let since = self.note_failure(subscription, &finished.attempt, now).await?;
        if self.stop_if_dead(subscription, &finished.verdict, since, now).await? {
            return Ok(Trial::Dead);
        }
        if self.is_stalled(since, now) {
            self.send(Job::sweep_next(subscription.id, now)).await?;
            return Ok(Trial::Dead);
        }
        Ok(Trial::Refused)
    }

    async fn let_catch_up(&self, subscription: &Subscription, mut row: HeldRow) -> anyhow::Result<()> {
        row.order.state = HeldState::Retrying { due: (self.0.clock)() };
        // If another process has changed the row, that process delivers the order's events, so no catch-up is needed.
        if self.0.state.put_held(subscription, &row).await?.is_some() {
            let order_id = row.order.order_id;
            self.send(Job::CatchUp { subscription_id: subscription.id, order_id }).await?;
        }
        Ok(())
    }
}
