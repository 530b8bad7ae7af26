//! Stores webhook subscriptions and the health of their receivers in the outbound table, for the API, the relay and the
//! webhook sender.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use aws_sdk_dynamodb::types::ReturnValue;
use domain::subscription::Stopped;
use domain::{Subscription, SubscriptionId, SubscriptionState, Timestamp};

use crate::sdk::{condition_met, explain};

use super::{Item, OutboundTable, integer, string, text};

/// The partition key of subscriptions and of the health of their receivers.
const PK: &str = "WEBHOOKS";
/// How long a process uses a subscription from the cache before it reads the subscription again.
const FRESH: Duration = Duration::from_secs(2);
/// How often a success is stored while no delivery fails.
const NOTE_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ReceiverHealth {
    pub(crate) succeeded_at: Option<Timestamp>,
    /// When the event of the latest successful delivery was recorded. `None` in rows of earlier program versions.
    pub(crate) succeeded_recorded_at: Option<Timestamp>,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
}

/// A subscription in the cache, and the time at which it was read. `subscription` is `None` if there was no such
/// subscription.
#[derive(Debug)]
struct CachedSubscription {
    at: Instant,
    subscription: Option<Arc<Subscription>>,
}

/// What a process keeps in memory about subscriptions, to save reads and writes.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionCache {
    read: Mutex<HashMap<SubscriptionId, CachedSubscription>>,
    /// When the last success of a subscription was stored. A failure removes the entry.
    noted: Mutex<HashMap<SubscriptionId, Instant>>,
}

impl SubscriptionCache {
    pub(crate) fn fresh(&self, id: SubscriptionId) -> Option<Option<Arc<Subscription>>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(&id).filter(|read| read.at.elapsed() < FRESH).map(|read| read.subscription.clone())
    }

    pub(crate) fn put(&self, id: SubscriptionId, subscription: Option<Arc<Subscription>>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|_, read| read.at.elapsed() < FRESH);
        read.insert(id, CachedSubscription { at: Instant::now(), subscription });
    }

    /// Whether a success should be stored now. If it should, remembers the current time.
    pub(crate) fn notes_success(&self, id: SubscriptionId) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = noted.get(&id).is_none_or(|at| at.elapsed() >= NOTE_EVERY);
        if is_due {
            noted.insert(id, Instant::now());
        }
        is_due
    }

    pub(crate) fn forget_success(&self, id: SubscriptionId) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

fn key(kind: &str, id: SubscriptionId) -> Item {
    Item::from([("pk".to_owned(), text(PK)), ("sk".to_owned(), text(format!("{kind}#{id}")))])
}

fn time(item: &Item, name: &str) -> Option<Timestamp> {
    Timestamp::parse(string(item, name).ok()?).ok()
}

fn read(item: &Item) -> anyhow::Result<Subscription> {
    serde_json::from_str(string(item, "subscription")?).context("a stored subscription")
}

