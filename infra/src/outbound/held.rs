//! Stores the rows of held orders and the skipped deliveries of subscriptions, for the webhook sender and the API.

use std::collections::HashMap;

use anyhow::{Context, bail};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{DeleteRequest, Put, TransactWriteItem, WriteRequest};
use consumer::webhooks::queued::{HeldPage, HeldRow};
use consumer::webhooks::{HeldState, SkippedDelivery};
use domain::{EventId, OrderId, Subscription, Timestamp};

use crate::sdk::{condition_met, explain};

use super::{Item, OutboundTable, integer, number, string, text};

/// How long the row of an order is kept after its deliveries have caught up. The row shows a late job that its event
/// was delivered already. Jobs usually leave the queue much earlier.
const CAUGHT_UP_SECONDS: i64 = 24 * 60 * 60;
/// The maximum number of rows that one batch write deletes.
const MAX_DELETES: usize = 25;
/// The maximum number of batch writes that delete the rows of a deleted subscription.
const MAX_DELETED_PAGES: usize = 200;
/// How long skipped deliveries are kept.
const SKIPPED_SECONDS: i64 = 90 * 24 * 60 * 60;

/// The maximum numbers of calls that count held orders and that look for a held order. A call examines 1 MiB, about a
/// thousand rows.
const MAX_COUNTED_PAGES: usize = 10;
const MAX_SEARCHED_PAGES: usize = 200;
/// When the event that holds back the order was recorded, in microseconds since 1970.
const HEAD_AT: &str = "head_at";
/// The condition that the order of a row is held. Only rows of orders that have caught up expire.
const IS_HELD: &str = "attribute_not_exists(expires_at)";

/// The partition key of a subscription's held orders. It contains the creation time, so that a new subscription never
/// reads the rows of a deleted subscription with the same id.
fn held_pk(subscription: &Subscription) -> String {
    format!("HELD#{}#{}", subscription.id, subscription.created_at.micros())
}

fn skipped_pk(subscription: &Subscription) -> String {
    format!("SKIPPED#{}#{}", subscription.id, subscription.created_at.micros())
}

fn key(pk: String, sk: &str) -> Item {
    Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

fn read(item: &Item) -> anyhow::Result<HeldRow> {
    let order = serde_json::from_str(string(item, "held")?).context("the row of a held order")?;
    Ok(HeldRow { order, revision: number(item, "revision")? })
}

fn read_skipped(item: &Item) -> anyhow::Result<SkippedDelivery> {
    serde_json::from_str(string(item, "skipped")?).context("a skipped delivery")
}

/// The row of a held order, with the condition under which it is put.
struct HeldPut {
    row: HeldRow,
    item: Item,
    condition: &'static str,
    names: Option<HashMap<String, String>>,
    values: Option<Item>,
}

/// Whether a transaction was refused because its condition was not met, or because of a concurrent write to the row.
fn is_outdated(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return false };
    let codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    codes.into_iter().any(|code| matches!(code, "ConditionalCheckFailed" | "TransactionConflict"))
}

fn in_seconds(seconds: i64) -> i64 {
    crate::now().micros() / 1_000_000 + seconds
}

impl OutboundTable {
    pub(crate) async fn held(
        &self,
        of: &Subscription,
        order_id: &OrderId,
    ) -> anyhow::Result<Option<HeldRow>> {
        let call = self.client.get_item().table_name(&self.name).consistent_read(true);
        let answer = Box::pin(call.set_key(Some(key(held_pk(of), order_id.as_str()))).send()).await;
        let answer = answer.map_err(explain).context("reading a held order")?;
        answer.item().map(read).transpose()
    }

    /// Reads up to `limit` rows of held orders after the order `after`, sorted by order id. Makes only one call, so
    /// that the work is bounded. A page that is not the last may have fewer rows.
    pub(crate) async fn held_after(
        &self,
        of: &Subscription,
        after: Option<&OrderId>,
        limit: usize,
    ) -> anyhow::Result<HeldPage> {
        // The query also reads rows of orders that have caught up, until these rows expire.
        let examined = i32::try_from(limit.saturating_mul(4)).unwrap_or(i32::MAX);
        let query = self.after(held_pk(of), after.map_or("", OrderId::as_str)).limit(examined);
        let page = Box::pin(query.filter_expression(IS_HELD).send()).await;
        let page = page.map_err(explain).context("reading held orders")?;
        let mut rows = page.items().iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
        if rows.len() > limit {
            rows.truncate(limit);
            let next = rows.last().map(|row| row.order.order_id.clone());
            return Ok(HeldPage { rows, next });
        }
        let last = page.last_evaluated_key().map(|last| string(last, "sk"));
        let next = last.transpose()?.map(OrderId::parse).transpose()?;
        Ok(HeldPage { rows, next })
    }

