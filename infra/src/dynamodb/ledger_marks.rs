//! The marks of stored outcomes: the numbers under which the ledger counts them. A recorded event has its mark in its log
//! entry, and a rejected one in its receipt. Of a duplicate nothing else is stored, so it has an item of its own for some
//! time. [`ledger_count`](super::ledger_count) calls this module.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_dynamodb::types::AttributeValue;
use consumer::Disposition;
use consumer::ports::Append;
use domain::{DeadLetterState, Envelope};

use crate::now;
use crate::sdk::condition_met;

use super::Table;
use super::conditional_put::{ConditionalPut, put_on_condition};
use super::dead_letter_index::IndexLookup;
use super::items::{METADATA, TableItem, event_sk, key, message, pk, receipt_sk, string, text};
use super::ledger_writer::LedgerMark;

/// The attribute of a stored outcome that contains its mark.
pub(super) const MARK: &str = "ledger";
/// How long the item of a duplicate is kept, in seconds: longer than SQS keeps its message, also on the dead-letter queue.
const DUPLICATE_SECONDS: i64 = 30 * 24 * 60 * 60;

/// The mark in the item of an outcome.
pub(super) fn mark_of(item: &TableItem) -> anyhow::Result<Option<LedgerMark>> {
    string(item, MARK).ok().map(str::parse).transpose()
}

impl Table {
    /// Reads the mark of an outcome that an earlier delivery of the message with this id has stored.
    pub(super) async fn stored_mark(
        &self,
        id: &str,
        event: &Envelope,
        disposition: &Disposition,
    ) -> anyhow::Result<Option<LedgerMark>> {
        let sk = match disposition {
            Disposition::Recorded(version) => event_sk(*version),
            _ => receipt_sk(event.event_id),
        };
        let key = key(&event.order_id, sk);
        let item = self.get_all(vec![key.clone()]).await?.pop();
        let item = item.with_context(|| format!("the outcome of event {} is not stored", event.event_id))?;
        if let Some(mark) = mark_of(&item)? {
            return Ok(Some(mark));
        }
        // A program without marks has stored the outcome, or an operator has discarded the dead letter.
        if self.is_counted_dead_letter(id).await? {
            return Ok(None);
        }
        let mark = self.ledger.next_mark();
        if self.set_mark(key.clone(), &mark).await? {
            return Ok(Some(mark));
        }
        let item = self.get_all(vec![key]).await?.pop().context("the outcome of an event has vanished")?;
        mark_of(&item)
    }

    /// Gives a mark to an outcome that has none. Returns `false` if it has one by now.
    async fn set_mark(&self, key: TableItem, mark: &LedgerMark) -> anyhow::Result<bool> {
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .update_expression("SET #mark = :mark")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#mark)")
            .expression_attribute_names("#mark", MARK)
            .expression_attribute_values(":mark", text(mark.to_string()));
        condition_met(call.send().await).context("marking an outcome for the ledger")
    }

    /// The mark of the duplicate in the message with this id. The first delivery of the message stores it.
    pub(super) async fn mark_duplicate(&self, id: &str) -> anyhow::Result<LedgerMark> {
        let mark = self.ledger.next_mark();
        let expires_at = now().micros() / 1_000_000 + DUPLICATE_SECONDS;
        let item = HashMap::from([
            ("pk".to_owned(), text(format!("MESSAGE#{id}"))),
            ("sk".to_owned(), text(METADATA)),
            (MARK.to_owned(), text(mark.to_string())),
            ("expires_at".to_owned(), AttributeValue::N(expires_at.to_string())),
        ]);
        let call = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        let existing = match put_on_condition(call).await.context("storing a duplicate")? {
            ConditionalPut::Put => return Ok(mark),
            ConditionalPut::Refused(existing) => existing,
        };
        let stored = existing.as_ref().map(mark_of).transpose()?.flatten();
        let stored = stored.context("the item of a duplicate has no mark")?;
        if stored != mark {
            self.ledger.not_used(mark);
        }
        Ok(stored)
    }

    /// The marks of those events in an order's log that were imported. No message carried them.
    pub(super) async fn marks_of_imported(&self, append: &Append) -> anyhow::Result<Vec<LedgerMark>> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :event)")
            .expression_attribute_values(":pk", pk(&append.order.order_id))
            .expression_attribute_values(":event", text("EVENT#"));
        let items = self.items(query, usize::MAX).await?;
        let imported = items.iter().filter(|item| message(item).is_none());
        imported.filter_map(|item| mark_of(item).transpose()).collect()
    }

    /// Whether the dead letter with this id is one that the dead-letter index has counted as rejected or released.
    async fn is_counted_dead_letter(&self, id: &str) -> anyhow::Result<bool> {
        Ok(match self.look_up_dead_letter(id).await? {
            IndexLookup::Absent => false,
            IndexLookup::Released => true,
            IndexLookup::Found(found) => found.letter.state == DeadLetterState::Discarded,
        })
    }
}
