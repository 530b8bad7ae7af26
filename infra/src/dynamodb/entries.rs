//! Reads single log entries by their keys: for the feed, which refers to them, and for the relay, which needs the customers of
//! orders.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use async_trait::async_trait;
use consumer::relay::CustomerLookup;
use domain::{CustomerId, OrderId, RecordedEvent};

use super::Table;
use super::items::{event, event_sk, key, order_of, string};

impl Table {
    /// Reads the log entries that `wanted` names by order and version, in the order of `wanted`. A missing log entry
    /// is an error, because log entries are never deleted.
    pub(crate) async fn log_entries(&self, wanted: &[(OrderId, u64)]) -> anyhow::Result<Vec<RecordedEvent>> {
        let distinct: BTreeSet<_> = wanted.iter().collect();
        let keys = distinct.iter().map(|(order_id, version)| key(order_id, event_sk(*version))).collect();
        let mut found = BTreeMap::new();
        for item in self.get_all(keys).await? {
            let entry = event(&item, self.default_currency)?;
            found.insert((order_of(&item)?, entry.version), entry);
        }
        let entry = |wanted: &(OrderId, u64)| {
            let missing = || format!("order {} has no log entry with version {}", wanted.0, wanted.1);
            found.get(wanted).cloned().with_context(missing)
        };
        wanted.iter().map(entry).collect()
    }
}

#[async_trait]
impl CustomerLookup for Table {
    async fn customers(&self, orders: &[OrderId]) -> anyhow::Result<Vec<(OrderId, CustomerId)>> {
        let keys = orders.iter().map(|order_id| key(order_id, event_sk(1))).collect();
        let items = self.get_all(keys).await?;
        items
            .iter()
            .map(|item| Ok((order_of(item)?, CustomerId::parse(string(item, "customer_id")?)?)))
            .collect()
    }
}
