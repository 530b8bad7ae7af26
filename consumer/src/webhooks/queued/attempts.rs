//! Makes the attempts of queued deliveries, and decides what a failed attempt means for its order. `order`
//! and `sweep` call this module.

use std::time::Duration;

use domain::{RecordedEvent, Subscription, Timestamp};

use super::handle::{JobEnd, QueuedDeliveries};
use super::{HeldRow, Job, MAX_WAIT};
use crate::webhooks::attempt::{Attempt, Finished, Verdict};
use crate::webhooks::circuit::later;
use crate::webhooks::metering::{count_attempt, count_given_up};
use crate::webhooks::{EventPayload, HeadEvent, HeldState, PendingAlert};

impl QueuedDeliveries {
    /// Posts an event once. Records the time if the delivery succeeds.
    pub(super) async fn attempt(
        &self,
        subscription: &Subscription,
        event: &RecordedEvent,
    ) -> anyhow::Result<Finished> {
        let payload = EventPayload::of(&self.0.options.source, event.clone())?;
        let finished = self.0.sender.attempt(subscription, &payload, self.0.clock).await;
        count_attempt(subscription.id, &finished);
        if finished.verdict == Verdict::Delivered {
            self.0.state.note_success(subscription.id, (self.0.clock)(), event.recorded_at).await?;
        }
        Ok(finished)
    }

    /// Updates the order's row after a failed attempt. Stops the subscription, alerts operators or starts a sweep if
    /// necessary.
    pub(super) async fn failed(
        &self,
        subscription: &Subscription,
        mut row: HeldRow,
        event: &RecordedEvent,
        finished: Finished,
    ) -> anyhow::Result<JobEnd> {
        let now = (self.0.clock)();
        let Finished { attempt, verdict, .. } = finished;
        let since = self.note_failure(subscription, &attempt, now).await?;
        row.order.attempts += 1;
        row.order.head = Some(head_of(event));
        row.order.last_attempt = Some(attempt);
        if self.stop_if_dead(subscription, &verdict, since, now).await? {
            // The failure does not count for the delivery, which is tried again once the subscription is active again.
            return self.hold(subscription, &row).await;
        }
        row.order.failures += 1;
        let retry_after = match verdict {
            Verdict::Failed { retry_after } => retry_after,
            Verdict::Gone | Verdict::Delivered => None,
        };
        let delay = self.0.options.schedule.delay(row.order.failures, retry_after, fastrand::f64());
        row.order.state = match delay {
            Some(delay) => HeldState::Retrying { due: later(now, delay) },
            None => HeldState::GaveUp,
        };
        if delay.is_none() {
            // The alert is raised before the row is written. If raising it fails, the message is retried, so no alert
            // is lost.
            let order_id = Some(row.order.order_id.clone());
            self.alert(subscription, PendingAlert { stopped: None, gave_up: 1, order_id }).await?;
        }
        self.put(subscription, &row).await?;
        if delay.is_none() {
            count_given_up(subscription.id);
        }
        match delay {
            Some(_) if self.is_stalled(since, now) => {
                self.send(Job::sweep_next(subscription.id, now)).await?;
                Ok(JobEnd::Done)
            }
            Some(delay) => Ok(JobEnd::Later(delay.min(MAX_WAIT))),
            None => Ok(JobEnd::Done),
        }
    }

    /// Records a failure. Returns the time since which every delivery has failed.
    pub(super) async fn note_failure(
        &self,
        subscription: &Subscription,
        attempt: &Attempt,
        now: Timestamp,
    ) -> anyhow::Result<Timestamp> {
        let error = attempt.error.as_deref().unwrap_or_default();
        self.0.state.note_failure(subscription.id, now, error).await
    }

    /// Whether a receiver that has failed since `since` gets only one attempt a minute.
    pub(super) fn is_stalled(&self, since: Timestamp, now: Timestamp) -> bool {
        between(since, now) >= self.0.options.stalled_after
    }

    pub(super) async fn send(&self, job: Job) -> anyhow::Result<()> {
        self.0.queue.send_one(job).await
    }
}

fn head_of(event: &RecordedEvent) -> HeadEvent {
    HeadEvent {
        event_id: event.envelope.event_id,
        event_type: event.envelope.event.event_type(),
        recorded_at: event.recorded_at,
    }
}

/// The duration from `from` to `to`. Zero if `to` is earlier.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_micros(to.micros().saturating_sub(from.micros()).max(0).unsigned_abs())
}
