//! The share of the ledger that a restore or a move brings along: one item with absolute totals, so that writing it again
//! changes nothing. The outcomes that were restored have a mark that says so ([`LedgerMark`](super::ledger_writer::LedgerMark)).
//! Parked dead letters are not part of the item, because the dead-letter index counts them.

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
    /// Writes the totals of what was restored.
    #[cfg_attr(
        not(feature = "embedded"),
        expect(dead_code, reason = "only the embedded store is restored from")
    )]
    pub(crate) async fn put_restored_ledger(&self, ledger: &Ledger) -> anyhow::Result<()> {
        let mut item = key();
        let totals = [
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
