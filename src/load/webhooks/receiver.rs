//! The HTTP server that receives deliveries. It verifies each delivery, and stores the ids of each order's events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use domain::{EventId, OrderId, Timestamp};
use serde::Deserialize;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::WebhookRun;
use crate::load::findings::{AuditFindings, FindingKind};
use crate::load::measure::{LatencyHistogram, latencies, note};

/// The events that have arrived, and the findings about their deliveries.
#[derive(Debug)]
pub(super) struct Received {
    /// The events of each order, in the order of their first arrival. A run may receive millions of events, so only
    /// their ids are kept.
    orders: HashMap<OrderId, Vec<EventId>>,
    pub(super) first: u64,
    pub(super) repeated: u64,
    pub(super) latencies: LatencyHistogram,
    pub(super) findings: AuditFindings,
}

impl Default for Received {
    fn default() -> Self {
        Self {
            orders: HashMap::new(),
            first: 0,
            repeated: 0,
            latencies: latencies(),
            findings: AuditFindings::default(),
        }
    }
}

impl Received {
    pub(super) fn of_order(&self, order_id: &OrderId) -> &[EventId] {
        self.orders.get(order_id).map_or(&[], Vec::as_slice)
    }

    /// Adds an event that arrived. Returns whether it arrived for the first time.
    pub(super) fn add(
        &mut self,
        order_id: OrderId,
        event_id: EventId,
        recorded_at: Timestamp,
        now: Timestamp,
    ) -> bool {
        let events = self.orders.entry(order_id).or_default();
        if events.contains(&event_id) {
            self.repeated += 1;
            return false;
        }
        events.push(event_id);
        self.first += 1;
        // If the clocks of the service and of this machine differ, `recorded_at` may be later than `now`.
        let latency = u64::try_from(now.micros() - recorded_at.micros()).unwrap_or_default();
        note(&mut self.latencies, Duration::from_micros(latency));
        true
    }
}

/// The members of a delivery that the run checks.
#[derive(Deserialize)]
struct Delivered {
    id: EventId,
    #[serde(rename = "type")]
    event_type: String,
    subject: OrderId,
    orderversion: u64,
    data: DeliveredEvent,
}

#[derive(Deserialize)]
struct DeliveredEvent {
    version: u64,
    recorded_at: Timestamp,
    event_id: EventId,
    #[serde(rename = "type")]
    event_type: String,
    data: DeliveredData,
}

#[derive(Deserialize)]
struct DeliveredData {
    order_id: OrderId,
}

impl Delivered {
    /// A delivery contains some values twice, such as the event id and the version. Returns whether both occurrences
    /// agree.
    fn is_consistent(&self, webhook_id: &str) -> bool {
        self.id == self.data.event_id
            && self.id.to_string() == webhook_id
            && self.subject == self.data.data.order_id
            && self.orderversion == self.data.version
            && self.event_type.strip_prefix("orders.") == Some(&self.data.event_type)
    }
}

/// Serves until the process ends.
pub(super) fn serve(listener: TcpListener, secret: &str, run: Arc<WebhookRun>) -> anyhow::Result<()> {
    let webhook = Webhook::new(secret).context("the service created a secret that is not valid")?;
    let router = Router::new().fallback(post(receive)).with_state((Arc::new(webhook), run));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the webhook receiver has stopped");
        }
    });
    Ok(())
}

async fn receive(
    State((webhook, run)): State<(Arc<Webhook>, Arc<WebhookRun>)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    if let Err(error) = webhook.verify(&body, &headers) {
        run.received().findings.add(FindingKind::WrongDelivery, format!("webhook-id {id:.100}: {error}"));
        return StatusCode::UNAUTHORIZED;
    }
    let delivered = match serde_json::from_slice::<Delivered>(&body) {
        Ok(delivered) if delivered.is_consistent(id) => delivered,
        other => {
            let why = other.err().map_or("its members disagree".to_owned(), |error| error.to_string());
            run.received().findings.add(FindingKind::WrongDelivery, format!("webhook-id {id:.100}: {why}"));
            return StatusCode::NO_CONTENT;
        }
    };
    let Delivered { subject, id, data, .. } = delivered;
    if run.received().add(subject, id, data.recorded_at, infra::now()) {
        run.last_arrival.send_replace(Instant::now());
    }
    StatusCode::NO_CONTENT
}
