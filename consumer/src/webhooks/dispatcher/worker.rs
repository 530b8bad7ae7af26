//! Delivers the events of one subscription. The dispatcher runs a worker for each subscription.
//!
//! Apart from the attempts in flight, the worker does one thing at a time. Before it lets the cursor pass the events of
//! a held order, it writes the row of the order and waits until the write is durable. So the worker's future can be
//! dropped at any point, and a new worker continues from the stored state.

mod running;

use std::sync::Arc;
use std::time::Duration;

use domain::{Subscription, SubscriptionId, SubscriptionState, Timestamp};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::Dispatcher;
use crate::webhooks::attempt::Finished;
use crate::webhooks::commands::Command;
use crate::webhooks::deliveries::{Deliveries, Ticket};
use crate::webhooks::metering::AttemptMeter;
use crate::webhooks::monitor::Monitor;
use crate::webhooks::payload::EventPayload;
use crate::webhooks::ports::Subscriptions;

/// How often an idle worker checks the clock and reports its lag.
const TICK: Duration = Duration::from_secs(5);

pub(crate) struct Worker {
    pub(crate) id: SubscriptionId,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) subscriptions: watch::Receiver<Subscriptions>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// An attempt that has ended.
struct Ended {
    ticket: Ticket,
    payload: Arc<EventPayload>,
    finished: Finished,
}

/// What a worker has to do next.
enum Wake {
    Stop,
    /// A subscription was changed or deleted.
    Changed,
    Command(Command),
    Ended(Box<Ended>),
    /// An alert was raised, or could not be raised.
    Reported(bool),
    /// There may be events to read or attempts that are due.
    Time,
}

/// The state of a worker between its start and an error.
struct Running {
    id: SubscriptionId,
    dispatcher: Arc<Dispatcher>,
    monitor: Arc<Monitor>,
    subscription: Arc<Subscription>,
    deliveries: Deliveries,
    attempts: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// The alert that is being raised.
    report: Option<BoxFuture<'static, bool>>,
    report_failures: u32,
    meter: AttemptMeter,
    saved_at: Instant,
    shown_at: Instant,
}

impl Worker {
    /// Delivers until the subscription is deleted or the service stops. After an error, the dispatcher may call this function
    /// again.
    pub(crate) async fn run(&mut self) -> anyhow::Result<()> {
        let Some(mut running) = self.start().await? else { return Ok(()) };
        loop {
            if !running.start_attempts(|| self.has_request()).await? {
                return Ok(());
            }
            running.show();
            match self.wait(&mut running).await {
                Wake::Stop => return running.finish_up().await,
                Wake::Changed => {
                    let current = self.subscriptions.borrow_and_update().get(&self.id).cloned();
                    let Some(subscription) = current else { return Ok(()) };
                    let is_same = subscription.created_at == running.subscription.created_at;
                    anyhow::ensure!(
                        is_same,
                        "the subscription was deleted, and another subscription has the same id"
                    );
                    running.change(subscription);
                }
                Wake::Command(Command { action, reply }) => {
                    let done = running.carry_out(action).await?;
                    // An error only means that the operator's request no longer waits for the result.
                    let _ = reply.send(done);
                }
                Wake::Ended(ended) => running.end(*ended).await?,
                Wake::Reported(has_succeeded) => running.reported(has_succeeded),
                Wake::Time => {}
            }
            running.save_if_due().await?;
        }
    }

    /// Whether the service stops, a subscription was changed, or an operator's request is queued.
    fn has_request(&self) -> bool {
        // An error means that the sender was dropped, so the service stops.
        let is_changed = self.subscriptions.has_changed().unwrap_or(true);
        is_changed || *self.stop.borrow() || !self.commands.is_empty()
    }

    /// Waits until there is something to do.
    async fn wait(&mut self, running: &mut Running) -> Wake {
        let wake_at = running.wake_at();
        let waits_for_events = running.waits_for_events();
        let read_to = running.deliveries.read_to();
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => Wake::Stop,
            changed = self.subscriptions.changed() => if changed.is_ok() { Wake::Changed } else { Wake::Stop },
            Some(command) = self.commands.recv() => Wake::Command(command),
            Some(ended) = running.attempts.next() => Wake::Ended(Box::new(ended)),
            has_succeeded = ready_or_pending(&mut running.report) => Wake::Reported(has_succeeded),
            () = self.dispatcher.source.wait(read_to), if waits_for_events => Wake::Time,
            () = sleep_until(wake_at) => Wake::Time,
        }
    }

    async fn start(&mut self) -> anyhow::Result<Option<Running>> {
        let current = self.subscriptions.borrow_and_update().get(&self.id).cloned();
        let Some(subscription) = current else { return Ok(None) };
        let Some(stored) = self.dispatcher.store.load(self.id).await? else { return Ok(None) };
        let now = (self.dispatcher.clock)();
        let options = self.dispatcher.options.clone();
        Ok(Some(Running {
            id: self.id,
            dispatcher: Arc::clone(&self.dispatcher),
            monitor: Arc::clone(&self.monitor),
            deliveries: Deliveries::new(options, stored, subscription.updated_at, now),
            subscription,
            attempts: FuturesUnordered::new(),
            report: None,
            report_failures: 0,
            meter: AttemptMeter::registered(self.id),
            saved_at: Instant::now(),
            shown_at: Instant::now(),
        }))
    }
}

/// Waits for the future and then removes it. If there is no future, this function never returns.
async fn ready_or_pending(future: &mut Option<BoxFuture<'static, bool>>) -> bool {
    let Some(running) = future else { return std::future::pending().await };
    let result = running.await;
    *future = None;
    result
}

impl Running {
    fn is_active(&self) -> bool {
        self.subscription.state == SubscriptionState::Active
    }

    fn now(&self) -> Timestamp {
        (self.dispatcher.clock)()
    }

    fn waits_for_events(&self) -> bool {
        self.is_active() && self.deliveries.wants_events()
    }

    /// The latest time at which the worker must act. An event or a request may wake the worker earlier.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let mut wake_at = now + TICK;
        if let Some(at) = self.deliveries.next_at().filter(|_| self.is_active()) {
            let micros = u64::try_from(at.micros() - self.now().micros()).unwrap_or(0);
            wake_at = wake_at.min(now + Duration::from_micros(micros));
        }
        if self.deliveries.is_unsaved() {
            wake_at = wake_at.min(self.saved_at + self.dispatcher.options.save_every);
        }
        wake_at
    }

    /// Lets the attempts in flight end, and stores the progress.
    async fn finish_up(mut self) -> anyhow::Result<()> {
        let grace = self.dispatcher.options.stop_grace;
        let ending = async {
            while let Some(ended) = self.attempts.next().await {
                self.end(ended).await?;
            }
            anyhow::Ok(())
        };
        // If an attempt takes longer than the grace period, its event is delivered again after the next start.
        timeout(grace, ending).await.unwrap_or(Ok(()))?;
        self.save().await?;
        Ok(())
    }
}
