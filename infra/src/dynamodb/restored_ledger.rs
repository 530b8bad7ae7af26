//! The share of the ledger that a restore or a move brings along: one item with absolute totals, so that writing it again
//! changes nothing. Parked dead letters are not part of it, because the dead-letter index counts them.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::Ledger;

use crate::sdk::explain;

use super::Table;
use super::items::{METADATA, TableItem, text};

/// The key of the item. [`Table::ledger_totals`] adds it to the other items of the ledger.
pub(super) fn key() -> TableItem {
    HashMap::from([("pk".to_owned(), text("LEDGER#restored")), ("sk".to_owned(), text(METADATA))])
}

impl Table {
    /// Writes the totals of what was restored. `received` is the number of messages that the source has received: all
    /// accepted ones but those that are on the new queue.
    #[cfg_attr(
        not(feature = "embedded"),
        expect(dead_code, reason = "only the embedded store is restored from")
    )]
    pub(crate) async fn put_restored_ledger(&self, ledger: &Ledger, received: u64) -> anyhow::Result<()> {
        let mut item = key();
        let totals = [
            ("received", received),
            ("recorded", ledger.recorded),
            ("rejected", ledger.rejected),
            ("discarded", ledger.discarded),
            ("duplicate", ledger.duplicate),
        ];
        item.extend(totals.map(|(name, total)| (name.to_owned(), AttributeValue::N(total.to_string()))));
        let call = self.client.put_item().table_name(&self.name).set_item(Some(item));
        call.send().await.map_err(explain).context("writing the ledger")?;
        Ok(())
    }
}
