//! Stores the outcomes of rejected and parked events. The outcomes of recorded events follow from the log.

use anyhow::Context;
use domain::{Outcome, Receipt};

use crate::sdk::condition_met;

use super::Table;
use super::items::{StoredOutcome, TableItem, key, receipt_sk, text};

impl Table {
    /// Stores an outcome. A rejection replaces a parked outcome; a parked outcome never replaces a rejection.
    pub(super) async fn settle_one(&self, receipt: &Receipt) -> anyhow::Result<()> {
        let mut call = self.client.put_item().table_name(&self.name).set_item(Some(item_of(receipt)?));
        if matches!(receipt.outcome, Some(Outcome::Parked { .. })) {
            call = call
                .condition_expression("attribute_not_exists(#state) OR #state = :parked")
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":parked", text("parked"));
        }
        condition_met(Box::pin(call.send()).await).context("storing an outcome")?;
        Ok(())
    }
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
