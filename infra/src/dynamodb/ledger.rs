//! The ledger, in counters: a few items that consumers add to by chance, so that none is hot, and one that changes with
//! the index of dead letters.

use std::collections::HashMap;
use std::ops::Sub;
use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementRequest, CancellationReason, TransactWriteItem};
use consumer::ports::{Counts, End, Tally};
use domain::Ledger;

use crate::aws::explain;

use super::Table;
use super::items::{Item, METADATA, text};
use super::together::statement;

/// Items that consumers add to.
const SHARDS: usize = 8;
/// How often a transaction is tried that meets another one.
const ATTEMPTS: u32 = 8;

/// What changes in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Deltas {
    pub(crate) received: i64,
    pub(crate) recorded: i64,
    pub(crate) rejected: i64,
    pub(crate) discarded: i64,
    pub(crate) duplicate: i64,
    pub(crate) parked: i64,
}

impl Deltas {
    /// All but what was put aside, which counts when it is in the index of dead letters: there it counts exactly once.
    pub(super) fn of(counts: Counts) -> Self {
        let Counts { received, recorded, rejected, duplicate, parked: _ } = counts;
        let [received, recorded, rejected, duplicate] =
            [received, recorded, rejected, duplicate].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        Self { received, recorded, rejected, duplicate, ..Self::default() }
    }

    /// One more in the dead letters, or one less.
    pub(crate) fn parked(parked: i64) -> Self {
        Self { parked, ..Self::default() }
    }

    /// One that came to this end, out of the dead letters where it was parked.
    pub(crate) fn ended(end: End, was_parked: bool) -> Self {
        let parked = Self::parked(if was_parked { -1 } else { 0 });
        match end {
            End::Recorded => Self { recorded: 1, ..parked },
            End::Rejected => Self { rejected: 1, ..parked },
            End::Duplicate => Self { duplicate: 1, ..parked },
            End::Archived => parked,
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

    /// The update that makes these changes, if there are any.
    pub(super) fn expression(self) -> Option<(String, HashMap<String, AttributeValue>)> {
        let changes: Vec<_> = self.fields().into_iter().filter(|(_, delta)| *delta != 0).collect();
        let parts: Vec<_> = changes.iter().map(|(name, _)| format!("{name} :{name}")).collect();
        let value = |(name, delta)| (format!(":{name}"), AttributeValue::N(i64::to_string(&delta)));
        (!changes.is_empty())
            .then(|| (format!("ADD {}", parts.join(", ")), changes.into_iter().map(value).collect()))
    }
}

impl Sub for Deltas {
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

/// The ledger, and how many messages were received for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tallied {
    pub(crate) ledger: Ledger,
    pub(crate) received: u64,
}

fn pk(shard: &str) -> AttributeValue {
    text(format!("LEDGER#{shard}"))
}

fn key(shard: &str) -> Item {
    HashMap::from([("pk".to_owned(), pk(shard)), ("sk".to_owned(), text(METADATA))])
}

/// One of the items that consumers add to.
fn any_shard() -> String {
    fastrand::usize(..SHARDS).to_string()
}

/// Adds to what was received and recorded, if both are counted there already.
pub(super) fn addition(table: &str, counts: Counts) -> anyhow::Result<BatchStatementRequest> {
    let update = format!(
        "UPDATE \"{table}\" SET \"received\" = \"received\" + ? SET \"recorded\" = \"recorded\" + ? \
         WHERE \"pk\" = ? AND \"sk\" = ?"
    );
    let [received, recorded] =
        [counts.received, counts.recorded].map(|count| AttributeValue::N(count.to_string()));
    statement(update, vec![received, recorded, pk(&any_shard()), text(METADATA)])
}

pub(super) fn key_of_letters() -> Item {
    key("letters")
}

#[async_trait]
impl Tally for Table {
    async fn add(&self, counts: Counts) -> anyhow::Result<()> {
        let ahead = match &self.ahead {
            Some(account) => account.take().await,
            None => Counts::default(),
        };
        let deltas = Deltas::of(counts) - Deltas::of(ahead);
        let Some((expression, values)) = deltas.expression() else { return Ok(()) };
        let call = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(&any_shard())))
            .update_expression(expression)
            .set_expression_attribute_values(Some(values));
        Box::pin(call.send()).await.map_err(explain).context("counting")?;
        Ok(())
    }
}

impl Table {
    /// The sums over all counters.
    pub(crate) async fn tallied(&self) -> anyhow::Result<Tallied> {
        let mut keys: Vec<_> = (0..SHARDS).map(|shard| key(&shard.to_string())).collect();
        keys.push(key_of_letters());
        let items = self.get_all(keys).await?;
        let sum = |name: &str| {
            let of = |item: &Item| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
            // No count is negative for long: what is taken away was added before, maybe by an update that is lost.
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
        Ok(Tallied { ledger, received: sum("received") })
    }

    /// Makes all of the writes or none. `false` if a condition does not hold.
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
            // The SDK does not try these again.
            let again = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
            if attempt == ATTEMPTS || !again.into_iter().any(because) {
                return Err(explain(error));
            }
            tokio::time::sleep(Duration::from_millis(20 << attempt).mul_f64(fastrand::f64())).await;
        }
        bail!("it was tried too often")
    }
}