    /// The number of held orders. If there are tens of thousands, only a part of them is counted. Also returns the time
    /// at which the oldest event that holds back its order was recorded. No other data of the rows is transferred.
    pub(crate) async fn count_held(&self, of: &Subscription) -> anyhow::Result<(u64, Option<Timestamp>)> {
        let query = self.after(held_pk(of), "").filter_expression(IS_HELD).projection_expression(HEAD_AT);
        let (mut count, mut oldest, mut start) = (0, None::<i64>, None);
        for _ in 0..MAX_COUNTED_PAGES {
            let page = Box::pin(query.clone().set_exclusive_start_key(start).send()).await;
            let page = page.map_err(explain).context("counting held orders")?;
            count += u64::try_from(page.count()).unwrap_or(0);
            // A row has no such time until the first attempt of its event has failed.
            let recorded = page.items().iter().filter_map(|row| number(row, HEAD_AT).ok());
            oldest = oldest.into_iter().chain(recorded).min();
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok((count, oldest.and_then(Timestamp::from_micros)))
    }

    /// The row of the held order whose failed delivery is that of the event `event_id`. Only this row is transferred.
    pub(crate) async fn held_by(
        &self,
        of: &Subscription,
        event_id: EventId,
    ) -> anyhow::Result<Option<HeldRow>> {
        let query = self.after(held_pk(of), "").filter_expression("contains(held, :event)");
        let query = query.expression_attribute_values(":event", text(event_id.to_string()));
        let mut start = None;
        for _ in 0..MAX_SEARCHED_PAGES {
            let page = Box::pin(query.clone().set_exclusive_start_key(start).send()).await;
            let page = page.map_err(explain).context("looking for a held order")?;
            let rows = page.items().iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
            let is_it = |row: &HeldRow| {
                row.order.is_held() && row.order.head.as_ref().is_some_and(|head| head.event_id == event_id)
            };
            start = page.last_evaluated_key;
            match rows.into_iter().find(is_it) {
                None if start.is_some() => {}
                found => return Ok(found),
            }
        }
        bail!("the subscription holds so many orders that the delivery of event {event_id} cannot be found")
    }

    /// A query for the items of a partition key after a sort key, by sort key.
    fn after(&self, pk: String, after: &str) -> QueryFluentBuilder {
        let query = self.query(pk).consistent_read(true);
        if after.is_empty() {
            return query.key_condition_expression("pk = :pk");
        }
        let query = query.key_condition_expression("pk = :pk AND sk > :after");
        query.expression_attribute_values(":after", text(after))
    }

    /// Up to `limit` items of a partition key whose sort keys come after `after`.
    async fn page_after(&self, pk: String, after: &str, limit: usize) -> anyhow::Result<Vec<Item>> {
        self.items(self.after(pk, after).limit(i32::try_from(limit).unwrap_or(i32::MAX)), limit).await
    }

    /// Writes a held order's row with the next revision. Returns `None` if the stored row has changed since `row` was
    /// read.
    pub(crate) async fn put_held(&self, of: &Subscription, row: &HeldRow) -> anyhow::Result<Option<HeldRow>> {
        let put = self.put_of(of, row)?;
        let call = self.client.put_item().table_name(&self.name).set_item(Some(put.item));
        let call = call.condition_expression(put.condition);
        let call = call.set_expression_attribute_names(put.names).set_expression_attribute_values(put.values);
        let is_put = condition_met(Box::pin(call.send()).await).context("writing a held order")?;
        Ok(is_put.then_some(put.row))
    }

    /// Stores a skipped delivery and writes the row of its order, both or neither. Returns `false` if the stored row
    /// has changed since `row` was read.
    pub(crate) async fn put_skipped(
        &self,
        of: &Subscription,
        skipped: &SkippedDelivery,
        row: &HeldRow,
    ) -> anyhow::Result<bool> {
        let mut item = key(skipped_pk(of), &skipped.event.event_id.to_string());
        item.insert("skipped".to_owned(), text(serde_json::to_string(skipped)?));
        item.insert("expires_at".to_owned(), integer(in_seconds(SKIPPED_SECONDS)));
        let skip = Put::builder().table_name(&self.name).set_item(Some(item)).build()?;
        let put = self.put_of(of, row)?;
        let row = Put::builder().table_name(&self.name).set_item(Some(put.item));
        let row = row.condition_expression(put.condition).set_expression_attribute_names(put.names);
        let row = row.set_expression_attribute_values(put.values).build()?;
        let call = [skip, row].into_iter().fold(self.client.transact_write_items(), |call, put| {
            call.transact_items(TransactWriteItem::builder().put(put).build())
        });
        match Box::pin(call.send()).await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(is_outdated) => Ok(false),
            Err(error) => Err(explain(error)).context("storing a skip"),
        }
    }

