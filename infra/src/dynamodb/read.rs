//! Reads orders, logs and receipts for the API and the consumer. All reads of single orders are strongly consistent, except the
//! look-up of an idempotency key.

use anyhow::Context;
use api::ports::{
    FindError, Health, OrderFilter, OrderList, OrderPosition, OrderReader, OrderSnapshot, OrderSort,
    RejectionList,
};
use async_trait::async_trait;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use consumer::ports::{EventOutcome, LoadRequest, LoadedOrder};
use consumer::table_entry::{EARLIER_EVENT_ID, EVENT_ID, event_id_value};
use domain::{EventId, Order, OrderId, Outcome, Receipt, RecordedEvent, Reference};

use crate::sdk::{explain, items};

use super::Table;
use super::fill_marker::{self, FillMarker};
use super::items::{
    MAX_VERSION, METADATA, Projection, StoredItem, StoredOutcome, TableItem, attribute_value, event,
    event_sk, message, parse_item, pk, receipt, receipt_sk, text,
};
use super::projections::MAX_UNPROJECTED;

impl Table {
    /// A strongly consistent query of the items of one order.
    fn query(&self, order_id: &OrderId) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        query.expression_attribute_values(":pk", pk(order_id))
    }

    /// The first `limit` items of a query.
    pub(super) async fn items(
        &self,
        query: QueryFluentBuilder,
        limit: usize,
    ) -> anyhow::Result<Vec<TableItem>> {
        items(query, limit).await.context("reading the table")
    }

    /// Reads everything that the consumer needs of an order, in one paged query.
    pub(super) async fn load_one(&self, wanted: &LoadRequest) -> anyhow::Result<LoadedOrder> {
        let query = self.query(&wanted.order_id).key_condition_expression("pk = :pk");
        let (mut events, mut projection, mut outcomes) = (Vec::new(), Projection::default(), Vec::new());
        for item in self.items(query, usize::MAX).await? {
            match parse_item(item)? {
                StoredItem::Event { version, event_id, item } => {
                    // An event in the log is recorded, whatever outcome is stored for it.
                    if wanted.event_ids.contains(&event_id) {
                        let outcome = Outcome::Recorded { version };
                        outcomes.push(EventOutcome { event_id, outcome, message: message(&item) });
                    }
                    events.push((version, item));
                }
                StoredItem::Projection(found) => projection = *found,
                StoredItem::Outcome(stored) => {
                    let known =
                        outcomes.iter().any(|settled: &EventOutcome| settled.event_id == stored.event_id);
                    if wanted.event_ids.contains(&stored.event_id) && !known {
                        let StoredOutcome { event_id, outcome, message, .. } = stored;
                        outcomes.push(EventOutcome { event_id, outcome, message });
                    }
                }
            }
        }
        let order = self.healed(projection.order, events)?;
        let reference_holders = Box::pin(self.reference_holders(wanted)).await?;
        Ok(LoadedOrder { order, parked: projection.parked, outcomes, reference_holders })
    }

    /// The current order. Events that are in the log but not yet in the projection are folded in.
    fn healed(
        &self,
        projected: Option<Order>,
        events: Vec<(u64, TableItem)>,
    ) -> anyhow::Result<Option<Order>> {
        let version = projected.as_ref().map_or(0, |order| order.version);
        events.into_iter().filter(|(at, _)| *at > version).try_fold(projected, |order, (_, item)| {
            Ok(Some(Order::apply(order, &event(&item, self.default_currency)?)?))
        })
    }

    /// Reads the order with one query for its last items: the projection and the events after it, or all events if there is
    /// no projection ([`projections`](super::projections) limits their number). Reads more only after a crash, or if the
    /// projection is outdated.
    pub(super) async fn snapshot(&self, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        let newest = self
            .query(order_id)
            .key_condition_expression("pk = :pk AND sk <= :metadata")
            .expression_attribute_values(":metadata", text(METADATA))
            .scan_index_forward(false)
            .limit(i32::try_from(MAX_UNPROJECTED + 1)?);
        let (mut projection, mut events) = (Projection::default(), Vec::new());
        for item in self.items(newest, MAX_UNPROJECTED + 1).await? {
            match parse_item(item)? {
                StoredItem::Event { version, item, .. } => events.insert(0, (version, item)),
                StoredItem::Projection(found) => projection = *found,
                StoredItem::Outcome(_) => {}
            }
        }
        if projection.is_outdated {
            projection.order = self.folded(order_id).await?;
            return Ok(projection.into_snapshot());
        }
        let version = projection.order.as_ref().map_or(0, |order| order.version);
        let oldest = events.first().map_or(version, |(oldest, _)| *oldest);
        if oldest > version + 1 {
            let between = self
                .query(order_id)
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":first", event_sk(version + 1))
                .expression_attribute_values(":last", event_sk(oldest - 1));
            let items = self.items(between, usize::MAX).await?.into_iter().map(parse_item);
            let mut earlier = Vec::new();
            for item in items {
                if let StoredItem::Event { version, item, .. } = item? {
                    earlier.push((version, item));
                }
            }
            events.splice(0..0, earlier);
        }
        projection.order = self.healed(projection.order, events)?;
        Ok(projection.into_snapshot())
    }

    async fn receipt_in(
        &self,
        query: QueryFluentBuilder,
        order_id: &OrderId,
        event_id: EventId,
    ) -> anyhow::Result<Option<Receipt>> {
        let query = query
            .key_condition_expression("pk = :pk")
            .filter_expression("#event_id = :bytes OR #earlier = :text")
            .expression_attribute_names("#event_id", EVENT_ID)
            .expression_attribute_names("#earlier", EARLIER_EVENT_ID)
            .expression_attribute_values(":bytes", attribute_value(event_id_value(event_id)))
            .expression_attribute_values(":text", text(event_id.to_string()));
        // Log entries sort before stored outcomes. So an event that was parked and later recorded shows as recorded.
        let found = self.items(query, 1).await?.into_iter().next();
        found.map_or(Ok(None), |item| receipt(order_id, &parse_item(item)?))
    }

    /// Reads the order from its projection and its whole log.
    pub(super) async fn folded(&self, order_id: &OrderId) -> anyhow::Result<Option<Order>> {
        let whole = LoadRequest { order_id: order_id.clone(), event_ids: Vec::new(), references: Vec::new() };
        Ok(Box::pin(self.load_one(&whole)).await?.order)
    }
}

