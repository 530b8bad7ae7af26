//! Folds idle writers of the ledger into one sum, so that their items do not accumulate. A process that begins to count
//! calls this module, and [`ledger_writer`](super::ledger_writer) calls it for numbers of folded writers.
//!
//! One transaction moves the totals of a writer to the sum, and replaces its item by one that keeps the counted numbers:
//! an outcome of the writer can still be found uncounted, for as long as its message can come back.

use anyhow::{Context, anyhow, bail};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::types::builders::{PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Get, Put, TransactGetItem, TransactWriteItem, Update};

use crate::now;
use crate::sdk::explain;

use super::Table;
use super::items::{METADATA, TableItem, string, text};
use super::ledger_writer::{
    OutcomeTotals, SHARDS, WRITER, WriterState, folded_item, live_key, number, shard_pk,
};

/// How long a writer has counted nothing when it is folded, in seconds.
const IDLE_SECONDS: i64 = 60 * 60;
/// The maximum number of writers that one process folds. It is more than the one that the process adds.
const WRITERS_PER_PROCESS: usize = 4;
/// How long the item of a folded writer is kept, in seconds: longer than the 14 days for which SQS keeps a message, and
/// the 14 days for which it may keep it on the dead-letter queue.
const FOLDED_SECONDS: i64 = 30 * 24 * 60 * 60;
/// The maximum number of attempts to read items that transactions are changing.
const ATTEMPTS: u32 = 20;

/// The sum of folded writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FoldedSum {
    pub(super) totals: OutcomeTotals,
    /// The number of folded writers.
    pub(super) folds: u64,
}

fn sum_key() -> TableItem {
    TableItem::from([("pk".to_owned(), text("LEDGER#folded")), ("sk".to_owned(), text(METADATA))])
}

