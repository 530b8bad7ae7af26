//! The relay takes recorded events from the change stream of the table of orders. It appends the events to
//! the feed, sends them on to webhook subscriptions, and publishes them to [`outputs`]. Its Lambda handler
//! and its container loop ([`shards`]) call [`Relay::relay`].
//!
//! The stream delivers the entries of each order in order, so the relay keeps the order of each batch. After a failure,
//! the stream delivers a batch again, so the feed ignores entries that it already has.

mod entry;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod outputs;
mod ports;
pub mod shards;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use domain::{CustomerId, OrderId};
use metrics::{counter, histogram};
use tokio::time::{Instant, timeout_at};

pub use entry::{FeedEntry, StreamEntry};
pub use ports::{
    ChangeStream, Checkpoint, CustomerLookup, FeedSink, Shard, ShardLeases, ShardPage, StreamError,
    WebhookOutbox,
};

use crate::ports::Clock;
use outputs::Outputs;

/// The maximum number of entries in the first window. The relay checks for failures after each window.
const FIRST_WINDOW: usize = 10;
/// The maximum number of entries in a window.
const MAX_WINDOW: usize = 320;
/// How many customers of orders are kept in memory.
const MAX_CUSTOMERS: usize = 20_000;

/// Appends recorded events to the feed, sends them on to webhook subscriptions, and publishes them to outputs.
pub struct Relay {
    feed: Option<Arc<dyn FeedSink>>,
    webhooks: Option<Arc<dyn WebhookOutbox>>,
    outputs: Option<Outputs>,
    customers: Arc<dyn CustomerLookup>,
    clock: Clock,
    /// The customers of orders that were relayed lately, so that most later events need no look-up.
    known: Mutex<HashMap<OrderId, CustomerId>>,
}

/// Why a batch was not completely relayed.
#[derive(Debug, thiserror::Error)]
#[error("{cause:#}")]
pub struct RelayFailure {
    /// The index in the batch of the first entry that must be delivered again. All entries before it are relayed.
    pub first: usize,
    /// Why the entry at `first` was not relayed.
    pub cause: anyhow::Error,
}

impl Relay {
    /// A relay without a destination. [`Self::with_feed`], [`Self::with_webhooks`] and [`Self::with_outputs`] add destinations.
    pub fn new(customers: Arc<dyn CustomerLookup>, clock: Clock) -> Self {
        Self { feed: None, webhooks: None, outputs: None, customers, clock, known: Mutex::default() }
    }

    /// Makes the relay append recorded events to `feed`.
    #[must_use]
    pub fn with_feed(self, feed: Arc<dyn FeedSink>) -> Self {
        Self { feed: Some(feed), ..self }
    }

    /// Makes the relay send recorded events on to webhook subscriptions.
    #[must_use]
    pub fn with_webhooks(self, webhooks: Arc<dyn WebhookOutbox>) -> Self {
        Self { webhooks: Some(webhooks), ..self }
    }

    /// Makes the relay publish recorded events to `outputs`.
    #[must_use]
    pub fn with_outputs(self, outputs: Outputs) -> Self {
        Self { outputs: Some(outputs), ..self }
    }

    /// Relays the entries of one shard, in order. An entry that cannot be read or that the feed refuses is a failure,
    /// because later entries of its order must not overtake it.
    pub async fn relay(&self, entries: Vec<anyhow::Result<StreamEntry>>) -> Result<(), RelayFailure> {
        self.relay_before(None, entries).await
    }

    /// Relays the entries of one shard, in order. An entry that is not relayed by the deadline is a failure.
    pub async fn relay_before(
        &self,
        deadline: Option<Instant>,
        entries: Vec<anyhow::Result<StreamEntry>>,
    ) -> Result<(), RelayFailure> {
        let (mut readable, mut unreadable) = (Vec::with_capacity(entries.len()), None);
        for (first, entry) in entries.into_iter().enumerate() {
            match entry {
                Ok(entry) => readable.push(entry),
                Err(cause) => {
                    unreadable = Some(RelayFailure { first, cause });
                    break;
                }
            }
        }
        let with_customers = before(deadline, self.with_customers(readable)).await;
        let entries = with_customers.flatten().map_err(|cause| RelayFailure { first: 0, cause })?;
        let mut failed = unreadable;
        if let Some(feed) = &self.feed {
            let appended = before(deadline, feed.append(&entries)).await;
            let appended = appended.map_err(|cause| RelayFailure { first: 0, cause })?;
            failed = first_failure(appended).or(failed);
        }
        // The other destinations get only entries that the feed has accepted. The change stream delivers the
        // refused entries again.
        let accepted = failed.as_ref().map_or(entries.len(), |failed| failed.first);
        let failed = self.send_on(&entries[..accepted], deadline).await.err().or(failed);
        let relayed = failed.as_ref().map_or(entries.len(), |failed| failed.first);
        self.measure(&entries[..relayed]);
        failed.map_or(Ok(()), Err)
    }

