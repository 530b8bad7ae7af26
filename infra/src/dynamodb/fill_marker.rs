//! The marker of a fill: the item `RESTORE`, which says that the table is being filled from a data folder or a backup. The
//! [fill](crate::aws::fill) writes it first and completes it last. While it is incomplete, [`Table::ready`] fails, so no
//! role starts on a table that is half filled.

use std::collections::HashMap;

use anyhow::Context;
use anyhow::bail;
use aws_sdk_dynamodb::types::Select;
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sdk::{condition_met, explain};

use super::Table;
use super::items::{METADATA, TableItem, string, text};

/// What is written into a table, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillMarker {
    /// The name of the data folder that the content comes from.
    pub folder: String,
    /// What is done, such as `a move`. Only the same work may continue.
    pub work: String,
    /// When the work began.
    pub started_at: Timestamp,
    /// The position up to which all events are in the table.
    pub copied: u64,
    /// The sequence number of the last message that was sent to the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u64>,
    /// The moment at which the source was closed for writes, once more than events is written. The rest is of this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// Whether the work was taken back after its cut. The table must not be used any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_void: bool,
    /// When the work was completed. `None` while the table must not be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
}

#[cfg_attr(
    not(feature = "embedded"),
    expect(dead_code, reason = "only a data folder or its backup fills a table")
)]
impl FillMarker {
    /// Whether the other marker is of the same work.
    pub(crate) fn is_same_work(&self, other: &Self) -> bool {
        (&self.folder, &self.work) == (&other.folder, &other.work)
    }
}

/// The key of the marker.
pub(super) fn key() -> TableItem {
    HashMap::from([("pk".to_owned(), text("RESTORE")), ("sk".to_owned(), text(METADATA))])
}

/// The marker in an item.
pub(super) fn read(item: &TableItem) -> anyhow::Result<FillMarker> {
    serde_json::from_str(string(item, "fill")?).context("the marker of a restore is malformed")
}

fn item(marker: &FillMarker) -> anyhow::Result<TableItem> {
    let mut item = key();
    item.insert("fill".to_owned(), text(serde_json::to_string(marker)?));
    Ok(item)
}

#[cfg_attr(
    not(feature = "embedded"),
    expect(dead_code, reason = "only a data folder or its backup fills a table")
)]
impl Table {
    /// The marker, if the table has one.
    pub(crate) async fn fill_marker(&self) -> anyhow::Result<Option<FillMarker>> {
        let call = self.client.get_item().table_name(&self.name).consistent_read(true).set_key(Some(key()));
        let answer = call.send().await.map_err(explain).context("reading the marker of a restore")?;
        answer.item().map(read).transpose()
    }

    /// Puts the first marker of a fill. Fails if the table contains anything.
    pub(crate) async fn begin_fill(&self, marker: &FillMarker) -> anyhow::Result<()> {
        let call = self.client.scan().table_name(&self.name).consistent_read(true).limit(1);
        let page = call.send().await.map_err(explain).context("reading the table")?;
        if let Some(found) = page.items().first() {
            let (pk, sk) = (string(found, "pk")?, string(found, "sk")?);
            bail!(
                "the table {} is not empty: it contains the item {pk} {sk}. Choose an empty table",
                self.name
            );
        }
        let call = self.client.put_item().table_name(&self.name).set_item(Some(item(marker)?));
        let put = condition_met(call.condition_expression("attribute_not_exists(pk)").send().await);
        match put.context("writing the marker of a restore")? {
            true => Ok(()),
            false => bail!("another command has begun to fill the table {}", self.name),
        }
    }

    /// Replaces the marker.
    pub(crate) async fn put_fill_marker(&self, marker: &FillMarker) -> anyhow::Result<()> {
        let call = self.client.put_item().table_name(&self.name).set_item(Some(item(marker)?));
        call.send().await.map_err(explain).context("writing the marker of a restore")?;
        Ok(())
    }

    /// The number of log entries in the table. Reads the whole table.
    pub(crate) async fn count_log_entries(&self) -> anyhow::Result<u64> {
        let (mut count, mut start) = (0, None);
        loop {
            let call = self
                .client
                .scan()
                .table_name(&self.name)
                .consistent_read(true)
                .select(Select::Count)
                .filter_expression("begins_with(pk, :order) AND begins_with(sk, :event)")
                .expression_attribute_values(":order", text("ORDER#"))
                .expression_attribute_values(":event", text("EVENT#"))
                .set_exclusive_start_key(start);
            let page = Box::pin(call.send()).await.map_err(explain).context("counting log entries")?;
            count += u64::try_from(page.count()).unwrap_or(0);
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(count);
            }
        }
    }
}
