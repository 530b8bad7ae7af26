//! Webhooks of the embedded service: keeps the subscriptions and the state of their deliveries in the data folder.
//! `orders serve` creates the [`EmbeddedWebhooks`], passes them to the API, and runs their dispatcher.
//!
//! [`rows`] encodes the rows of the keyspace `webhooks`, [`source`] reads events for the dispatcher, [`state`] stores
//! what the dispatcher must find after a crash, [`operators`] implements the port of the API, and [`listing`] lists
//! deliveries. [`pace`] lets the thread on which deliveries run give way to requests.

mod listing;
mod operators;
pub mod pace;
pub(crate) mod rows;
mod source;
mod state;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use consumer::ports::Alerts;
use consumer::webhooks::ports::{Subscriptions, WebhookSender};
use consumer::webhooks::{DeliveryOptions, Dispatcher, Workers};
use domain::SubscriptionId;
use tokio::sync::watch;

use super::Embedded;
use source::{CustomerCache, PayloadCache, customer_cache};

/// The subscriptions of an engine, and their deliveries.
pub struct EmbeddedWebhooks {
    engine: Embedded,
    /// The `source` of the CloudEvents.
    source: String,
    /// The sender that posts test events. The dispatcher uses a separate sender, because the connections of a sender
    /// belong to one thread.
    sender: Arc<dyn WebhookSender>,
    subscriptions: watch::Sender<Subscriptions>,
    workers: Arc<Workers>,
    payloads: PayloadCache,
    customers: CustomerCache,
    /// The end of the feed when the folder was opened.
    end_at_open: u64,
    /// The stored subscriptions whose positions were not compared with `end_at_open` yet.
    unchecked: Mutex<HashSet<SubscriptionId>>,
}

impl EmbeddedWebhooks {
    /// Reads the subscriptions of the data folder. `source` becomes the `source` of the CloudEvents, and `sender` posts
    /// test events.
    pub fn open(
        engine: &Embedded,
        source: impl Into<String>,
        sender: Arc<dyn WebhookSender>,
    ) -> anyhow::Result<Arc<Self>> {
        let subscriptions = rows::subscriptions(&engine.0.store)?;
        let unchecked = subscriptions.keys().copied().collect();
        Ok(Arc::new(Self {
            engine: engine.clone(),
            source: source.into(),
            sender,
            subscriptions: watch::Sender::new(Arc::new(subscriptions)),
            workers: Arc::default(),
            payloads: PayloadCache::new(),
            customers: customer_cache(),
            end_at_open: engine.0.feed.end(),
            unchecked: Mutex::new(unchecked),
        }))
    }

    /// The dispatcher that delivers the events.
    pub fn dispatcher(
        self: &Arc<Self>,
        sender: Arc<dyn WebhookSender>,
        alerts: Arc<dyn Alerts>,
        options: DeliveryOptions,
    ) -> Arc<Dispatcher> {
        Arc::new(Dispatcher {
            source: self.clone(),
            store: self.clone(),
            sender,
            alerts,
            workers: Arc::clone(&self.workers),
            clock: crate::now,
            options,
        })
    }
}
