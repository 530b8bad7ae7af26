//! Stores the outcomes of rejected and parked events. The outcomes of recorded events follow from the log.

use anyhow::{Context, bail};
use domain::{Outcome, Receipt};

use super::Table;
use super::conditional_put::{ConditionalPut, put_on_condition};
use super::items::{StoredOutcome, TableItem, key, message, receipt_sk, text};
use super::ledger_marks::{MARK, mark_of};
use super::ledger_writer::LedgerMark;

impl Table {
    /// Stores an outcome. A rejection replaces a parked outcome. A parked outcome never replaces a rejection, and a
    /// rejection no other one.
    pub(super) async fn settle_one(&self, receipt: &Receipt) -> anyhow::Result<()> {
        self.settle_marked(receipt, is_rejection(receipt).then(|| self.ledger.next_mark())).await
    }

    /// Stores outcomes that the totals of the caller include.
    #[cfg(feature = "embedded")]
    pub(crate) async fn settle_included(&self, receipts: &[Receipt]) -> Vec<anyhow::Result<()>> {
        let mark = |receipt: &Receipt| is_rejection(receipt).then(LedgerMark::included);
        self.each(receipts, |receipt| Box::pin(self.settle_marked(receipt, mark(receipt)))).await
    }

    async fn settle_marked(&self, receipt: &Receipt, mark: Option<LedgerMark>) -> anyhow::Result<()> {
        let mut item = item_of(receipt)?;
        item.extend(mark.iter().map(|mark| (MARK.to_owned(), text(mark.to_string()))));
        let call = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#state) OR #state = :parked")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":parked", text("parked"));
        let existing = match put_on_condition(call).await.context("storing an outcome")? {
            ConditionalPut::Put => {
                self.remember_rejection(receipt, mark);
                return Ok(());
            }
            ConditionalPut::Refused(existing) => existing.unwrap_or_default(),
        };
        let Some(mark) = mark else { return Ok(()) };
        if mark_of(&existing)?.as_ref() == Some(&mark) {
            // The SDK has repeated the call, because its answer was lost.
            self.remember_rejection(receipt, Some(mark));
            return Ok(());
        }
        self.ledger.not_used(mark);
        match message(&existing) {
            // The next delivery finds that the message is a duplicate.
            other if other.is_some() && other != receipt.message => {
                bail!("the same event was rejected in another message at the same time")
            }
            _ => Ok(()),
        }
    }

    fn remember_rejection(&self, receipt: &Receipt, mark: Option<LedgerMark>) {
        if let (Some(message), Some(mark)) = (&receipt.message, mark) {
            self.ledger.remember(message, mark);
        }
    }
}

/// Whether the receipt is that of a rejected event. The ledger counts these by their marks.
fn is_rejection(receipt: &Receipt) -> bool {
    matches!(receipt.outcome, Some(Outcome::Rejected { .. }))
}

/// The item that stores a receipt. Returns an error if the event was recorded or has no outcome.
pub(super) fn item_of(receipt: &Receipt) -> anyhow::Result<TableItem> {
    let outcome = receipt.outcome.clone().context("a receipt without an outcome is not stored")?;
    if matches!(outcome, Outcome::Recorded { .. }) {
        anyhow::bail!("the receipt of a recorded event is its log entry and is not stored");
    }
    let stored = StoredOutcome {
        event_id: receipt.event_id,
        event_type: receipt.event_type,
        outcome,
        request_hash: receipt.request_hash.clone(),
        message: receipt.message.clone(),
    };
    let mut item: TableItem = serde_dynamo::to_item(stored)?;
    item.extend(key(&receipt.order_id, receipt_sk(receipt.event_id)));
    Ok(item)
}
