//! Reads how the table is set up, for the doctor and for relays in containers.

use std::collections::BTreeMap;

use anyhow::Context;
use aws_sdk_dynamodb::types::PointInTimeRecoveryStatus;

use super::Table;
use super::create::{names, stream_of};
use crate::sdk::explain;

/// How a table is set up.
#[derive(Debug)]
pub struct TableSettings {
    /// The names of the table's key attributes, the hash key first.
    pub keys: Vec<String>,
    /// The names of the key attributes of each index, the hash key first.
    pub indexes: BTreeMap<String, Vec<String>>,
    /// Whether point-in-time recovery is enabled, or why the setting cannot be read.
    pub recovery: Result<bool, String>,
    /// Whether deletion protection is enabled.
    pub deletion_protection: bool,
}

impl Table {
    /// Reads the settings of the table.
    pub async fn describe(&self) -> anyhow::Result<TableSettings> {
        let name = &self.name;
        let answer = self.client.describe_table().table_name(name).send().await;
        let answer = answer.map_err(explain).with_context(|| format!("describing the table {name}"))?;
        let table = answer.table.with_context(|| format!("the description of the table {name} is empty"))?;
        let indexes = table.global_secondary_indexes().iter();
        let indexes =
            indexes.filter_map(|index| Some((index.index_name()?.to_owned(), names(index.key_schema()))));
        Ok(TableSettings {
            keys: names(table.key_schema()),
            indexes: indexes.collect(),
            recovery: self.recovery().await,
            deletion_protection: table.deletion_protection_enabled().unwrap_or(false),
        })
    }

    /// The ARN of the table's change stream, which must contain new images.
    pub async fn stream(&self) -> anyhow::Result<String> {
        let name = &self.name;
        let answer = self.client.describe_table().table_name(name).send().await;
        let answer = answer.map_err(explain).with_context(|| format!("describing the table {name}"))?;
        let stream = answer.table.as_ref().and_then(stream_of).map(str::to_owned);
        stream.with_context(|| {
            format!(
                "the table {name} has no change stream with new images: \
                 turn the stream on, with the view type NEW_IMAGE"
            )
        })
    }

    async fn recovery(&self) -> Result<bool, String> {
        let answer = self.client.describe_continuous_backups().table_name(&self.name).send().await;
        let answer = answer.map_err(|error| format!("{:#}", explain(error)))?;
        let backups = answer.continuous_backups_description;
        let recovery = backups.and_then(|backups| backups.point_in_time_recovery_description);
        let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
        Ok(status == Some(PointInTimeRecoveryStatus::Enabled))
    }
}
