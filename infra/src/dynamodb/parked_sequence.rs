//! An order's line of dead letters: the list `parked` of its METADATA item, with their ids as they were put aside.
//!
//! The attribute is there only while the line is not empty, so that what has no dead letters stays as small as it was.

use anyhow::{Context, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{LetterState, OrderId};

use crate::aws::explain;

use super::Table;
use super::items::{METADATA, key, parked, text};
use super::letters::Known;

/// How often a place in a line is looked for that others change at the same time.
const ATTEMPTS: u32 = 10;

impl Table {
    /// Adds a dead letter to the end of its order's line. One that is in it already stays in its place.
    async fn line_up(&self, order_id: &OrderId, letter: &str) -> anyhow::Result<()> {
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(order_id, text(METADATA))))
            .update_expression("SET parked = list_append(if_not_exists(parked, :none), :letters)")
            .condition_expression("attribute_not_exists(parked) OR NOT contains(parked, :letter)")
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":letters", AttributeValue::L(vec![text(letter)]))
            .expression_attribute_values(":letter", text(letter));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(explain(error)).context("adding to an order's line of dead letters"),
        }
    }

    /// The same, but for one that is no dead letter any more, or none that holds its order: nobody would take that out.
    pub(crate) async fn hold(&self, order_id: &OrderId, letter: &str) -> anyhow::Result<()> {
        self.line_up(order_id, letter).await?;
        // Looked at last: whoever releases or discards it writes that first, and then takes it out of the line.
        match self.known_letter(letter).await? {
            Known::Nothing => Ok(()),
            Known::Letter(indexed) if indexed.letter.state != LetterState::Discarded => Ok(()),
            Known::Letter(_) | Known::Released => self.leave_line(order_id, letter).await,
        }
    }

    /// Takes a dead letter out of its order's line, if it is in it.
    pub(crate) async fn leave_line(&self, order_id: &OrderId, letter: &str) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS {
            let line = self.line(order_id).await?;
            let Some(place) = line.iter().position(|id| id == letter) else { return Ok(()) };
            if self.remove_at(order_id, letter, place, line.len()).await? {
                return Ok(());
            }
        }
        bail!("the line of dead letters of order {order_id} changes too often to take one out")
    }

    /// `false` if the line is another one by now.
    async fn remove_at(
        &self,
        order_id: &OrderId,
        letter: &str,
        place: usize,
        length: usize,
    ) -> anyhow::Result<bool> {
        let what = if length == 1 { "parked".to_owned() } else { format!("parked[{place}]") };
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(order_id, text(METADATA))))
            .update_expression(format!("REMOVE {what}"))
            .condition_expression(format!("parked[{place}] = :letter AND size(parked) = :length"))
            .expression_attribute_values(":letter", text(letter))
            .expression_attribute_values(":length", AttributeValue::N(length.to_string()));
        match call.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(explain(error)).context("taking out of an order's line of dead letters"),
        }
    }

    /// The ids of the order's dead letters, in line.
    pub(crate) async fn line(&self, order_id: &OrderId) -> anyhow::Result<Vec<String>> {
        let call = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(order_id, text(METADATA))))
            .projection_expression("parked")
            .consistent_read(true);
        let answer = call.send().await.map_err(explain).context("reading an order's line of dead letters")?;
        Ok(answer.item.map(|mut item| parked(&mut item)).unwrap_or_default())
    }
}
