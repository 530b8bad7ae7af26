//! Lists a customer's orders. The index returns their keys. The orders are then read by key.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context, bail};
use api::ports::{MAX_ORDERS_SCANNED, OrderFilter, OrderList, OrderPosition, OrderSnapshot};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use consumer::backoff::full_jitter;
use domain::{CustomerId, OrderId};

use crate::sdk::explain;

use super::Table;
use super::items::{TableItem, listed_at, listed_position, listed_time, string, text};

/// The index of a customer's orders, by `customer_id` and `listed_at` of their first log entries. It contains only the
/// keys. The keys never change, so an order costs only one write to the index.
pub(super) const INDEX: &str = "customer-orders";
/// The maximum number of keys of a batch get
/// ([BatchGetItem](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html)).
const MAX_KEYS: usize = 100;
/// A text that sorts after every list key: list keys begin with digits.
pub(super) const AFTER_ALL: &str = ":";
/// The maximum number of attempts to get keys that the table leaves unprocessed.
const ATTEMPTS: u32 = 6;
/// The maximum pause after the first attempt. It doubles with each further attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

impl Table {
    pub(super) async fn list(
        &self,
        customer_id: &CustomerId,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> anyhow::Result<OrderList> {
        let first = filter.created_from.map_or_else(String::new, |from| listed_time(from.micros()));
        let mut last = after.map_or(AFTER_ALL.to_owned(), |at| listed_at(at.at_micros, &at.order_id));
        if let Some(before) = filter.created_before {
            last = last.min(listed_time(before.micros()));
        }
        let (mut list, mut read) = (OrderList::default(), 0);
        while first < last {
            // Reads two more places than `limit`. The query includes both of its bounds, so it reads the last place of the
            // previous page again. The second additional place shows whether there is another page.
            let mut places = self.places(customer_id.as_str(), &first, &last, limit + 2).await?;
            places.retain(|place| *place != last);
            let page = &places[..places.len().min(limit - list.orders.len())];
            let mut latest = None;
            for (place, snapshot) in page.iter().zip(self.snapshots(page).await?) {
                read += 1;
                list.orders.extend(snapshot.filter(|snapshot| filter.passes(&snapshot.order)));
                latest = Some(place);
            }
            let Some(latest) = latest.filter(|_| places.len() > page.len()) else { return Ok(list) };
            if list.orders.len() == limit || read >= MAX_ORDERS_SCANNED {
                list.next = Some(listed_position(latest)?);
                return Ok(list);
            }
            last = latest.clone();
        }
        Ok(list)
    }

    /// Reads up to `limit` sort keys of a list that lie between `first` and `last`, in descending order.
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
            // DynamoDB rejects an empty key, so `0` stands for the beginning of the list.
            .expression_attribute_values(":first", text(if first.is_empty() { "0" } else { first }))
            .expression_attribute_values(":last", text(last));
        let items = self.items(query, limit).await?;
        items.iter().map(|item| Ok(string(item, "listed_at")?.to_owned())).collect()
    }

    /// Up to `limit` of a customer's orders, sorted by update time, oldest first. This function reads all of the
    /// customer's orders that were created within the filter's bounds. It returns `None` if there are more than
    /// [`MAX_ORDERS_SCANNED`].
    pub(super) async fn list_by_update(
        &self,
        customer_id: &CustomerId,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> anyhow::Result<Option<OrderList>> {
        let OrderList { mut orders, next } = self.list(customer_id, filter, None, MAX_ORDERS_SCANNED).await?;
        if next.is_some() {
            return Ok(None);
        }
        let place =
            |OrderSnapshot { order, .. }: &OrderSnapshot| (order.updated_at.micros(), order.order_id.clone());
        let is_later = |place: &(i64, OrderId)| {
            after.is_none_or(|after| (place.0, &place.1) > (after.at_micros, &after.order_id))
        };
        orders.retain(|snapshot| is_later(&place(snapshot)));
        orders.sort_by_key(place);
        let has_next = orders.len() > limit;
        orders.truncate(limit);
        let position = |snapshot: &OrderSnapshot| {
            let (at_micros, order_id) = place(snapshot);
            OrderPosition { at_micros, order_id }
        };
        let next = orders.last().filter(|_| has_next).map(position);
        Ok(Some(OrderList { orders, next }))
    }

    /// Reads the current orders that these sort keys name. Several keys may name the same order. A query for each order
    /// costs no more than a batch of gets: events after the projection, which the query reads too, are in the same unit.
    pub(super) async fn snapshots(&self, places: &[String]) -> anyhow::Result<Vec<Option<OrderSnapshot>>> {
        let ids: Vec<_> =
            places.iter().map(|place| Ok(listed_position(place)?.order_id)).collect::<anyhow::Result<_>>()?;
        let distinct: BTreeSet<&OrderId> = ids.iter().collect();
        let distinct: Vec<_> = distinct.into_iter().collect();
        let snapshots = self.each(&distinct, |id| Box::pin(self.snapshot(id))).await;
        let mut found = HashMap::new();
        for (id, snapshot) in distinct.into_iter().zip(snapshots) {
            found.extend(snapshot?.map(|snapshot| (id.clone(), snapshot)));
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// The items with these keys, in any order, strongly consistent.
    pub(super) async fn get_all(&self, keys: Vec<TableItem>) -> anyhow::Result<Vec<TableItem>> {
        let chunks: Vec<_> = keys.chunks(MAX_KEYS).collect();
        let answers = self.each(&chunks, |chunk| self.get_some(chunk.to_vec())).await;
        Ok(answers.into_iter().collect::<anyhow::Result<Vec<_>>>()?.concat())
    }

    /// Like `get_all`, for up to [`MAX_KEYS`] keys.
    async fn get_some(&self, mut keys: Vec<TableItem>) -> anyhow::Result<Vec<TableItem>> {
        let mut found = Vec::with_capacity(keys.len());
        for attempt in 0..ATTEMPTS {
            if keys.is_empty() {
                return Ok(found);
            }
            if attempt > 0 {
                // DynamoDB throttled the call. Its documentation of BatchGetItem recommends exponential backoff.
                tokio::time::sleep(full_jitter(attempt, FIRST_PAUSE, Duration::MAX)).await;
            }
            let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
            let call = self.client.batch_get_item().request_items(&self.name, request);
            let answer = call.send().await.map_err(explain).context("reading the table")?;
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            let left = answer.unprocessed_keys.unwrap_or_default().remove(&self.name);
            keys = left.map(|left| left.keys).unwrap_or_default();
        }
        if keys.is_empty() { Ok(found) } else { bail!("the table left {} keys unprocessed", keys.len()) }
    }
}
