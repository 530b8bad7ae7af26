//! Stores the state of deliveries for the dispatcher.
//!
//! The rows of held orders are synced, so that a power cut cannot remove them after the cursor has passed their events.
//! The progress is written without a sync. A power cut can set the progress back, so that some deliveries are repeated.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use consumer::webhooks::HeldState;
use consumer::webhooks::ports::{Change, DeliveryStore, StoredDeliveries, Subscriptions};
use domain::subscription::Stopped;
use domain::{Subscription, SubscriptionId, SubscriptionState};
use tokio::sync::watch;

use super::EmbeddedWebhooks;
use super::rows::{self, Row};
use crate::embedded::store::Store;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::views::ReadStore;
use crate::embedded::store::writer::Durability;

/// The number of skipped deliveries that are kept for each subscription.
const MAX_SKIPS: usize = 1000;

#[async_trait]
impl DeliveryStore for EmbeddedWebhooks {
    fn subscriptions(&self) -> watch::Receiver<Subscriptions> {
        self.subscriptions.subscribe()
    }

    async fn load(&self, id: SubscriptionId) -> anyhow::Result<Option<StoredDeliveries>> {
        let store = &self.engine.0.store;
        // The rows are read as of the latest commit. The worker that wrote them has ended, but its last writes may not
        // be synced.
        let state = store.latest();
        let Some(progress) = rows::progress(&state, store, id)? else { return Ok(None) };
        let held = rows::held_orders(&state, store, id).collect::<Result<_, _>>()?;
        let mut stored = StoredDeliveries { progress, held };
        let is_unchecked = self.unchecked.lock().expect("the set is intact").remove(&id);
        if is_unchecked && set_back(&mut stored, self.end_at_open) {
            tracing::warn!(
                subscription = %id,
                "events that were delivered are no longer in the data folder; some deliveries may be repeated"
            );
            let rows = stored.held.iter().cloned().map(|row| Change::Hold(Box::new(row)));
            let changes = rows.chain([Change::Progress(stored.progress.clone())]).collect();
            let subscription = self.subscriptions.borrow().get(&id).cloned();
            if let Some(subscription) = subscription {
                self.write(&subscription, changes).await?;
            }
        }
        Ok(Some(stored))
    }

    async fn write(&self, subscription: &Subscription, changes: Vec<Change>) -> anyhow::Result<bool> {
        let is_row = |change: &Change| matches!(change, Change::Hold(_) | Change::Skip(_));
        let durability = if changes.iter().any(is_row) { Durability::Synced } else { Durability::Written };
        let (id, created_at) = (subscription.id, subscription.created_at);
        let (store, subscriptions) = (Arc::clone(&self.engine.0.store), self.subscriptions.subscribe());
        let write = move |stage: &mut Stage| {
            let current = subscriptions.borrow().get(&id).map(|subscription| subscription.created_at);
            if current != Some(created_at) {
                return Ok(false);
            }
            for change in changes {
                apply(stage, &store, id, change)?;
            }
            Ok(true)
        };
        self.engine.0.store.writer.write(durability, write).await
    }

    async fn stop(
        &self,
        seen: &Subscription,
        state: SubscriptionState,
        stopped: Stopped,
    ) -> anyhow::Result<bool> {
        let (id, revision) = (seen.id, seen.revision);
        let change = move |current: &Subscription| {
            let is_current = current.revision == revision && current.state == SubscriptionState::Active;
            is_current.then(|| {
                let at = stopped.at;
                let mut changed = Subscription { revision: revision + 1, updated_at: at, ..current.clone() };
                changed.stop(state, stopped.reason, at);
                changed
            })
        };
        Ok(self.change(id, change).await? == Some(true))
    }
}

impl EmbeddedWebhooks {
    /// Replaces a stored subscription with the result of `change`. Returns `None` if the subscription does not exist,
    /// and otherwise whether `change` returned a new subscription.
    pub(super) async fn change(
        &self,
        id: SubscriptionId,
        change: impl FnOnce(&Subscription) -> Option<Subscription> + Send + 'static,
    ) -> anyhow::Result<Option<bool>> {
        let (store, subscriptions) = (Arc::clone(&self.engine.0.store), self.subscriptions.clone());
        let write = move |stage: &mut Stage| {
            let key = Row::Subscription.key(id);
            // If an earlier job of the commit has changed the subscription, writing it again would overwrite that
            // change.
            anyhow::ensure!(!stage.is_claimed(&key), "the subscription is being changed; try again");
            let Some(row) = store.latest().get(&store.keys.webhooks, &key)? else { return Ok(None) };
            let current = rows::decode("a subscription", &row)?;
            let Some(changed) = change(&current) else { return Ok(Some(false)) };
            stage.claim(key.clone());
            stage.put(&store.keys.webhooks, key, rows::encode(&changed));
            show(stage, subscriptions, id, Some(changed));
            Ok(Some(true))
        };
        self.engine.0.store.writer.write(Durability::Synced, write).await
    }
}

/// Shows the subscription to the dispatcher and to readers once the commit is synced. If `changed` is `None`, the
/// subscription is shown as deleted.
pub(super) fn show(
    stage: &mut Stage,
    subscriptions: watch::Sender<Subscriptions>,
    id: SubscriptionId,
    changed: Option<Subscription>,
) {
    stage.after_sync(move || {
        subscriptions.send_modify(|subscriptions| {
            let subscriptions = Arc::make_mut(subscriptions);
            match changed {
                Some(subscription) => drop(subscriptions.insert(id, Arc::new(subscription))),
                None => drop(subscriptions.remove(&id)),
            }
        });
    });
}

/// Sets stored positions that are after the end of the feed back to the end. Such positions exist after a recovery has
/// cut off the latest commits. New events get these positions, and the deliveries must not skip the new events. Returns
/// whether a position was set back.
fn set_back(stored: &mut StoredDeliveries, end: u64) -> bool {
    let mut has_later = stored.progress.cursor > end;
    stored.progress.cursor = stored.progress.cursor.min(end);
    for row in &mut stored.held {
        if let HeldState::CaughtUp { until } = &mut row.state
            && *until > end
        {
            *until = end;
            has_later = true;
        }
    }
    has_later
}

fn apply(stage: &mut Stage, store: &Store, id: SubscriptionId, change: Change) -> anyhow::Result<()> {
    let webhooks = &store.keys.webhooks;
    match change {
        Change::Progress(progress) => stage.put(webhooks, Row::Progress.key(id), rows::encode(&progress)),
        Change::Hold(row) => stage.put(webhooks, rows::held_key(id, &row.order_id), rows::encode(&row)),
        Change::Release(order_id) => stage.remove(webhooks, rows::held_key(id, &order_id)),
        Change::Skip(skip) => {
            let skips = store.latest().range(webhooks, rows::with_prefix(&Row::Skip.key(id)));
            let keys: Vec<_> = skips.map(|row| row.key()).collect::<Result<_, _>>().context("the skips")?;
            let surplus = (keys.len() + 1).saturating_sub(MAX_SKIPS);
            keys.into_iter().take(surplus).for_each(|key| stage.remove(webhooks, key));
            stage.put(webhooks, rows::skip_key(id, &skip), rows::encode(&skip));
        }
    }
    Ok(())
}
