//! Reads orders, logs and receipts, strongly consistent.

use anyhow::Context;
use api::ports::{Health, ListFilter, ListPosition, OrderList, OrderReader, OrderSnapshot};
use async_trait::async_trait;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use consumer::ports::{Loaded, Settled, Wanted};
use domain::{CustomerId, EventId, Order, OrderId, Outcome, Receipt, RecordedEvent};

use crate::aws::explain;

use super::Table;
use super::items::{
    Item, MAX_VERSION, METADATA, Projection, Row, StoredOutcome, event, event_sk, message, pk, receipt, row,
    text,
};

impl Table {
    /// A query of one order, strongly consistent.
    fn query(&self, order_id: &OrderId) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        query.expression_attribute_values(":pk", pk(order_id))
    }

    /// All items of a query, or the first `limit`: a page ends after 1 MiB, and a filter may leave it empty, so pages
    /// are followed to the end.
    pub(super) async fn items(&self, query: QueryFluentBuilder, limit: usize) -> anyhow::Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let call = query.clone().set_exclusive_start_key(start).send();
            let page = Box::pin(call).await.map_err(explain).context("reading the table")?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() || items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
        }
    }

    /// All that the table holds of an order, in one paged query.
    pub(super) async fn load_one(&self, wanted: &Wanted) -> anyhow::Result<Loaded> {
        let query = self.query(&wanted.order_id).key_condition_expression("pk = :pk");
        let (mut events, mut projection, mut outcomes) = (Vec::new(), Projection::default(), Vec::new());
        for item in self.items(query, usize::MAX).await? {
            match row(item)? {
                Row::Event { version, event_id, item } => {
                    // What is in the log counts, whatever was the outcome before.
                    if wanted.event_ids.contains(&event_id) {
                        let outcome = Outcome::Recorded { version };
                        outcomes.push(Settled { event_id, outcome, message: message(&item) });
                    }
                    events.push((version, item));
                }
                Row::Projection(found) => projection = found,
                Row::Outcome(stored) => {
                    let known = outcomes.iter().any(|settled: &Settled| settled.event_id == stored.event_id);
                    if wanted.event_ids.contains(&stored.event_id) && !known {
                        let StoredOutcome { event_id, outcome, message, .. } = stored;
                        outcomes.push(Settled { event_id, outcome, message });
                    }
                }
            }
        }
        let order = self.healed(projection.order, events)?;
        Ok(Loaded { order, parked: projection.parked, outcomes })
    }

    /// The order with those events folded in that its projection lacks.
    fn healed(&self, projected: Option<Order>, events: Vec<(u64, Item)>) -> anyhow::Result<Option<Order>> {
        let version = projected.as_ref().map_or(0, |order| order.version);
        events.into_iter().filter(|(at, _)| *at > version).try_fold(projected, |order, (_, item)| {
            Ok(Some(Order::apply(order, &event(&item, self.default_currency)?)?))
        })
    }

    /// The order in one small read: the projection and, before it in the table, the newest event; or without a projection
    /// the newest two. Only where there are others that the projection lacks, the whole order is read.
    async fn snapshot(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        let newest = self
            .query(order_id)
            .key_condition_expression("pk = :pk AND sk <= :metadata")
            .expression_attribute_values(":metadata", text(METADATA))
            .scan_index_forward(false)
            .limit(2);
        let (mut projection, mut events) = (Projection::default(), Vec::new());
        for item in self.items(newest, 2).await? {
            match row(item)? {
                Row::Event { version, item, .. } => events.insert(0, (version, item)),
                Row::Projection(found) => projection = found,
                Row::Outcome(_) => {}
            }
        }
        let version = projection.order.as_ref().map_or(0, |order| order.version);
        projection.order = if events.first().is_none_or(|(oldest, _)| *oldest <= version + 1) {
            self.healed(projection.order, events)?
        } else {
            let whole = Wanted { order_id: order_id.clone(), event_ids: Vec::new() };
            self.load_one(&whole).await?.order
        };
        Ok(projection.into_snapshot())
    }
}

#[async_trait]
impl OrderReader for Table {
    fn sees_waiting(&self) -> bool {
        false
    }

    async fn order(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        self.snapshot(order_id).await
    }

    async fn events(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>> {
        if after >= MAX_VERSION || limit == 0 {
            return Ok(Vec::new());
        }
        let query = self
            .query(order_id)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":first", event_sk(after + 1))
            .expression_attribute_values(":last", event_sk(MAX_VERSION))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        self.items(query, limit).await?.iter().map(|item| event(item, self.default_currency)).collect()
    }

    async fn receipt(&self, order_id: &OrderId, event_id: EventId) -> anyhow::Result<Option<Receipt>> {
        let query = self
            .query(order_id)
            .key_condition_expression("pk = :pk")
            .filter_expression("event_id = :event_id")
            .expression_attribute_values(":event_id", text(event_id.to_string()));
        // The log sorts before the outcomes: an event that was parked, and then recorded, is recorded.
        let found = self.items(query, 1).await?.into_iter().next();
        found.map_or(Ok(None), |item| receipt(order_id, &row(item)?))
    }

    async fn orders_of(
        &self,
        customer_id: &CustomerId,
        filter: &ListFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> anyhow::Result<OrderList> {
        self.list(customer_id, filter, after, limit).await
    }
}

#[async_trait]
impl Health for Table {
    async fn ready(&self) -> Result<(), String> {
        // No order has this id, and the functions may do no more than read and write items.
        let nothing = self.client.get_item().table_name(&self.name);
        let nothing =
            nothing.set_key(Some(HEALTH.iter().map(|(k, v)| ((*k).to_owned(), text(*v))).collect()));
        match nothing.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the table {} cannot be used: {:#}", self.name, explain(error))),
        }
    }
}

const HEALTH: [(&str, &str); 2] = [("pk", "HEALTH"), ("sk", "HEALTH")];
