//! A customer's orders: the index has their keys, the projections are read as they are now.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use api::ports::{ListPosition, OrderSnapshot};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::{CustomerId, OrderId};

use crate::aws::explain;

use super::Table;
use super::items::{Item, METADATA, Row, key, listed_at, listed_order, row, string, text};

/// The index of a customer's orders, by `customer_id` and `listed_at`. It has the keys only: then an order that
/// changes costs no write of the index.
pub(super) const INDEX: &str = "customer-orders";
/// The most items of a batch get
/// ([BatchGetItem](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html)).
const MAX_KEYS: usize = 100;
/// How often keys are asked for that the table leaves unanswered.
const ATTEMPTS: u32 = 6;

impl Table {
    pub(super) async fn list(
        &self,
        customer_id: &CustomerId,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> anyhow::Result<Vec<OrderSnapshot>> {
        let mut query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(INDEX)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .key_condition_expression("customer_id = :customer_id")
            .expression_attribute_values(":customer_id", text(customer_id.as_str()));
        if let Some(position) = after {
            let place = listed_at(position.created_at_micros, &position.order_id);
            query = query
                .key_condition_expression("customer_id = :customer_id AND listed_at < :after")
                .expression_attribute_values(":after", text(place));
        }
        let listed = self.items(query, limit).await?;
        let ids: Vec<_> =
            listed.iter().map(|item| listed_order(string(item, "listed_at")?)).collect::<Result<_, _>>()?;
        let chunks: Vec<_> = ids.chunks(MAX_KEYS).collect();
        let mut found = HashMap::new();
        for projections in self.each(&chunks, |chunk| self.projections(chunk)).await {
            found
                .extend(projections?.into_iter().map(|snapshot| (snapshot.order.order_id.clone(), snapshot)));
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// The projections of up to 100 orders, in any order.
    async fn projections(&self, ids: &[OrderId]) -> anyhow::Result<Vec<OrderSnapshot>> {
        let mut keys: Vec<Item> = ids.iter().map(|id| key(id, text(METADATA))).collect();
        let mut found = Vec::with_capacity(keys.len());
        for attempt in 0..ATTEMPTS {
            if keys.is_empty() {
                return Ok(found);
            }
            if attempt > 0 {
                // Throttled: "the best practice is to use exponential backoff" (same page).
                tokio::time::sleep(Duration::from_millis(50 << attempt).mul_f64(fastrand::f64())).await;
            }
            let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
            let call = self.client.batch_get_item().request_items(&self.name, request);
            let answer = call.send().await.map_err(explain).context("reading the table")?;
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                if let Row::Projection(projection) = row(item)? {
                    let parked = projection.parked;
                    found.extend(projection.order.map(|order| OrderSnapshot { order, parked }));
                }
            }
            let left = answer.unprocessed_keys.unwrap_or_default().remove(&self.name);
            keys = left.map(|left| left.keys).unwrap_or_default();
        }
        if keys.is_empty() { Ok(found) } else { bail!("the table left {} orders unanswered", keys.len()) }
    }
}
