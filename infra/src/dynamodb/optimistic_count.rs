//! Adds the expected counts of a batch to the ledger before the batch is finished. The counts travel with a write
//! that is needed anyway. [`write_batcher`](super::write_batcher) sends the counts, and [`ledger`](super::ledger)
//! corrects them.
//!
//! The counts of a batch are final only when the batch is finished. To write only final counts would need a separate
//! call. But the final counts nearly always equal the expected counts. So the expected counts are sent with the last write of
//! each order, and [`OptimisticCount`] keeps their sum until the batch is finished.
//! [`LedgerStore::add`](consumer::ports::LedgerStore::add) then writes the difference, which is usually zero.
//!
//! A Lambda function that is killed after it has counted a batch, but before it has answered, receives the batch again
//! and counts it twice. Every Lambda function that counts before it answers is exposed to this risk. Early counting
//! extends the risk until the rest of the batch is finished.
//!
//! Count optimistically only in processes that handle one batch at a time, as Lambda functions do. Concurrent batches
//! would correct each other's counts. The sums would stay right, but the corrections would cost more calls than early
//! counting saves.

use std::sync::Arc;

use anyhow::Context;
use aws_sdk_dynamodb::types::BatchStatementRequest;
use consumer::ports::LedgerCounts;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::Instrument;

use super::Table;
use super::ledger::addition;

/// The counts that the ledger already contains for unfinished batches. A call that adds counts to the ledger holds
/// this lock.
#[derive(Debug, Clone, Default)]
pub(super) struct OptimisticCount(Arc<Mutex<LedgerCounts>>);

impl OptimisticCount {
    /// Waits for calls that are adding counts. Then returns the sum of the counts, and resets the sum to zero.
    pub(super) async fn take(&self) -> LedgerCounts {
        std::mem::take(&mut *self.0.lock().await)
    }
}

impl Table {
    /// Returns this table with optimistic counting turned on.
    #[must_use]
    pub fn counting_optimistically(self) -> Self {
        Self { optimistic_count: Some(OptimisticCount::default()), ..self }
    }

    /// Locks the optimistic count, so that the caller can add `counts`. Returns `None` if the table does not count
    /// optimistically, if `counts` are all zero, or if another call holds the lock.
    pub(super) fn lock_optimistic_count(
        &self,
        counts: LedgerCounts,
    ) -> Option<OwnedMutexGuard<LedgerCounts>> {
        let OptimisticCount(count) =
            self.optimistic_count.as_ref().filter(|_| counts != LedgerCounts::default())?;
        Arc::clone(count).try_lock_owned().ok()
    }

    /// Executes the statements like [`Table::execute`], and adds `counts` to the ledger in the same call.
    ///
    /// The call runs in a separate task, which ends even if the caller is dropped at a deadline. So the sum of the
    /// counts stays exact.
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
