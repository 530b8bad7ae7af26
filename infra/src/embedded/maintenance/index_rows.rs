//! Compares the indexes with the orders. A rebuild calls these functions.

use anyhow::Context;
use domain::{Order, OrderId};

use super::rebuild::Rebuild;
use crate::embedded::store::index_keys::{metadata_key_of, position_of};
use crate::embedded::store::indexes::{Index, rows_of};

impl Rebuild<'_> {
    /// Reports index rows that the order lacks, and plans to add them.
    pub(super) fn index_rows(&mut self, order: &Order) -> anyhow::Result<()> {
        let keys = &self.log.store.keys;
        for (index, key) in rows_of(order, &self.log.searchable) {
            let keyspace = index.keyspace(keys);
            let expected: &[u8] =
                if index == Index::Reference { order.order_id.as_str().as_bytes() } else { &[] };
            if keyspace.get(&key)?.as_deref() != Some(expected) {
                let finding =
                    format!("order {}: it is missing from the index by {}", order.order_id, index.what());
                self.differs(finding, keyspace, key, Some(expected.to_vec()));
            }
        }
        Ok(())
    }

    /// Reports index rows that are out of date, and plans to remove them. The projections must be correct before the
    /// call.
    pub(super) async fn stray_index_rows(&mut self) -> anyhow::Result<()> {
        let log = self.log;
        for index in [Index::Status, Index::Update, Index::Reference, Index::Metadata, Index::Due] {
            let keyspace = index.keyspace(&log.store.keys);
            for row in keyspace.iter() {
                let (key, value) = row.into_inner()?;
                let order_id = order_of(index, &key, &value)?;
                // If an order's log cannot be folded, neither the log nor the rows of the order are changed.
                let Ok(order) = log.order_in(&log.store.latest(), &order_id) else { continue };
                let is_expected = |(of, expected): &(Index, Vec<u8>)| *of == index && *expected == *key;
                if !order.is_some_and(|order| rows_of(&order, &log.searchable).iter().any(is_expected)) {
                    let finding =
                        format!("order {order_id}: a row of the index by {} is out of date", index.what());
                    self.differs(finding, keyspace, key.to_vec(), None);
                }
                self.commit_full_chunk().await?;
            }
        }
        Ok(())
    }
}

fn order_of(index: Index, key: &[u8], value: &[u8]) -> anyhow::Result<OrderId> {
    let position = match index {
        Index::Status => position_of(key, 2),
        Index::Update | Index::Due => position_of(key, 0),
        Index::Metadata => metadata_key_of(key).and_then(|(_, prefix_bytes)| position_of(key, prefix_bytes)),
        Index::Reference => {
            return OrderId::parse(std::str::from_utf8(value)?)
                .context("a row of the index by reference is malformed");
        }
    };
    Ok(position?.order_id)
}
