//! The webhook subscription of a run with `--webhooks`: it makes the service post recorded events to a [`receiver`] in this
//! process. `audit` compares what arrived with the orders' logs, and `report` shows the figures.

mod receiver;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use domain::{EventId, OrderId};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::client::{LoadClient, LoadRequest};
use super::findings::{AuditFindings, FindingKind};
use super::measure::LatencyHistogram;
use crate::base_url::BaseUrl;
use receiver::Received;

/// The flags of the webhook subscription.
#[derive(Debug, Clone, Args)]
pub(super) struct WebhookArgs {
    /// Subscribe a receiver of this run to the service's webhooks. Check that every recorded event of the run arrives with
    /// a valid signature, and that the events of each order arrive in order. The token needs the scope orders.operate, and
    /// the service must allow the address of the receiver (ORDERS_WEBHOOKS_ALLOW_PRIVATE).
    #[arg(long)]
    webhooks: bool,
    /// The address on which the receiver listens. Port 0 means a free port.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS", requires = "webhooks")]
    webhooks_listen: SocketAddr,
    /// The URL under which the service reaches the receiver. Default: the address on which it listens.
    #[arg(long, value_name = "URL", requires = "webhooks")]
    webhooks_url: Option<BaseUrl>,
}

/// The run's subscription, and the events that have arrived.
#[derive(Debug)]
pub(super) struct WebhookRun {
    id: String,
    received: Mutex<Received>,
    /// When an event last arrived for the first time, or when the audit began to wait for events.
    last_arrival: watch::Sender<Instant>,
}

/// The members of the created subscription that the run needs.
#[derive(Deserialize)]
struct Subscription {
    id: String,
    secret: String,
}

impl WebhookArgs {
    /// Subscribes the receiver if `--webhooks` is set.
    pub(super) async fn subscribe(
        &self,
        client: &LoadClient,
        url: &BaseUrl,
    ) -> anyhow::Result<Option<Arc<WebhookRun>>> {
        if !self.webhooks {
            return Ok(None);
        }
        let listen = self.webhooks_listen;
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {listen} (--webhooks-listen)"))?;
        let own = || anyhow::Ok(format!("http://{}", listener.local_addr()?));
        let to = self.webhooks_url.as_ref().map_or_else(own, |url| Ok(url.to_string()))?;
        let body = json!({ "url": to, "description": "orders load", "from": "latest" });
        let path = url.path("/v1/webhooks");
        // Services can require a key of every POST. The request is sent once, because only the first answer has the secret.
        let key = Some(Uuid::now_v7().to_string());
        let request = LoadRequest { key, ..LoadRequest::post(&path, body.to_string()) };
        let answer = client.send(&request).await;
        let answer = answer.map_err(|failure| failure.error.context("cannot subscribe to webhooks"))?;
        if answer.status.as_u16() != 201 {
            let text = String::from_utf8_lossy(&answer.body);
            bail!("cannot subscribe to webhooks: {} in answer to POST {path}: {text:.500}", answer.status);
        }
        let Subscription { id, secret } =
            serde_json::from_slice(&answer.body).context("the answer to POST /v1/webhooks")?;
        let run = Arc::new(WebhookRun::new(id));
        receiver::serve(listener, &secret, run.clone())?;
        Ok(Some(run))
    }
}

impl WebhookRun {
    fn new(id: String) -> Self {
        Self { id, received: Mutex::default(), last_arrival: watch::Sender::new(Instant::now()) }
    }

    /// Deletes the subscription.
    pub(super) async fn unsubscribe(&self, client: &LoadClient, url: &BaseUrl) -> anyhow::Result<()> {
        let path = url.path(&format!("/v1/webhooks/{}", self.id));
        let answer = client.send(&LoadRequest::delete(&path)).await;
        let what = || {
            format!("cannot delete the subscription of this run: `orders webhooks delete {}` does", self.id)
        };
        match answer.map(|answer| answer.status) {
            Ok(status) if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            Ok(status) => bail!("{} ({status})", what()),
            Err(failure) => Err(failure.error.context(what())),
        }
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for events. Deliveries give way to requests, so perhaps none has arrived during the load.
    pub(super) fn begin_to_wait(&self) {
        self.last_arrival.send_replace(Instant::now());
    }

    /// Waits until this many events of the order have arrived. Gives up once no event of any order has arrived for as long as
    /// `patience`: then no order needs to wait any longer.
    pub(super) async fn wait_for(&self, order_id: &OrderId, events: usize, patience: Duration) {
        let mut last_arrival = self.last_arrival.subscribe();
        loop {
            let give_up_at = *last_arrival.borrow_and_update() + patience;
            if self.received().of_order(order_id).len() >= events {
                return;
            }
            // The sender is a part of this value, so the channel is open.
            if timeout_at(give_up_at, last_arrival.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Compares the events that arrived for an order with its log. The arrived events are in the order of their first
    /// arrival, and the events of the log in the order of their versions.
    pub(super) fn compare(&self, order_id: &OrderId, log: &[EventId], findings: &mut AuditFindings) {
        let arrived = self.received().of_order(order_id).to_vec();
        for (version, event_id) in (1..).zip(log) {
            if !arrived.contains(event_id) {
                let example = format!("order {order_id}: version {version}, event {event_id}");
                findings.add(FindingKind::NotDelivered, example);
            }
        }
        let place = |event_id: &EventId| log.iter().position(|logged| logged == event_id);
        let mut latest = None;
        for event_id in &arrived {
            match place(event_id) {
                None => {
                    let example = format!("order {order_id}: event {event_id} is not in its log");
                    findings.add(FindingKind::WrongDelivery, example);
                }
                Some(place) if latest.is_some_and(|latest| place < latest) => {
                    let example =
                        format!("order {order_id}: version {} arrived after a later version", place + 1);
                    findings.add(FindingKind::DeliveredOutOfOrder, example);
                }
                Some(place) => latest = Some(place),
            }
        }
    }

    /// The findings that the receiver made while deliveries arrived.
    pub(super) fn findings(&self) -> AuditFindings {
        self.received().findings.clone()
    }

    /// How many events arrived, how many deliveries repeated an event, and the latencies from recording to first arrival
    /// in microseconds.
    pub(super) fn figures(&self) -> (u64, u64, LatencyHistogram) {
        let received = self.received();
        (received.first, received.repeated, received.latencies.clone())
    }
}

#[cfg(test)]
mod tests;
