//! The index of orders that may be past their deadline, for the role of the service that proposes to cancel them.
//!
//! The first log entry of an order with a deadline has two more attributes, `due_shard` and `due_at`. They are the keys
//! of a sparse index. They are written with the entry, so the index contains every such order. An index entry is only a
//! reminder to check the order. A payment does not change the entry. The role that proposes cancellations moves or
//! removes the entry after it has checked the order ([`DueOrders::report`]). So orders without a deadline cost nothing,
//! and the consumer never changes the index after the first log entry. `docs/decisions/deadlines-on-aws.md` lists the
//! prices.

use anyhow::Context;
use api::expiry::{DueOrders, DuePage, DuePosition, DueQuery, DueState};
use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Order, OrderId, Timestamp};

use crate::sdk::{condition_met, explain};

use super::Table;
use super::items::{
    Attributes, SHARDS, TableItem, event_sk, key, listed_time, order_of, shard_of, string, text,
};

/// The name of the index, whose keys are `due_shard` and `due_at`. It contains only keys.
pub(super) const DUE_INDEX: &str = "due-orders";
/// How soon an order is checked again after a proposal. This check is needed because the proposal may be rejected.
const AFTER_PROPOSAL_MICROS: i64 = 5 * 60 * 1_000_000;
/// How soon an order is checked again if an earlier proposal for its version exists.
const WHILE_WAITING_MICROS: i64 = 15 * 60 * 1_000_000;
/// How soon an order is checked again if it has no deadline now, but may get one.
const WHILE_SUSPENDED_MICROS: i64 = 60 * 60 * 1_000_000;

/// The attributes of an order's first log entry that put the order into the index. Empty if the order has no deadline.
pub(super) fn due_attributes(order: &Order, unpaid_age_micros: Option<i64>) -> Attributes {
    let attributes = |deadline: Timestamp| {
        [
            ("due_shard", text(shard_name(shard_of(&order.order_id)))),
            ("due_at", text(listed_time(deadline.micros()))),
        ]
    };
    order.deadline(unpaid_age_micros).map(attributes).into_iter().flatten().collect()
}

fn shard_name(shard: u32) -> String {
    format!("due#{shard}")
}

/// The position at which a page begins: its shard, and the item before the page. `last` is `None` at the beginning of
/// a shard.
struct Position {
    shard: u32,
    last: Option<[String; 3]>,
}

/// The key attributes that identify an item within a shard of the index.
const KEYS: [&str; 3] = ["due_at", "pk", "sk"];

impl Position {
    const START: Self = Self { shard: 0, last: None };

    fn encode(&self) -> DuePosition {
        let last = self.last.iter().flatten().cloned();
        let parts: Vec<_> = std::iter::once(self.shard.to_string()).chain(last).collect();
        DuePosition(parts.join("\n").into_bytes())
    }

    fn decode(position: &DuePosition) -> anyhow::Result<Self> {
        let mut parts = std::str::from_utf8(&position.0)?.split('\n');
        let shard = parts.next().context("an empty position")?.parse()?;
        let rest: Vec<_> = parts.map(str::to_owned).collect();
        Ok(Self { shard, last: rest.try_into().ok() })
    }

    fn start_key(&self) -> Option<TableItem> {
        let last = self.last.as_ref()?;
        let keys = KEYS.iter().zip(last).map(|(name, value)| ((*name).to_owned(), text(value)));
        Some(keys.chain([("due_shard".to_owned(), text(shard_name(self.shard)))]).collect())
    }

    /// The position of the page that follows the current one. `last` is the last item of the current page, if its
    /// shard has more items. Returns `None` after the last shard.
    fn after(&self, last: Option<&TableItem>) -> anyhow::Result<Option<Self>> {
        let Some(item) = last else {
            let shard = self.shard + 1;
            return Ok((shard < SHARDS).then_some(Self { shard, last: None }));
        };
        let [due_at, pk, sk] = KEYS.map(|name| string(item, name).map(str::to_owned));
        Ok(Some(Self { shard: self.shard, last: Some([due_at?, pk?, sk?]) }))
    }
}

#[async_trait]
impl DueOrders for Table {
    async fn due(
        &self,
        query: &DueQuery,
        after: Option<&DuePosition>,
        limit: usize,
    ) -> anyhow::Result<DuePage> {
        let position = after.map_or(Ok(Position::START), Position::decode)?;
        let call = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(DUE_INDEX)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .key_condition_expression("due_shard = :shard AND due_at <= :now")
            .expression_attribute_values(":shard", text(shard_name(position.shard)))
            .expression_attribute_values(":now", text(listed_time(query.now.micros())))
            .set_exclusive_start_key(position.start_key());
        let answer =
            Box::pin(call.send()).await.map_err(explain).context("reading the index of due orders")?;
        let orders = answer.items().iter().map(order_of).collect::<anyhow::Result<_>>()?;
        let next = position.after(answer.last_evaluated_key())?.map(|next| next.encode());
        Ok(DuePage { orders, next })
    }

    async fn report(&self, found: &[(OrderId, DueState)], now: Timestamp) -> anyhow::Result<()> {
        let results = self.each(found, |(order_id, state)| self.report_one(order_id, *state, now)).await;
        results.into_iter().collect()
    }
}

impl Table {
    /// Moves an order to another time in the index, or removes the order from the index. Does nothing if the index
    /// does not contain the order.
    async fn report_one(&self, order_id: &OrderId, state: DueState, now: Timestamp) -> anyhow::Result<()> {
        let at = match state {
            DueState::Proposed => Some(now.micros().saturating_add(AFTER_PROPOSAL_MICROS)),
            DueState::Waiting => Some(now.micros().saturating_add(WHILE_WAITING_MICROS)),
            DueState::Suspended => Some(now.micros().saturating_add(WHILE_SUSPENDED_MICROS)),
            DueState::Later(deadline) => Some(deadline.micros()),
            DueState::Ended => None,
        };
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(order_id, event_sk(1))))
            // An overlapping pass may have removed the order from the index.
            .condition_expression("attribute_exists(due_shard)");
        let call = match at {
            Some(at) => call
                .update_expression("SET due_at = :at")
                .expression_attribute_values(":at", AttributeValue::S(listed_time(at))),
            None => call.update_expression("REMOVE due_shard, due_at"),
        };
        condition_met(Box::pin(call.send()).await).context("moving an order in the index of due orders")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for last in [None, Some(["1".to_owned(), "ORDER#o".to_owned(), "EVENT#0000000001".to_owned()])] {
            let written = Position { shard: 3, last };
            let read = Position::decode(&written.encode()).unwrap();
            assert_eq!((read.shard, read.last), (3, written.last));
        }
        assert_eq!(Position { shard: 0, last: None }.after(None).unwrap().unwrap().shard, 1);
        assert!(Position { shard: SHARDS - 1, last: None }.after(None).unwrap().is_none());
    }
}