    /// The item of a row with its next revision, and the condition under which it may be put.
    fn put_of(&self, of: &Subscription, row: &HeldRow) -> anyhow::Result<HeldPut> {
        let put = HeldRow { order: row.order.clone(), revision: row.revision + 1 };
        let mut item = key(held_pk(of), put.order.order_id.as_str());
        item.insert("revision".to_owned(), integer(put.revision));
        item.insert("held".to_owned(), text(serde_json::to_string(&put.order)?));
        if let Some(head) = &put.order.head {
            item.insert(HEAD_AT.to_owned(), integer(head.recorded_at.micros()));
        }
        if matches!(put.order.state, HeldState::CaughtUp { .. }) {
            item.insert("expires_at".to_owned(), integer(in_seconds(CAUGHT_UP_SECONDS)));
        }
        let is_new = row.revision == 0;
        let condition = if is_new { "attribute_not_exists(pk)" } else { "#revision = :before" };
        let names = HashMap::from([("#revision".to_owned(), "revision".to_owned())]);
        let values = HashMap::from([(":before".to_owned(), integer(row.revision))]);
        let (names, values) = if is_new { (None, None) } else { (Some(names), Some(values)) };
        Ok(HeldPut { row: put, item, condition, names, values })
    }

    /// Deletes the rows of a deleted subscription, but stops after a few seconds of work. The remaining rows are never
    /// read.
    pub(crate) async fn delete_held(&self, of: &Subscription) -> anyhow::Result<()> {
        for _ in 0..MAX_DELETED_PAGES {
            let rows = self.page_after(held_pk(of), "", MAX_DELETES).await?;
            if rows.is_empty() {
                break;
            }
            let mut writes = Vec::with_capacity(rows.len());
            for row in rows {
                let key = row.into_iter().filter(|(name, _)| name == "pk" || name == "sk").collect();
                let delete = DeleteRequest::builder().set_key(Some(key)).build()?;
                writes.push(WriteRequest::builder().delete_request(delete).build());
            }
            let call = self.client.batch_write_item().request_items(&self.name, writes);
            Box::pin(call.send()).await.map_err(explain).context("deleting held orders")?;
        }
        Ok(())
    }

    pub(crate) async fn skipped(
        &self,
        of: &Subscription,
        event_id: EventId,
    ) -> anyhow::Result<Option<SkippedDelivery>> {
        let call = self.client.get_item().table_name(&self.name).consistent_read(true);
        let call = call.set_key(Some(key(skipped_pk(of), &event_id.to_string())));
        let answer = Box::pin(call.send()).await.map_err(explain).context("reading a skip")?;
        answer.item().map(read_skipped).transpose()
    }

    /// Up to `limit` skipped deliveries whose event ids come after `after`, sorted by event id.
    pub(crate) async fn skipped_after(
        &self,
        of: &Subscription,
        after: &str,
        limit: usize,
    ) -> anyhow::Result<Vec<SkippedDelivery>> {
        let items = self.page_after(skipped_pk(of), after, limit).await?;
        items.iter().map(read_skipped).collect()
    }
}
