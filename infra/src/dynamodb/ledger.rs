//! The ledger's counters. Consumers add to several items, chosen at random so that no item becomes hot. One further
//! item changes only in the transactions of the dead-letter index.

use std::collections::HashMap;
use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementRequest, CancellationReason, TransactWriteItem};
use consumer::Disposition;
use consumer::backoff::full_jitter;
use consumer::ports::{LedgerCounts, LedgerStore};
use domain::Ledger;

use crate::sdk::explain;

use super::Table;
use super::items::{METADATA, TableItem, text};
use super::write_batcher::statement;

/// The number of items over which consumers spread their additions.
const SHARDS: usize = 8;
/// The maximum number of attempts for a transaction that conflicts with others or is throttled.
const ATTEMPTS: u32 = 8;
/// The maximum pause after the first attempt. It doubles with each further attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(40);

/// The numbers to add to the counters of the ledger. A negative number is subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LedgerDeltas {
    pub(crate) received: i64,
    pub(crate) recorded: i64,
    pub(crate) rejected: i64,
    pub(crate) discarded: i64,
    pub(crate) duplicate: i64,
    pub(crate) parked: i64,
}

impl LedgerDeltas {
    /// The change that a batch's counts cause. It leaves out parked messages, because the dead-letter index counts each
    /// of them exactly once.
    pub(super) fn of(counts: LedgerCounts) -> Self {
        let LedgerCounts { received, recorded, rejected, duplicate, parked: _ } = counts;
        let [received, recorded, rejected, duplicate] =
            [received, recorded, rejected, duplicate].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        Self { received, recorded, rejected, duplicate, ..Self::default() }
    }

    /// A change of the parked counter only, by this number.
    pub(crate) fn parked(parked: i64) -> Self {
        Self { parked, ..Self::default() }
    }

    /// The change of the ledger when a message gets this disposition. `was_parked` states whether the ledger counted
    /// the message as parked before.
    pub(crate) fn of_disposition(disposition: &Disposition, was_parked: bool) -> Self {
        let parked = Self::parked(if was_parked { -1 } else { 0 });
        match disposition {
            Disposition::Recorded(_) => Self { recorded: 1, ..parked },
            Disposition::Rejected(..) => Self { rejected: 1, ..parked },
            Disposition::Duplicate => Self { duplicate: 1, ..parked },
            Disposition::Archived
            | Disposition::Completed
            | Disposition::Parked(..)
            | Disposition::Retry(_) => parked,
        }
    }

    fn fields(self) -> [(&'static str, i64); 6] {
        [
            ("received", self.received),
            ("recorded", self.recorded),
            ("rejected", self.rejected),
            ("discarded", self.discarded),
            ("duplicate", self.duplicate),
            ("parked", self.parked),
        ]
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

impl Sub for LedgerDeltas {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            received: self.received - other.received,
            recorded: self.recorded - other.recorded,
            rejected: self.rejected - other.rejected,
            discarded: self.discarded - other.discarded,
            duplicate: self.duplicate - other.duplicate,
            parked: self.parked - other.parked,
        }
    }
}

/// The sum of each counter over all items of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LedgerTotals {
    pub(crate) ledger: Ledger,
    /// The number of messages that were received for the first time, not counting redriven messages.
    pub(crate) received: u64,
}

fn pk(shard: &str) -> AttributeValue {
    text(format!("LEDGER#{shard}"))
}

fn key(shard: &str) -> TableItem {
    HashMap::from([("pk".to_owned(), pk(shard)), ("sk".to_owned(), text(METADATA))])
}

fn any_shard() -> String {
    fastrand::usize(..SHARDS).to_string()
}

/// A statement that adds `counts` to one item of the ledger. It fails if the item lacks one of the two counters.
pub(super) fn addition(table: &str, counts: LedgerCounts) -> anyhow::Result<BatchStatementRequest> {
    let update = format!(
        "UPDATE \"{table}\" SET \"received\" = \"received\" + ? SET \"recorded\" = \"recorded\" + ? \
         WHERE \"pk\" = ? AND \"sk\" = ?"
    );
    let [received, recorded] =
        [counts.received, counts.recorded].map(|count| AttributeValue::N(count.to_string()));
    statement(update, vec![received, recorded, pk(&any_shard()), text(METADATA)])
}

pub(super) fn dead_letters_key() -> TableItem {
    key("letters")
}

#[async_trait]
impl LedgerStore for Table {
    async fn add(&self, counts: LedgerCounts) -> anyhow::Result<()> {
        let counted = match &self.optimistic_count {
            Some(count) => count.take().await,
            None => LedgerCounts::default(),
        };
        let deltas = LedgerDeltas::of(counts) - LedgerDeltas::of(counted);
        let Some((expression, values)) = deltas.expression() else { return Ok(()) };
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(&any_shard())))
            .update_expression(expression)
            .set_expression_attribute_values(Some(values));
        Box::pin(call.send()).await.map_err(explain).context("adding to the ledger")?;
        Ok(())
    }
}

impl Table {
    pub(crate) async fn ledger_totals(&self) -> anyhow::Result<LedgerTotals> {
        let mut keys: Vec<_> = (0..SHARDS).map(|shard| key(&shard.to_string())).collect();
        keys.extend([dead_letters_key(), super::restored_ledger::key()]);
        let items = self.get_all(keys).await?;
        let sum = |name: &str| {
            let of = |item: &TableItem| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
            // If an addition was lost but the matching subtraction was not, the sum is negative. It is then reported as 0.
            items.iter().filter_map(of).sum::<i64>().max(0).unsigned_abs()
        };
        let ledger = Ledger {
            accepted: 0,
            recorded: sum("recorded"),
            rejected: sum("rejected"),
            discarded: sum("discarded"),
            duplicate: sum("duplicate"),
            parked: sum("parked"),
        };
        Ok(LedgerTotals { ledger, received: sum("received") })
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
            tokio::time::sleep(full_jitter(attempt, FIRST_PAUSE, Duration::MAX)).await;
        }
        bail!("the transaction conflicted with other transactions {ATTEMPTS} times")
    }
}