impl Table {
    /// The items of all live writers of a shard.
    pub(super) async fn live_writers(&self, shard: u64) -> anyhow::Result<Vec<TableItem>> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :writer)")
            .expression_attribute_values(":pk", shard_pk(shard))
            .expression_attribute_values(":writer", text(WRITER));
        self.items(query, usize::MAX).await
    }

    /// Folds a few writers of a shard that are idle at the time `now_seconds`. Returns how many.
    pub(super) async fn fold_idle_writers(&self, shard: u64, now_seconds: i64) -> anyhow::Result<usize> {
        let mut folded = 0;
        for item in self.live_writers(shard).await? {
            if now_seconds - i64::try_from(number(&item, "at")?)? < IDLE_SECONDS {
                continue;
            }
            let writer = string(&item, "sk")?.trim_start_matches(WRITER);
            folded += usize::from(self.fold(writer, &WriterState::read(&item)?).await?);
            if folded == WRITERS_PER_PROCESS {
                break;
            }
        }
        Ok(folded)
    }

    /// Folds a writer. Returns `false` if its item has changed since it was read.
    async fn fold(&self, writer: &str, state: &WriterState) -> anyhow::Result<bool> {
        let unchanged = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(live_key(writer)))
            .condition_expression("revision = :revision")
            .expression_attribute_values(":revision", AttributeValue::N(state.revision.to_string()));
        let delete = unchanged.build().map_err(|error| anyhow!("{error}"))?;
        let put = self.put_folded(writer, state).build().map_err(|error| anyhow!("{error}"))?;
        let update = self.add_to_sum(state.totals, 1).build().map_err(|error| anyhow!("{error}"))?;
        let writes = [
            TransactWriteItem::builder().delete(delete).build(),
            TransactWriteItem::builder().put(put).build(),
            TransactWriteItem::builder().update(update).build(),
        ];
        self.transact(&writes).await.context("folding a writer of the ledger")
    }

    /// Counts numbers of a folded writer. Returns `false` if its item has changed since `before` was read.
    pub(super) async fn count_late(
        &self,
        writer: &str,
        before: &WriterState,
        next: &WriterState,
    ) -> anyhow::Result<bool> {
        let put = self
            .put_folded(writer, next)
            .condition_expression("revision = :before")
            .expression_attribute_values(":before", AttributeValue::N(before.revision.to_string()));
        let put = put.build().map_err(|error| anyhow!("{error}"))?;
        let update = self
            .add_to_sum(next.totals.since(before.totals), 0)
            .build()
            .map_err(|error| anyhow!("{error}"))?;
        let writes = [
            TransactWriteItem::builder().put(put).build(),
            TransactWriteItem::builder().update(update).build(),
        ];
        self.transact(&writes).await.context("counting for a folded writer of the ledger")
    }

    fn put_folded(&self, writer: &str, state: &WriterState) -> PutBuilder {
        let expires_at = now().micros() / 1_000_000 + FOLDED_SECONDS;
        Put::builder().table_name(&self.name).set_item(Some(folded_item(writer, state, expires_at)))
    }

    /// An addition to the sum. It is safe, because it is only made in a transaction with a condition.
    fn add_to_sum(&self, totals: OutcomeTotals, folds: u64) -> UpdateBuilder {
        let mut update = Update::builder()
            .table_name(&self.name)
            .set_key(Some(sum_key()))
            .update_expression(
                "ADD recorded :recorded, rejected :rejected, #duplicate :duplicate, folds :folds",
            )
            .expression_attribute_names("#duplicate", "duplicate");
        for (name, value) in totals.fields().into_iter().chain([("folds", folds)]) {
            let value = AttributeValue::N(value.to_string());
            update = update.expression_attribute_values(format!(":{name}"), value);
        }
        update
    }

    /// Reads items at one moment: no transaction is visible in one of them and not in another.
    pub(super) async fn read_at_once<const COUNT: usize>(
        &self,
        keys: [TableItem; COUNT],
    ) -> anyhow::Result<[Option<TableItem>; COUNT]> {
        let mut gets = Vec::with_capacity(COUNT);
        for key in keys {
            let get = Get::builder().table_name(&self.name).set_key(Some(key)).build();
            gets.push(TransactGetItem::builder().get(get.map_err(|error| anyhow!("{error}"))?).build());
        }
        let mut attempt = 0;
        let answer = loop {
            attempt += 1;
            let call = self.client.transact_get_items().set_transact_items(Some(gets.clone()));
            match Box::pin(call.send()).await {
                Ok(answer) => break answer,
                // A transaction that writes one of the items is under way.
                Err(error) if attempt < ATTEMPTS && is_canceled(&error) => {
                    tokio::time::sleep(super::ledger::pause(attempt)).await;
                }
                Err(error) => return Err(explain(error)).context("reading the ledger"),
            }
        };
        let items: Vec<_> =
            answer.responses.unwrap_or_default().into_iter().map(|found| found.item).collect();
        items
            .try_into()
            .map_err(|_| anyhow!("DynamoDB returned another number of items than it was asked for"))
    }

    async fn folded_sum(&self) -> anyhow::Result<FoldedSum> {
        let [found] = self.read_at_once([sum_key()]).await?;
        let Some(item) = found.filter(|item| !item.is_empty()) else { return Ok(FoldedSum::default()) };
        Ok(FoldedSum { totals: OutcomeTotals::read(&item), folds: number(&item, "folds")? })
    }

    /// The outcomes that all writers have counted, live and folded.
    pub(super) async fn writers_totals(&self) -> anyhow::Result<OutcomeTotals> {
        let shards: Vec<u64> = (0..SHARDS).collect();
        let mut before = self.folded_sum().await?;
        for _ in 0..ATTEMPTS {
            let mut sum = before.totals;
            for items in self.each(&shards, |shard| Box::pin(self.live_writers(*shard))).await {
                items?.iter().map(OutcomeTotals::read).for_each(|totals| sum += totals);
            }
            let after = self.folded_sum().await?;
            if after.folds == before.folds {
                return Ok(sum);
            }
            // A writer was folded meanwhile, so it may be missing in the sum, or be in it twice.
            before = after;
        }
        bail!("writers of the ledger were folded during each of {ATTEMPTS} reads")
    }

    /// Folds all writers, as if they were idle.
    #[doc(hidden)]
    pub async fn fold_all_writers(&self) -> anyhow::Result<usize> {
        let later = now().micros() / 1_000_000 + 2 * IDLE_SECONDS;
        let mut all = 0;
        for shard in 0..SHARDS {
            loop {
                let folded = self.fold_idle_writers(shard, later).await?;
                all += folded;
                if folded == 0 {
                    break;
                }
            }
        }
        Ok(all)
    }
}

fn is_canceled(error: &SdkError<TransactGetItemsError>) -> bool {
    error.as_service_error().is_some_and(TransactGetItemsError::is_transaction_canceled_exception)
}
