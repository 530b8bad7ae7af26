//! Counts a batch in the ledger before the batch is finished, with a write that is needed anyway.
//! [`write_batcher`](super::write_batcher) sends the counts, [`ledger`](super::ledger) corrects them.
//!
//! The counts of a batch are final only when the batch is finished. Writing them then takes a separate call. But the
//! final counts are nearly always the expected ones. So the expected counts are sent with the last write of each order,
//! and [`OptimisticCount`] keeps their sum until the batch is finished.
//! [`LedgerStore::add`](consumer::ports::LedgerStore::add) then writes the difference, which is usually zero.
//!
//! If a function is killed after it has counted a batch and before it has answered, it receives the batch again and
//! counts it twice. Every function that counts before it answers takes this risk. Counting early makes the risk last
//! longer: until the rest of the batch is finished.
//!
//! Use this only in processes that handle one batch at a time, as functions do. Concurrent batches would correct each
//! other's counts. The sums would stay right, but the corrections would cost more calls than early counting saves.

use std::sync::Arc;

use anyhow::Context;
use aws_sdk_dynamodb::types::BatchStatementRequest;
use consumer::ports::LedgerCounts;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::Instrument;

use super::Table;
use super::ledger::addition;

/// The counts of unfinished batches that are in the ledger already. A call holds this lock while it adds to the counts.
#[derive(Debug, Clone, Default)]
pub(super) struct OptimisticCount(Arc<Mutex<LedgerCounts>>);

impl OptimisticCount {
    /// Resets the counts and returns them, after pending calls have ended.
    pub(super) async fn take(&self) -> LedgerCounts {
        std::mem::take(&mut *self.0.lock().await)
    }
}

impl Table {
    /// Returns the same table, which now counts optimistically.
    #[must_use]
    pub fn counting_optimistically(self) -> Self {
        Self { optimistic_count: Some(OptimisticCount::default()), ..self }
    }

    /// Locks the counts. Returns `None` if there is nothing to count, or if another call is counting.
    pub(super) fn lock_optimistic_count(
        &self,
        counts: LedgerCounts,
    ) -> Option<OwnedMutexGuard<LedgerCounts>> {
        let OptimisticCount(count) =
            self.optimistic_count.as_ref().filter(|_| counts != LedgerCounts::default())?;
        Arc::clone(count).try_lock_owned().ok()
    }

    /// Like [`Table::execute`], but adds the counts to the ledger in the same call.
    ///
    /// Runs as a separate task, because the caller may be dropped at a deadline and the counts must stay exact.
    pub(super) async fn execute_counting(
        &self,
        mut statements: Vec<BatchStatementRequest>,
        counts: LedgerCounts,
        mut count: OwnedMutexGuard<LedgerCounts>,
    ) -> anyhow::Result<Vec<bool>> {
        let (table, last) = (self.clone(), statements.len());
        statements.push(addition(&self.name, counts)?);
        let work = async move {
            let made = table.execute(statements).await?;
            // The statement fails until the counters exist. `LedgerStore::add` creates them after the batch.
            if made.get(last) == Some(&true) {
                *count = [*count, counts].into_iter().sum();
            }
            Ok(made)
        };
        tokio::spawn(work.in_current_span()).await.context("writing to the table")?
    }
}
