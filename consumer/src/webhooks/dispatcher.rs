//! Runs a worker for each subscription, and starts the worker again after an error. `orders serve` runs the dispatcher on a
//! separate thread.

mod worker;

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use domain::{SubscriptionId, Timestamp};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::commands::Workers;
use super::metering;
use super::options::DeliveryOptions;
use super::ports::{DeliveryStore, EventSource, WebhookSender};
use crate::backoff::exponential;
use crate::ports::Alerts;
use worker::Worker;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// After a worker has run for this long, its next error counts as the first one. The time is longer than the
/// longest pause, so that a worker that keeps failing still gets longer pauses.
const STEADY_AFTER: Duration = Duration::from_secs(60);

/// Delivers the events of all subscriptions.
pub struct Dispatcher {
    /// The recorded events.
    pub source: Arc<dyn EventSource>,
    /// The store of the subscriptions and of the state of their deliveries.
    pub store: Arc<dyn DeliveryStore>,
    /// Posts events to the receivers.
    pub sender: Arc<dyn WebhookSender>,
    /// Notifies operators of stopped subscriptions and of deliveries that were given up.
    pub alerts: Arc<dyn Alerts>,
    /// Passes operators' requests to the workers.
    pub workers: Arc<Workers>,
    /// The current time.
    pub clock: fn() -> Timestamp,
    /// The settings of deliveries.
    pub options: DeliveryOptions,
}

impl Dispatcher {
    /// Delivers until `stop` becomes true or its sender is dropped, and then waits a short time for the attempts in flight. If
    /// the future is dropped, deliveries stop immediately, and some deliveries are repeated after the next start.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut subscriptions = self.store.subscriptions();
        let mut tasks = JoinSet::new();
        let mut running = HashMap::new();
        loop {
            let current = Arc::clone(&subscriptions.borrow_and_update());
            for id in current.keys() {
                running
                    .entry(*id)
                    .or_insert_with(|| tasks.spawn(Arc::clone(&self).deliver(*id, stop.clone())));
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                changed = subscriptions.changed() => if changed.is_err() { break },
                Some(ended) = tasks.join_next_with_id() => {
                    let task = ended.map_or_else(|error| error.id(), |(task, ())| task);
                    running.retain(|_, handle| handle.id() != task);
                }
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Runs the worker of a subscription until the subscription is deleted or the service stops.
    async fn deliver(self: Arc<Self>, id: SubscriptionId, stop: watch::Receiver<bool>) {
        let (commands, monitor) = self.workers.add(id);
        let (subscriptions, mut stopped) = (self.store.subscriptions(), stop.clone());
        let mut worker = Worker { id, dispatcher: Arc::clone(&self), subscriptions, commands, monitor, stop };
        let mut failures = 0;
        loop {
            let began = Instant::now();
            // A worker that was dropped at any point continues from the stored state, so a panic is treated like an error.
            let ended = AssertUnwindSafe(worker.run()).catch_unwind().await;
            let Err(error) = ended.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))) else { break };
            failures = if began.elapsed() >= STEADY_AFTER { 1 } else { failures + 1 };
            let pause = exponential(failures, FIRST_PAUSE, MAX_PAUSE);
            tracing::error!(subscription = %id, "deliveries stopped, starting them again in {pause:?}: {error:#}");
            if timeout(pause, stopped.wait_for(|stop| *stop)).await.is_ok() {
                break;
            }
        }
        self.workers.remove(id);
        metering::show_lag(id, 0, Duration::ZERO, 0);
    }
}

fn panicked(panic: &(dyn Any + Send)) -> anyhow::Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text");
    anyhow!("the worker panicked: {text}")
}
