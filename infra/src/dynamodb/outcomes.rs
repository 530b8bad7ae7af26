//! Outcomes that are no append: rejected and parked events.

use anyhow::Context;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{OrderId, Outcome, Receipt, ReceiptState};

use crate::aws::explain;

use super::Table;
use super::items::{Item, METADATA, StoredOutcome, key, receipt_sk, text};

impl Table {
    pub(super) async fn settle_one(&self, receipt: &Receipt) -> anyhow::Result<()> {
        let outcome = receipt.outcome.clone().context("a receipt without an outcome is not stored")?;
        if matches!(outcome, Outcome::Recorded { .. }) {
            anyhow::bail!("a recorded event is in the log; there is no receipt of it to store");
        }
        let event = receipt.event_id.to_string();
        if receipt.state() == ReceiptState::Parked {
            self.mark(&receipt.order_id, &event).await?;
            return self.put_receipt(receipt, outcome, None).await.map(|_| ());
        }
        // An event that was parked before leaves the dead letters' count first: a crash between the two is healed by
        // the event being handled again, and it would not be once its new outcome is stored.
        let unless_parked = Some(("attribute_not_exists(#state) OR #state <> :parked", "parked"));
        if !self.put_receipt(receipt, outcome.clone(), unless_parked).await? {
            self.unmark(&receipt.order_id, &event).await?;
            self.put_receipt(receipt, outcome, None).await?;
        }
        Ok(())
    }

    /// Tells whether it was put: it is not if the condition says no.
    async fn put_receipt(
        &self,
        receipt: &Receipt,
        outcome: Outcome,
        condition: Option<(&str, &str)>,
    ) -> anyhow::Result<bool> {
        let request_hash = receipt.request_hash.clone();
        let stored = StoredOutcome {
            event_id: receipt.event_id,
            event_type: receipt.event_type,
            outcome,
            request_hash,
        };
        let mut item: Item = serde_dynamo::to_item(stored)?;
        item.extend(key(&receipt.order_id, receipt_sk(receipt.event_id)));
        let mut call = self.client.put_item().table_name(&self.name).set_item(Some(item));
        if let Some((condition, state)) = condition {
            call = call
                .condition_expression(condition)
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":parked", text(state));
        }
        match call.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(explain(error)).context("storing an outcome"),
        }
    }

    /// Counts a message, by a name of its own, among those of the order that are in the dead letters.
    pub(crate) async fn mark(&self, order_id: &OrderId, message: &str) -> anyhow::Result<()> {
        self.change_parked(order_id, message, "ADD").await
    }

    async fn unmark(&self, order_id: &OrderId, message: &str) -> anyhow::Result<()> {
        self.change_parked(order_id, message, "DELETE").await
    }

    async fn change_parked(&self, order_id: &OrderId, message: &str, how: &str) -> anyhow::Result<()> {
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(order_id, text(METADATA))))
            .update_expression(format!("{how} parked :message"))
            .expression_attribute_values(":message", AttributeValue::Ss(vec![message.to_owned()]));
        call.send().await.map_err(explain).context("marking the order")?;
        Ok(())
    }
}
