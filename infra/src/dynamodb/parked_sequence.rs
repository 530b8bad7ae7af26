//! An order's parked sequence: the list `parked` of its METADATA item, with the ids of its dead letters in the order in
//! which they were parked. The archiver, the parking consumer and the operators' store use it.
//!
//! The attribute exists only while the sequence has an entry, so orders without dead letters need no space for it.

use anyhow::{Context, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{DeadLetterState, OrderId};

use crate::sdk::{condition_met, explain};

use super::Table;
use super::dead_letter_index::IndexLookup;
use super::items::{METADATA, key, take_parked, text};

/// The maximum number of attempts to remove a dead letter from a sequence that other processes change at the same time.
const ATTEMPTS: u32 = 10;

impl Table {
    /// Appends a dead letter to its order's sequence. A dead letter that is already in the sequence keeps its place.
    async fn append_to_sequence(&self, order_id: &OrderId, letter: &str) -> anyhow::Result<()> {
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
        condition_met(call.send().await).context("adding to an order's parked sequence")?;
        Ok(())
    }

    /// Appends a dead letter to its order's sequence, unless the index lists it as released (its event has an outcome) or
    /// discarded. No later step would remove the entry of a released or discarded dead letter.
    pub(crate) async fn add_to_sequence(&self, order_id: &OrderId, letter: &str) -> anyhow::Result<()> {
        self.append_to_sequence(order_id, letter).await?;
        // A discard changes the index before the sequence. If a concurrent discard did not see the new entry of the
        // sequence, the index already lists the dead letter as discarded, and this read finds that. The read may miss
        // a concurrent release, but the archiver repeats the release when it receives a copy of the message.
        match self.look_up_dead_letter(letter).await? {
            IndexLookup::Absent => Ok(()),
            IndexLookup::Found(indexed) if indexed.letter.state != DeadLetterState::Discarded => Ok(()),
            IndexLookup::Found(_) | IndexLookup::Released => {
                self.remove_from_sequence(order_id, letter).await
            }
        }
    }

    /// Removes a dead letter from its order's sequence, if the sequence contains it.
    pub(crate) async fn remove_from_sequence(&self, order_id: &OrderId, letter: &str) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS {
            let sequence = self.parked_sequence(order_id).await?;
            let Some(place) = sequence.iter().position(|id| id == letter) else { return Ok(()) };
            if self.remove_at(order_id, letter, place, sequence.len()).await? {
                return Ok(());
            }
        }
        bail!(
            "the parked sequence of order {order_id} changed {ATTEMPTS} times while a dead letter was removed from it"
        )
    }

    /// Removes the dead letter at `place` from the sequence. Returns `false` if the sequence has changed since it was read.
    async fn remove_at(
        &self,
        order_id: &OrderId,
        letter: &str,
        place: usize,
        length: usize,
    ) -> anyhow::Result<bool> {
        let path = if length == 1 { "parked".to_owned() } else { format!("parked[{place}]") };
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(order_id, text(METADATA))))
            .update_expression(format!("REMOVE {path}"))
            .condition_expression(format!("parked[{place}] = :letter AND size(parked) = :length"))
            .expression_attribute_values(":letter", text(letter))
            .expression_attribute_values(":length", AttributeValue::N(length.to_string()));
        condition_met(call.send().await).context("removing from an order's parked sequence")
    }

    /// The ids of the order's dead letters, in order.
    pub(crate) async fn parked_sequence(&self, order_id: &OrderId) -> anyhow::Result<Vec<String>> {
        let call = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key(order_id, text(METADATA))))
            .projection_expression("parked")
            .consistent_read(true);
        let answer = call.send().await.map_err(explain).context("reading an order's parked sequence")?;
        Ok(answer.item.map(|mut item| take_parked(&mut item)).unwrap_or_default())
    }
}
