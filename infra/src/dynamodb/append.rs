//! Implements the consumer's [`OrderLog`]: appends events to the log and projects the order. The append is the commit
//! point.

use anyhow::Context;
use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementRequest};
use consumer::ports::{Append, AppendError, Appended, LoadRequest, LoadedOrder, OrderLog};
use domain::{Order, Receipt, RecordedEvent};

use crate::sdk::condition_met;

use super::Table;
use super::conditional_put::{ConditionalPut, put_on_condition};
use super::items::{self, Attributes, METADATA, TableItem, event_id, key, pk, text};
use super::ledger_marks::mark_of;
use super::ledger_writer::LedgerMark;
use super::projections;
use super::write_batcher::{insert, statement};
use super::written_items::{event_item, projection_attributes};

#[async_trait]
impl OrderLog for Table {
    async fn load(&self, wanted: &[LoadRequest]) -> Vec<anyhow::Result<LoadedOrder>> {
        self.each(wanted, |wanted| self.load_one(wanted)).await
    }

    async fn append(&self, appends: &[Append]) -> Vec<Result<Appended, AppendError>> {
        self.each(appends, |append| self.append_one(append)).await
    }

    async fn settle(&self, receipts: &[Receipt]) -> Vec<anyhow::Result<()>> {
        self.each(receipts, |receipt| self.settle_one(receipt)).await
    }
}

impl Table {
    async fn append_one(&self, append: &Append) -> Result<Appended, AppendError> {
        let reserved = self.reserve_references(append).await?;
        let mut appended = Appended::Already;
        for (place, event) in append.events.iter().enumerate() {
            let message = append.messages.get(place).map(String::as_str);
            reserved.check_age()?;
            if let Some(mark) = self.put_event(event, message).await? {
                message.into_iter().for_each(|message| self.ledger.remember(message, mark.clone()));
                appended = Appended::New;
            }
        }
        if projections::is_due(append, self.search_index) {
            self.project(append).await.map_err(AppendError::Unavailable)?;
        }
        self.release_references(append).await;
        Ok(appended)
    }

    /// Puts the event at its version unless another event has that version. Returns the mark with which it was put, or
    /// `None` if the same event from the same message is there already.
    pub(super) async fn put_event(
        &self,
        event: &RecordedEvent,
        message: Option<&str>,
    ) -> Result<Option<LedgerMark>, AppendError> {
        let mark = self.ledger.next_mark();
        let put = self.put_marked_event(event, message, &mark).await;
        if matches!(put, Ok(Appended::Already) | Err(AppendError::Conflict { .. })) {
            self.ledger.not_used(mark);
            return put.map(|_| None);
        }
        put.map(|_| Some(mark))
    }

    /// Puts the event like [`Table::put_event`], with this mark.
    pub(super) async fn put_marked_event(
        &self,
        event: &RecordedEvent,
        message: Option<&str>,
        mark: &LedgerMark,
    ) -> Result<Appended, AppendError> {
        let item = event_item(event, message, mark, self.unpaid_age_micros, self.search_index);
        let item = item.map_err(AppendError::Unavailable)?;
        let insert = insert(&self.name, item.clone()).map_err(AppendError::Unavailable)?;
        if self.write_batched(insert).await.map_err(AppendError::Unavailable)? {
            return Ok(Appended::New);
        }
        Box::pin(self.put_event_alone(event, message, item, mark)).await
    }

    async fn put_event_alone(
        &self,
        event: &RecordedEvent,
        message: Option<&str>,
        item: Attributes,
        mark: &LedgerMark,
    ) -> Result<Appended, AppendError> {
        let item: TableItem = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let call = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        let put = put_on_condition(call).await.context("appending to the log");
        let existing = match put.map_err(AppendError::Unavailable)? {
            ConditionalPut::Put => return Ok(Appended::New),
            ConditionalPut::Refused(existing) => existing.unwrap_or_default(),
        };
        let is_same_event = event_id(&existing).is_ok_and(|id| id == event.envelope.event_id);
        if is_same_event && mark_of(&existing).map_err(AppendError::Unavailable)?.as_ref() == Some(mark) {
            // The SDK has repeated the call, because its answer was lost.
            return Ok(Appended::New);
        }
        let stored_message = items::message(&existing);
        let same_message = stored_message.is_none_or(|of| message.is_none_or(|message| of == message));
        if is_same_event && same_message {
            return Ok(Appended::Already);
        }
        let order_id = event.envelope.order_id.clone();
        Err(AppendError::Conflict { order_id, version: event.version })
    }

    /// Appends the event without writing the projection. A crash between the two writes would leave the table in the
    /// same state. The conformance suite uses this function.
    #[doc(hidden)]
    pub async fn append_without_projecting(&self, event: &RecordedEvent) -> Result<(), AppendError> {
        self.put_event(event, None).await.map(drop)
    }

    /// The statement that writes the projection in the common cases. If it is to be the order's first one, the statement
    /// requires that no projection exists. Otherwise it requires an older projection. In other
    /// cases the statement fails.
    fn projection_statement(&self, append: &Append) -> anyhow::Result<BatchStatementRequest> {
        let Order { order_id, version, .. } = &append.order;
        let attributes = projection_attributes(&append.order, self.search_index)?;
        if projections::is_first(append, self.search_index) {
            let key = [("pk", pk(order_id)), ("sk", text(METADATA))];
            return insert(&self.name, key.into_iter().chain(attributes).collect());
        }
        let changes: Vec<_> = attributes.iter().map(|(name, _)| format!("SET \"{name}\" = ?")).collect();
        let update = format!(
            "UPDATE \"{}\" {} WHERE \"pk\" = ? AND \"sk\" = ? AND \"version\" < ?",
            self.name,
            changes.join(" ")
        );
        let condition = [pk(order_id), text(METADATA), AttributeValue::N(version.to_string())];
        statement(update, attributes.into_iter().map(|(_, value)| value).chain(condition).collect())
    }

    /// Writes the projection, unless the table already holds a projection of the same or a later version.
    pub(super) async fn project(&self, append: &Append) -> anyhow::Result<()> {
        if self.write_batched(self.projection_statement(append)?).await? {
            return Ok(());
        }
        Box::pin(self.project_alone(append)).await
    }

    async fn project_alone(&self, append: &Append) -> anyhow::Result<()> {
        let attributes = projection_attributes(&append.order, self.search_index)?;
        let changes: Vec<_> = attributes.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
        let mut call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(&append.order.order_id, text(METADATA))))
            .update_expression(format!("SET {}", changes.join(", ")))
            .condition_expression("attribute_not_exists(#version) OR #version < :version");
        for (name, value) in attributes {
            call = call.expression_attribute_names(format!("#{name}"), name);
            call = call.expression_attribute_values(format!(":{name}"), value);
        }
        // If the condition fails, the table already contains this projection or a later one, so nothing is left to do.
        condition_met(call.send().await).context("projecting the order")?;
        Ok(())
    }
}
