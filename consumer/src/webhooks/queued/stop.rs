//! Stops subscriptions whose receiver is gone or has failed for too long, and holds the orders of stopped
//! subscriptions. `order`, `attempts` and `sweep` call this module.

use anyhow::Context;
use domain::subscription::Stopped;
use domain::{Subscription, SubscriptionState, Timestamp};

use super::attempts::between;
use super::handle::{JobEnd, QueuedDeliveries};
use super::{HeldRow, Job};
use crate::alert::{Alert, WebhookAlert};
use crate::webhooks::PendingAlert;
use crate::webhooks::attempt::Verdict;
use crate::webhooks::metering::count_stopped;
use crate::webhooks::stopping::GONE;

impl QueuedDeliveries {
    /// Stops the subscription if its receiver is gone, or has failed for too long. Held orders stay held.
    /// Returns whether the receiver is gone or has failed for too long.
    ///
    /// Several deliveries can find the same receiver dead. Only the call that stops the subscription raises
    /// the alert.
    pub(super) async fn stop_if_dead(
        &self,
        subscription: &Subscription,
        verdict: &Verdict,
        since: Timestamp,
        now: Timestamp,
    ) -> anyhow::Result<bool> {
        // Failures before the subscription was resumed or changed do not count.
        let since = since.max(subscription.updated_at);
        let (state, reason) = if *verdict == Verdict::Gone {
            (SubscriptionState::Paused, GONE.to_owned())
        } else if between(since, now) >= self.0.options.disable_after {
            (SubscriptionState::Disabled, format!("All deliveries have failed since {since}."))
        } else {
            return Ok(false);
        };
        let stopped = Stopped { reason: reason.clone(), at: now };
        if self.0.state.stop(subscription, state, stopped).await? {
            count_stopped(subscription.id, state);
            let id = subscription.id;
            tracing::error!(subscription = %id, state = state.as_str(), reason, "a webhook subscription was stopped");
            let pending = PendingAlert { stopped: Some(reason), gave_up: 0, order_id: None };
            self.alert(subscription, pending).await?;
        }
        Ok(true)
    }

    pub(super) async fn alert(
        &self,
        subscription: &Subscription,
        pending: PendingAlert,
    ) -> anyhow::Result<()> {
        let alert = Alert::Webhook(WebhookAlert::new(subscription, &pending));
        self.0.alerts.raise(&alert).await.context("raising an alert")
    }

    /// Holds an order of a stopped subscription. If the subscription was resumed before the row was written,
    /// its sweep may have missed the row. So another sweep is sent.
    pub(super) async fn hold(&self, subscription: &Subscription, row: &HeldRow) -> anyhow::Result<JobEnd> {
        self.put(subscription, row).await?;
        let current = self.0.state.current_subscription(subscription.id).await?;
        if current.is_some_and(|current| current.state == SubscriptionState::Active) {
            self.send(Job::sweep_next(subscription.id, (self.0.clock)())).await?;
        }
        Ok(JobEnd::Done)
    }
}