#[async_trait]
impl OrderReader for Table {
    fn sees_queued(&self) -> bool {
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
        self.receipt_in(self.query(order_id), order_id, event_id).await
    }

    async fn earlier_receipt(
        &self,
        order_id: &OrderId,
        event_id: EventId,
    ) -> anyhow::Result<Option<Receipt>> {
        self.receipt_in(self.query(order_id).consistent_read(false), order_id, event_id).await
    }

    async fn rejections(
        &self,
        order_id: &OrderId,
        after: Option<EventId>,
        limit: usize,
    ) -> anyhow::Result<RejectionList> {
        // The sort keys of ids begin with a digit or a letter. `0` and `g` enclose them. The item of `after` itself is the
        // first one, so one more is read.
        let first = after.map_or_else(|| text("RECEIPT#0".to_owned()), receipt_sk);
        let wanted = limit + usize::from(after.is_some());
        let query = self
            .query(order_id)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":first", first)
            .expression_attribute_values(":last", text("RECEIPT#g".to_owned()))
            .limit(i32::try_from(wanted).unwrap_or(i32::MAX));
        let items = self.items(query, wanted).await?;
        let is_full = items.len() == wanted;
        let parse = |item| receipt(order_id, &parse_item(item)?);
        let examined = items.into_iter().filter_map(|item| parse(item).transpose());
        let examined = examined.collect::<anyhow::Result<Vec<_>>>()?;
        let is_new = |receipt: &Receipt| Some(receipt.event_id) != after;
        Ok(RejectionList::of(examined.into_iter().filter(is_new).collect(), is_full))
    }

    async fn find_orders(
        &self,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> Result<OrderList, FindError> {
        if !filter.metadata.is_empty() {
            return Err(FindError::NotConfigured(NO_METADATA));
        }
        match (&filter.customer_id, filter.sort()) {
            (Some(customer_id), OrderSort::NewestFirst) => {
                Ok(self.list(customer_id, filter, after, limit).await?)
            }
            (Some(customer_id), OrderSort::LeastRecentlyUpdatedFirst) => {
                match self.list_by_update(customer_id, filter, after, limit).await? {
                    Some(list) => Ok(list),
                    None if self.search_index => Ok(self.search(filter, after, limit).await?),
                    None => Err(FindError::NotConfigured(TOO_MANY)),
                }
            }
            (None, _) if self.search_index => Ok(self.search(filter, after, limit).await?),
            (None, _) => Err(FindError::NotConfigured(NO_INDEX)),
        }
    }

    async fn order_by_reference(&self, reference: &Reference) -> Result<Option<OrderSnapshot>, FindError> {
        Ok(self.find_by_reference(reference).await?)
    }
}

#[async_trait]
impl Health for Table {
    async fn ready(&self) -> Result<(), String> {
        // The Lambda functions may read items, but not describe the table. So this check reads an item. A successful
        // answer shows that the table can be used, unless a restore into it is not complete.
        let probe = self.client.get_item().table_name(&self.name).consistent_read(true);
        let item = probe.set_key(Some(fill_marker::key())).send().await.map(|answer| answer.item);
        let name = &self.name;
        match item.map_err(|error| format!("the table {name} cannot be used: {:#}", explain(error)))? {
            None => Ok(()),
            Some(marker) => match fill_marker::read(&marker) {
                Ok(FillMarker { done_at: Some(_), .. }) => Ok(()),
                Ok(FillMarker { work, is_void: true, .. }) => {
                    Err(format!("the table {name} is not complete: {work} was taken back; use another table"))
                }
                Ok(FillMarker { folder, work, started_at, .. }) => Err(format!(
                    "the table {name} is not complete: {work}, from the data folder {folder}, began at {started_at} \
                     and is not done; run its command again"
                )),
                Err(error) => Err(format!("the table {name} cannot be used: {error:#}")),
            },
        }
    }
}

/// The error text for a search over all customers, if the table has no search index.
const NO_INDEX: &str =
    "This service has no index of the orders of all customers, so it lists only the orders of one customer.";

/// The error text for a search by metadata.
const NO_METADATA: &str = "This service has no index of metadata.";

/// The error text for a list by update time, if the customer has too many orders.
const TOO_MANY: &str = "This service has no index by update time, and lists the orders of a customer by update time \
    only if there are at most 1000 of them. Limit the creation time with `created_from` and `created_before`.";