    /// Sends entries to outputs and to webhook subscriptions. Unlike the feed, these destinations get an
    /// entry again if the stream delivers it again. So the entries are sent in windows: after a failure, only
    /// the entries of the latest window are sent again.
    async fn send_on(&self, entries: &[FeedEntry], deadline: Option<Instant>) -> Result<(), RelayFailure> {
        let mut size = FIRST_WINDOW;
        let mut sent = 0;
        while sent < entries.len() {
            let window = &entries[sent..entries.len().min(sent + size)];
            let result = before(deadline, self.send_window(window)).await;
            let result = result.unwrap_or_else(|cause| Err(RelayFailure { first: 0, cause }));
            result.map_err(|failed| RelayFailure { first: sent + failed.first, ..failed })?;
            sent += window.len();
            size = (2 * size).min(MAX_WINDOW);
        }
        Ok(())
    }

    /// Sends a window to the outputs, and then sends the entries that they accepted to webhook subscriptions.
    async fn send_window(&self, window: &[FeedEntry]) -> Result<(), RelayFailure> {
        let published = match &self.outputs {
            Some(outputs) => outputs.publish(window).await,
            None => Ok(()),
        };
        let accepted = published.as_ref().map_or_else(|failed| failed.first, |()| window.len());
        match self.webhooks.as_ref().filter(|_| accepted > 0) {
            Some(webhooks) => first_failure(webhooks.send(&window[..accepted]).await).map_or(published, Err),
            None => published,
        }
    }

    /// Counts the relayed events, and measures the time since each of them was recorded.
    fn measure(&self, relayed: &[FeedEntry]) {
        counter!("orders_relay_events_total").increment(relayed.len() as u64);
        let lag = histogram!("orders_relay_lag_seconds");
        let now = (self.clock)().micros();
        for entry in relayed {
            lag.record(now.saturating_sub(entry.recorded_at.micros()).max(0) as f64 / 1e6);
        }
    }

    /// Adds to each entry the customer of its order. Only the first entry of an order contains the customer.
    async fn with_customers(&self, entries: Vec<StreamEntry>) -> anyhow::Result<Vec<FeedEntry>> {
        let unknown = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() > MAX_CUSTOMERS {
                known.clear();
            }
            for entry in &entries {
                if let Some(customer) = &entry.customer_id {
                    known.insert(entry.order_id.clone(), customer.clone());
                }
            }
            let unknown = entries.iter().filter(|entry| !known.contains_key(&entry.order_id));
            unknown.map(|entry| entry.order_id.clone()).collect::<HashSet<_>>()
        };
        let unknown: Vec<_> = unknown.into_iter().collect();
        let found = if unknown.is_empty() { Vec::new() } else { self.customers.customers(&unknown).await? };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(found);
        let with_customer = |entry: StreamEntry| {
            let customer = known.get(&entry.order_id).cloned();
            let customer =
                customer.ok_or_else(|| anyhow!("order {} has no first log entry", entry.order_id))?;
            Ok(entry.into_feed_entry(customer))
        };
        entries.into_iter().map(with_customer).collect()
    }
}

/// The result of `work`, or an error if the work is not done at the deadline.
async fn before<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> anyhow::Result<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await.map_err(|_| anyhow!("out of time")),
        None => Ok(work.await),
    }
}

/// The first failure among `results`, which contains one result for each entry.
fn first_failure(results: Vec<anyhow::Result<()>>) -> Option<RelayFailure> {
    let failed = results.into_iter().enumerate().find_map(|(first, result)| Some((first, result.err()?)));
    failed.map(|(first, cause)| RelayFailure { first, cause })
}