impl OutboundTable {
    /// Reads all subscriptions, sorted by id, with strong consistency.
    pub(crate) async fn subscriptions(&self) -> anyhow::Result<Vec<Subscription>> {
        let query = self
            .query(PK)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :kind)");
        let items = self.all(query.expression_attribute_values(":kind", text("SUBSCRIPTION#"))).await?;
        items.iter().map(read).collect()
    }

    pub(crate) async fn subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<Subscription>> {
        let call = self.client.get_item().table_name(&self.name).consistent_read(true);
        let answer = Box::pin(call.set_key(Some(key("SUBSCRIPTION", id))).send()).await;
        let answer = answer.map_err(explain).context("reading a subscription")?;
        answer.item().map(read).transpose()
    }

    /// Puts a subscription, on condition that the stored subscription has the previous revision. Revision 1 is put only
    /// if no subscription is stored. Returns whether the subscription was put.
    pub(crate) async fn put_subscription(&self, subscription: &Subscription) -> anyhow::Result<bool> {
        let mut item = key("SUBSCRIPTION", subscription.id);
        item.insert("revision".to_owned(), integer(subscription.revision));
        item.insert("subscription".to_owned(), text(serde_json::to_string(subscription)?));
        let call = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let call = if subscription.revision <= 1 {
            call.condition_expression("attribute_not_exists(pk)")
        } else {
            let call = call.condition_expression("#revision = :before");
            let call = call.expression_attribute_names("#revision", "revision");
            call.expression_attribute_values(":before", integer(subscription.revision - 1))
        };
        condition_met(Box::pin(call.send()).await).context("storing a subscription")
    }

    /// Puts a subscription of any revision, unless a subscription with its id is stored. Returns the stored
    /// subscription.
    #[cfg(feature = "embedded")]
    pub(crate) async fn restore_subscription(
        &self,
        subscription: Subscription,
    ) -> anyhow::Result<Subscription> {
        let mut item = key("SUBSCRIPTION", subscription.id);
        item.insert("revision".to_owned(), integer(subscription.revision));
        item.insert("subscription".to_owned(), text(serde_json::to_string(&subscription)?));
        let call = self.client.put_item().table_name(&self.name).set_item(Some(item));
        let call = call.condition_expression("attribute_not_exists(pk)");
        if condition_met(Box::pin(call.send()).await).context("storing a subscription")? {
            return Ok(subscription);
        }
        Ok(self.subscription(subscription.id).await?.unwrap_or(subscription))
    }

    /// Deletes a subscription and the health of its receiver. Returns whether the subscription existed.
    pub(crate) async fn delete_subscription(&self, id: SubscriptionId) -> anyhow::Result<bool> {
        let call = self.client.delete_item().table_name(&self.name).set_key(Some(key("SUBSCRIPTION", id)));
        let deleted = condition_met(Box::pin(call.condition_expression("attribute_exists(pk)").send()).await);
        let deleted = deleted.context("deleting a subscription")?;
        let call = self.client.delete_item().table_name(&self.name).set_key(Some(key("RECEIVER", id)));
        Box::pin(call.send()).await.map_err(explain).context("deleting a subscription")?;
        Ok(deleted)
    }

    /// Stops an active subscription, unless it was changed after `seen`. Returns whether the call has stopped the
    /// subscription.
    pub(crate) async fn stop_subscription(
        &self,
        seen: &Subscription,
        state: SubscriptionState,
        stopped: Stopped,
    ) -> anyhow::Result<bool> {
        if seen.state != SubscriptionState::Active {
            return Ok(false);
        }
        let at = stopped.at;
        let mut changed = Subscription { revision: seen.revision + 1, updated_at: at, ..seen.clone() };
        changed.stop(state, stopped.reason, at);
        // If an operator has changed the subscription since it was read, nothing is put, so that the operator's change
        // stays.
        self.put_subscription(&changed).await
    }

    pub(crate) async fn receiver_health(&self, id: SubscriptionId) -> anyhow::Result<ReceiverHealth> {
        let call = self.client.get_item().table_name(&self.name);
        let answer = Box::pin(call.set_key(Some(key("RECEIVER", id))).send()).await;
        let answer = answer.map_err(explain).context("reading the health of a receiver")?;
        Ok(answer.item().map(health_of).unwrap_or_default())
    }

    pub(crate) async fn note_success(
        &self,
        id: SubscriptionId,
        at: Timestamp,
        recorded_at: Timestamp,
    ) -> anyhow::Result<()> {
        let call = self.client.update_item().table_name(&self.name).set_key(Some(key("RECEIVER", id)));
        let set =
            "SET succeeded_at = :at, succeeded_recorded_at = :recorded_at REMOVE failing_since, last_error";
        let call = call.update_expression(set).expression_attribute_values(":at", text(at.to_string()));
        let call = call.expression_attribute_values(":recorded_at", text(recorded_at.to_string()));
        Box::pin(call.send()).await.map_err(explain).context("noting a delivery")?;
        Ok(())
    }

    /// Records that a delivery failed. Returns the time since which every delivery has failed.
    pub(crate) async fn note_failure(
        &self,
        id: SubscriptionId,
        at: Timestamp,
        error: &str,
    ) -> anyhow::Result<Timestamp> {
        let call = self.client.update_item().table_name(&self.name).set_key(Some(key("RECEIVER", id)));
        let call = call
            .update_expression("SET failing_since = if_not_exists(failing_since, :at), last_error = :error")
            .expression_attribute_values(":at", text(at.to_string()))
            .expression_attribute_values(":error", text(error))
            .return_values(ReturnValue::AllNew);
        let answer = Box::pin(call.send()).await.map_err(explain).context("noting a failed delivery")?;
        let since = answer.attributes().map(health_of).and_then(|health| health.failing_since);
        Ok(since.unwrap_or(at))
    }
}

fn health_of(item: &Item) -> ReceiverHealth {
    ReceiverHealth {
        succeeded_at: time(item, "succeeded_at"),
        succeeded_recorded_at: time(item, "succeeded_recorded_at"),
        failing_since: time(item, "failing_since"),
        last_error: string(item, "last_error").ok().map(str::to_owned),
    }
}
