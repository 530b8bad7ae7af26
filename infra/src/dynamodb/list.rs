//! A customer's orders: the index has their places, the projections are read as they are now.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use api::ports::{LOOKED_AT, ListFilter, ListPosition, OrderList, OrderSnapshot};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::{CustomerId, Order, OrderId};

use crate::aws::explain;

use super::Table;
use super::items::{
    Item, METADATA, Projection, Row, event, event_sk, key, listed_at, listed_position, listed_time, order_of,
    row, string, text,
};

/// The index of a customer's orders, by `customer_id` and `listed_at`, which their first events have. It has the keys
/// only, and these never change: so an order costs one write of the index.
pub(super) const INDEX: &str = "customer-orders";
/// The most items of a batch get
/// ([BatchGetItem](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html)).
const MAX_KEYS: usize = 100;
/// Behind every place, which begin with digits.
pub(super) const BEHIND_ALL: &str = ":";
/// How often keys are asked for that the table leaves unanswered.
const ATTEMPTS: u32 = 6;

impl Table {
    pub(super) async fn list(
        &self,
        customer_id: &CustomerId,
        filter: &ListFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> anyhow::Result<OrderList> {
        let first = filter.created_from.map_or_else(String::new, |from| listed_time(from.micros()));
        let mut last =
            after.map_or(BEHIND_ALL.to_owned(), |at| listed_at(at.created_at_micros, &at.order_id));
        if let Some(before) = filter.created_before {
            last = last.min(listed_time(before.micros()));
        }
        let (mut list, mut looked_at) = (OrderList::default(), 0);
        while first < last {
            // One more than asked for tells whether the list goes on. The bounds of a query are both inclusive, so the
            // place that it goes on behind comes once more.
            let mut places = self.places(customer_id.as_str(), &first, &last, limit + 2).await?;
            places.retain(|place| *place != last);
            let page = &places[..places.len().min(limit - list.orders.len())];
            let mut latest = None;
            for (place, snapshot) in page.iter().zip(self.snapshots(page).await?) {
                looked_at += 1;
                list.orders.extend(snapshot.filter(|snapshot| filter.passes(&snapshot.order)));
                latest = Some(place);
            }
            let Some(latest) = latest.filter(|_| places.len() > page.len()) else { return Ok(list) };
            if list.orders.len() == limit || looked_at >= LOOKED_AT {
                list.next = Some(listed_position(latest)?);
                return Ok(list);
            }
            last = latest.clone();
        }
        Ok(list)
    }

    /// Up to `limit` places of a list from `last` down to `first`.
    pub(super) async fn places(
        &self,
        list: &str,
        first: &str,
        last: &str,
        limit: usize,
    ) -> anyhow::Result<Vec<String>> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(INDEX)
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .key_condition_expression("customer_id = :customer_id AND listed_at BETWEEN :first AND :last")
            .expression_attribute_values(":customer_id", text(list))
            // A key is never empty.
            .expression_attribute_values(":first", text(if first.is_empty() { "0" } else { first }))
            .expression_attribute_values(":last", text(last));
        let items = self.items(query, limit).await?;
        items.iter().map(|item| Ok(string(item, "listed_at")?.to_owned())).collect()
    }

    /// The orders at these places, as they are now.
    async fn snapshots(&self, places: &[String]) -> anyhow::Result<Vec<Option<OrderSnapshot>>> {
        let ids: Vec<_> =
            places.iter().map(|place| Ok(listed_position(place)?.order_id)).collect::<anyhow::Result<_>>()?;
        let keys = ids.iter().map(|id: &OrderId| key(id, text(METADATA))).collect();
        let mut found: HashMap<OrderId, Projection> = HashMap::new();
        for item in self.get_all(keys).await? {
            let order_id = order_of(&item)?;
            if let Row::Projection(projection) = row(item)? {
                found.insert(order_id, projection);
            }
        }
        // Orders of one event have no projection, or one without the order.
        let others = ids.iter().filter(|id| found.get(id).is_none_or(|found| found.order.is_none()));
        let first_events = others.map(|id| key(id, event_sk(1))).collect();
        for item in self.get_all(first_events).await? {
            let order = Order::apply(None, &event(&item, self.default_currency)?)?;
            found.entry(order_of(&item)?).or_default().order = Some(order);
        }
        Ok(ids.iter().map(|id| found.remove(id)?.into_snapshot()).collect())
    }

    /// The items with these keys, in any order, strongly consistent.
    pub(super) async fn get_all(&self, keys: Vec<Item>) -> anyhow::Result<Vec<Item>> {
        let chunks: Vec<_> = keys.chunks(MAX_KEYS).collect();
        let answers = self.each(&chunks, |chunk| self.get_some(chunk.to_vec())).await;
        Ok(answers.into_iter().collect::<anyhow::Result<Vec<_>>>()?.concat())
    }

    /// The same, of up to 100.
    async fn get_some(&self, mut keys: Vec<Item>) -> anyhow::Result<Vec<Item>> {
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
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let left = answer.unprocessed_keys.unwrap_or_default().remove(&self.name);
            keys = left.map(|left| left.keys).unwrap_or_default();
        }
        if keys.is_empty() { Ok(found) } else { bail!("the table left {} keys unanswered", keys.len()) }
    }
}
