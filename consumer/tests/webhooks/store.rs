//! A store in memory. Its content remains when the dispatcher is dropped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use consumer::webhooks::ports::{Change, DeliveryStore, StoredDeliveries, Subscriptions};
use consumer::webhooks::{HeldOrder, Progress, SkippedDelivery};
use domain::subscription::Stopped;
use domain::{OrderId, Subscription, SubscriptionId, SubscriptionState};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::setup::{clock, pause};

#[derive(Default)]
pub(crate) struct Durable {
    pub(crate) progress: Progress,
    pub(crate) held: BTreeMap<OrderId, HeldOrder>,
    pub(crate) skips: Vec<SkippedDelivery>,
    pub(crate) max_held: usize,
    pub(crate) writes: usize,
    /// Rows that are not durable yet, each with the number of writes after which it becomes durable.
    delayed: Vec<(usize, HeldOrder)>,
}

/// What goes wrong with every call that reads or writes the durable state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Error,
    Panic,
}

pub(crate) struct Store {
    durable: Mutex<Durable>,
    fault: Mutex<Option<Fault>>,
    /// When a call went wrong.
    pub(crate) faults: Mutex<Vec<Instant>>,
    subscriptions: watch::Sender<Subscriptions>,
    /// A negative control: the rows of held orders become durable several writes later than the store reports.
    pub(crate) delays_rows: bool,
}

impl Store {
    pub(crate) fn new(subscription: Subscription) -> Self {
        let subscriptions = BTreeMap::from([(subscription.id, Arc::new(subscription))]);
        let subscriptions = watch::Sender::new(Arc::new(subscriptions));
        Self {
            durable: Mutex::default(),
            fault: Mutex::default(),
            faults: Mutex::default(),
            subscriptions,
            delays_rows: false,
        }
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn check_fault(&self) -> anyhow::Result<()> {
        let fault = *self.fault.lock().unwrap();
        let Some(fault) = fault else { return Ok(()) };
        self.faults.lock().unwrap().push(Instant::now());
        match fault {
            Fault::Error => anyhow::bail!("the store fails"),
            Fault::Panic => panic!("the store panics"),
        }
    }

    pub(crate) fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap()
    }

    /// Drops everything that is not durable yet.
    pub(crate) fn crash(&self) {
        self.durable().delayed.clear();
    }

    pub(crate) fn subscription(&self) -> Arc<Subscription> {
        Arc::clone(self.subscriptions.borrow().values().next().unwrap())
    }

    /// Changes the subscription, as an operator does.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Subscription)) {
        let mut subscription = self.subscription().as_ref().clone();
        subscription.revision += 1;
        subscription.updated_at = clock();
        change(&mut subscription);
        let all = BTreeMap::from([(subscription.id, Arc::new(subscription))]);
        self.subscriptions.send_replace(Arc::new(all));
    }

    pub(crate) fn delete(&self) {
        self.subscriptions.send_replace(Arc::default());
    }
}

impl Durable {
    fn apply(&mut self, change: Change, delays_rows: bool) {
        match change {
            Change::Progress(progress) => self.progress = progress,
            Change::Hold(row) if delays_rows => self.delayed.push((5, *row)),
            Change::Hold(row) => drop(self.held.insert(row.order_id.clone(), *row)),
            Change::Release(order_id) => drop(self.held.remove(&order_id)),
            Change::Skip(skip) => self.skips.push(*skip),
        }
    }

    fn pass_delayed(&mut self) {
        self.delayed.iter_mut().for_each(|(writes, _)| *writes -= 1);
        let done: Vec<_> = self.delayed.extract_if(.., |(writes, _)| *writes == 0).collect();
        self.held.extend(done.into_iter().map(|(_, row)| (row.order_id.clone(), row)));
    }
}

#[async_trait]
impl DeliveryStore for Store {
    fn subscriptions(&self) -> watch::Receiver<Subscriptions> {
        self.subscriptions.subscribe()
    }

    async fn load(&self, id: SubscriptionId) -> anyhow::Result<Option<StoredDeliveries>> {
        pause().await;
        self.check_fault()?;
        let exists = self.subscriptions.borrow().contains_key(&id);
        let durable = self.durable();
        let held = durable.held.values().cloned().collect();
        Ok(exists.then(|| StoredDeliveries { progress: durable.progress.clone(), held }))
    }

    async fn write(&self, subscription: &Subscription, changes: Vec<Change>) -> anyhow::Result<bool> {
        pause().await;
        self.check_fault()?;
        let exists = self.subscriptions.borrow().contains_key(&subscription.id);
        if exists {
            let mut durable = self.durable();
            durable.pass_delayed();
            durable.writes += 1;
            changes.into_iter().for_each(|change| durable.apply(change, self.delays_rows));
            durable.max_held = durable.max_held.max(durable.held.len());
        }
        pause().await;
        Ok(exists)
    }

    async fn stop(
        &self,
        seen: &Subscription,
        state: SubscriptionState,
        stopped: Stopped,
    ) -> anyhow::Result<bool> {
        pause().await;
        let current = self.subscription();
        let is_current = current.revision == seen.revision && current.state == SubscriptionState::Active;
        if is_current {
            self.change(|subscription| {
                subscription.state = state;
                subscription.stopped = Some(stopped);
            });
        }
        Ok(is_current)
    }
}
