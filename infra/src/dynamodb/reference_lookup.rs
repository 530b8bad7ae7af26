//! Looks up which order has a reference. [`read`](super::read) calls this file for the API and the consumer.

use anyhow::Context;
use api::ports::OrderSnapshot;
use consumer::ports::LoadRequest;
use domain::{OrderId, Reference};

use crate::sdk::explain;

use super::Table;
use super::references::{Claim, Reservation, key};

impl Table {
    /// Finds those of the wanted references that other orders have. Returns each reference with the order that has it.
    pub(super) async fn reference_holders(
        &self,
        wanted: &LoadRequest,
    ) -> anyhow::Result<Vec<(Reference, OrderId)>> {
        let mut holders = Vec::new();
        for reference in &wanted.references {
            let Some(reservation) = self.reservation(reference).await? else { continue };
            if reservation.order_id != wanted.order_id
                && self.claim(reference, &reservation).await? == Claim::Held
            {
                holders.push((reference.clone(), reservation.order_id));
            }
        }
        Ok(holders)
    }

    async fn reservation(&self, reference: &Reference) -> anyhow::Result<Option<Reservation>> {
        let call = self.client.get_item().table_name(&self.name).set_key(Some(key(reference)));
        let answer =
            call.consistent_read(true).send().await.map_err(explain).context("reading a reference")?;
        answer.item.as_ref().map(Reservation::of_item).transpose()
    }

    /// The order that has the reference.
    pub(super) async fn find_by_reference(
        &self,
        reference: &Reference,
    ) -> anyhow::Result<Option<OrderSnapshot>> {
        let Some(reservation) = self.reservation(reference).await? else { return Ok(None) };
        let found = self.snapshot(&reservation.order_id).await?;
        Ok(found.filter(|found| found.order.reference.as_ref() == Some(reference)))
    }
}
