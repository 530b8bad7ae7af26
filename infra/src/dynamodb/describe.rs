//! How a table is made.

use std::collections::BTreeMap;

use anyhow::Context;
use aws_sdk_dynamodb::types::PointInTimeRecoveryStatus;

use super::Table;
use super::table::names;
use crate::aws::explain;

/// How a table is made.
#[derive(Debug)]
pub struct Description {
    /// The names of its keys, the hash key first.
    pub keys: Vec<String>,
    /// The same for each index.
    pub indexes: BTreeMap<String, Vec<String>>,
    /// Whether it can be restored to any point in time, or why that cannot be told.
    pub recovery: Result<bool, String>,
    /// Whether it is protected from deletion.
    pub deletion_protection: bool,
}

impl Table {
    /// Asks how the table is made.
    pub async fn describe(&self) -> anyhow::Result<Description> {
        let name = &self.name;
        let asked = self.client.describe_table().table_name(name).send().await;
        let asked = asked.map_err(explain).with_context(|| format!("looking at the table {name}"))?;
        let table = asked.table.with_context(|| format!("the table {name} is not described"))?;
        let indexes = table.global_secondary_indexes().iter();
        let indexes =
            indexes.filter_map(|index| Some((index.index_name()?.to_owned(), names(index.key_schema()))));
        Ok(Description {
            keys: names(table.key_schema()),
            indexes: indexes.collect(),
            recovery: self.recovery().await,
            deletion_protection: table.deletion_protection_enabled().unwrap_or(false),
        })
    }

    async fn recovery(&self) -> Result<bool, String> {
        let asked = self.client.describe_continuous_backups().table_name(&self.name).send().await;
        let answer = asked.map_err(|error| format!("{:#}", explain(error)))?;
        let backups = answer.continuous_backups_description;
        let recovery = backups.and_then(|backups| backups.point_in_time_recovery_description);
        let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
        Ok(status == Some(PointInTimeRecoveryStatus::Enabled))
    }
}
