//! Stops subscriptions whose receiver wants no further events or always fails. Alerts operators about stopped
//! subscriptions and given-up deliveries. The worker calls this module.

use std::sync::Arc;
use std::time::Duration;

use domain::subscription::Stopped;
use domain::{Subscription, SubscriptionState, Timestamp};

use super::held::PendingAlert;
use super::metering::count_stopped;
use super::ports::DeliveryStore;
use crate::alert::{Alert, WebhookAlert};
use crate::backoff::exponential;
use crate::ports::Alerts;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Why a subscription is paused whose receiver answered 410.
pub(super) const GONE: &str = "The receiver answered 410 Gone.";

/// Why and since when the subscription is stopped, if the service itself has stopped it. `None` if it is active, or if an
/// operator has paused it.
pub fn stopped_by_the_service(subscription: &Subscription) -> Option<&Stopped> {
    let stopped = subscription.stopped.as_ref()?;
    let by_service = match subscription.state {
        SubscriptionState::Active => false,
        SubscriptionState::Paused => stopped.reason == GONE,
        SubscriptionState::Disabled => true,
    };
    by_service.then_some(stopped)
}

/// Pauses a subscription whose receiver answered 410. Returns the reason, or `None` if the subscription is not active any more.
pub(crate) async fn pause(
    store: &dyn DeliveryStore,
    subscription: &Subscription,
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    let reason = GONE.to_owned();
    stop(store, subscription, SubscriptionState::Paused, reason, now).await
}

/// Disables a subscription whose deliveries have failed for too long. Returns the reason, or `None` if the
/// subscription is no longer active.
pub(crate) async fn disable(
    store: &dyn DeliveryStore,
    subscription: &Subscription,
    after: Duration,
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    let reason = format!("All deliveries have failed for {}.", in_words(after));
    stop(store, subscription, SubscriptionState::Disabled, reason, now).await
}

async fn stop(
    store: &dyn DeliveryStore,
    subscription: &Subscription,
    state: SubscriptionState,
    reason: String,
    now: Timestamp,
) -> anyhow::Result<Option<String>> {
    if !store.stop(subscription, state, Stopped { reason: reason.clone(), at: now }).await? {
        return Ok(None);
    }
    count_stopped(subscription.id, state);
    tracing::error!(
        subscription = %subscription.id,
        state = state.as_str(),
        reason,
        "a webhook subscription was stopped; its events are kept, and are delivered once it is active again"
    );
    Ok(Some(reason))
}

/// The duration in words, in the largest unit that fits, such as days.
fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        86_400.. => (seconds / 86_400, "day"),
        3600.. => (seconds / 3600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Raises an alert, after a pause if earlier attempts have failed. The pause grows with the number of failures. Returns
/// whether the alert was raised.
pub(crate) async fn report(
    alerts: Arc<dyn Alerts>,
    subscription: Arc<Subscription>,
    pending: PendingAlert,
    failures: u32,
) -> bool {
    if failures > 0 {
        tokio::time::sleep(exponential(failures, FIRST_PAUSE, MAX_PAUSE)).await;
    }
    let alert = Alert::Webhook(WebhookAlert::new(&subscription, &pending));
    let raised = alerts.raise(&alert).await;
    if let Err(error) = &raised {
        tracing::error!(subscription = %subscription.id, "cannot raise an alert, trying again: {error:#}");
    }
    raised.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_their_largest_unit() {
        let words = [1, 59, 60, 3600, 86_399, 86_400, 432_000].map(|s| in_words(Duration::from_secs(s)));
        assert_eq!(words, ["1 second", "59 seconds", "1 minute", "1 hour", "23 hours", "1 day", "5 days"]);
    }
}
