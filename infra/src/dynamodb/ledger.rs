//! Reads the ledger, and changes the item of the dead-letter index, which is only written in transactions. The outcomes
//! of other messages are counted by [`ledger_count`](super::ledger_count). The counters that programs without
//! marks have left are added up, too.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::bail;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, TransactWriteItem};
use consumer::backoff::full_jitter;
use domain::Ledger;
use futures_util::future::try_join;

use crate::sdk::explain;

use super::Table;
use super::items::{METADATA, TableItem, text};
use super::ledger_writer::SHARDS;

/// The maximum number of attempts for a transaction that conflicts with others or is throttled.
const ATTEMPTS: u32 = 8;
/// The maximum pause after the first attempt. It doubles with each further attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The numbers to add to the counters of the ledger. A negative number is subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LedgerDeltas {
    pub(crate) rejected: i64,
    pub(crate) discarded: i64,
    pub(crate) parked: i64,
}

impl LedgerDeltas {
    /// A change of the parked counter only, by this number.
    pub(crate) fn parked(parked: i64) -> Self {
        Self { parked, ..Self::default() }
    }

    fn fields(self) -> [(&'static str, i64); 3] {
        [("rejected", self.rejected), ("discarded", self.discarded), ("parked", self.parked)]
    }

    /// The update expression and its values, or `None` if nothing changes.
    pub(super) fn expression(self) -> Option<(String, HashMap<String, AttributeValue>)> {
        let changes: Vec<_> = self.fields().into_iter().filter(|(_, delta)| *delta != 0).collect();
        let parts: Vec<_> = changes.iter().map(|(name, _)| format!("{name} :{name}")).collect();
        let value = |(name, delta)| (format!(":{name}"), AttributeValue::N(i64::to_string(&delta)));
        (!changes.is_empty())
            .then(|| (format!("ADD {}", parts.join(", ")), changes.into_iter().map(value).collect()))
    }
}

/// The sum of each counter over all items of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LedgerTotals {
    pub(crate) ledger: Ledger,
    /// Whether a program without marks has counted a part. Such counts may be wrong.
    pub(crate) has_unmarked: bool,
}

fn key(shard: &str) -> TableItem {
    HashMap::from([("pk".to_owned(), text(format!("LEDGER#{shard}"))), ("sk".to_owned(), text(METADATA))])
}

pub(super) fn dead_letters_key() -> TableItem {
    key("letters")
}

/// The pause after this attempt. It doubles with each attempt.
pub(super) fn pause(attempt: u32) -> Duration {
    full_jitter(attempt, FIRST_PAUSE, MAX_PAUSE)
}

impl Table {
    pub(crate) async fn ledger_totals(&self) -> anyhow::Result<LedgerTotals> {
        let mut keys: Vec<_> = (0..SHARDS).map(|shard| key(&shard.to_string())).collect();
        keys.extend([dead_letters_key(), super::restored_ledger::key()]);
        let (items, counted) = try_join(self.get_all(keys), self.writers_totals()).await?;
        let of = |item: &TableItem, name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
        let sum = |name: &str| {
            // A program without marks may have lost an addition, but not the matching subtraction.
            items.iter().filter_map(|item| of(item, name)).sum::<i64>().max(0).unsigned_abs()
        };
        let ledger = Ledger {
            accepted: 0,
            recorded: counted.recorded + sum("recorded"),
            rejected: counted.rejected + sum("rejected"),
            discarded: sum("discarded"),
            duplicate: counted.duplicate + sum("duplicate"),
            parked: sum("parked"),
        };
        // Programs without marks count every message that they receive, and later ones count none.
        Ok(LedgerTotals { ledger, has_unmarked: sum("received") > 0 })
    }

    /// Makes all of the writes in one transaction. If a condition does not hold, makes none of them and returns `false`.
    pub(super) async fn transact(&self, writes: &[TransactWriteItem]) -> anyhow::Result<bool> {
        for attempt in 1..=ATTEMPTS {
            let call = self.client.transact_write_items().set_transact_items(Some(writes.to_vec()));
            let error = match call.send().await {
                Ok(_) => return Ok(true),
                Err(error) => error,
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) =
                error.as_service_error()
            else {
                return Err(explain(error));
            };
            let because = |code: &str| {
                let is = |reason: &CancellationReason| reason.code() == Some(code);
                canceled.cancellation_reasons().iter().any(is)
            };
            if because("ConditionalCheckFailed") {
                return Ok(false);
            }
            // The SDK does not retry a transaction that DynamoDB cancelled because of a conflict or throttling.
            let retryable = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
            if attempt == ATTEMPTS || !retryable.into_iter().any(because) {
                return Err(explain(error));
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        bail!("the transaction conflicted with other transactions {ATTEMPTS} times")
    }
}
