//! Puts the expiry role behind the [`WriteGate`], so that no cancellations are proposed while the service is moved.

use std::sync::Arc;

use anyhow::anyhow;
use async_trait::async_trait;
use domain::{Envelope, OrderId, Timestamp};

use super::{DueOrders, DuePage, DuePosition, DueQuery, DueState};
use crate::ports::{Acceptance, EventPublisher, PublishError};
use crate::write_gate::WriteGate;

/// An index of due orders and a publisher that respect the gate.
pub struct GatedExpiry<T> {
    /// The gate.
    pub gate: Arc<WriteGate>,
    /// The index and the publisher.
    pub inner: Arc<T>,
}

#[async_trait]
impl<T: DueOrders> DueOrders for GatedExpiry<T> {
    async fn due(
        &self,
        query: &DueQuery,
        after: Option<&DuePosition>,
        limit: usize,
    ) -> anyhow::Result<DuePage> {
        match self.gate.fence() {
            Some(_) => Ok(DuePage::default()),
            None => self.inner.due(query, after, limit).await,
        }
    }

    async fn report(&self, found: &[(OrderId, DueState)], now: Timestamp) -> anyhow::Result<()> {
        self.inner.report(found, now).await
    }
}

#[async_trait]
impl<T: EventPublisher> EventPublisher for GatedExpiry<T> {
    async fn publish(&self, events: &[Envelope]) -> Vec<Result<Acceptance, PublishError>> {
        match self.gate.pass().await {
            Ok(_pass) => self.inner.publish(events).await,
            // The gate has closed since the page was read. The next pass finds no due orders.
            Err(_) => {
                let closed = || Err(PublishError::NotAccepted(anyhow!("the service accepts no writes")));
                events.iter().map(|_| closed()).collect()
            }
        }
    }
}
