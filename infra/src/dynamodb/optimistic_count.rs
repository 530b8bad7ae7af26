//! Counting ahead: a batch's share of the ledger in a call that is made anyway.
//!
//! What became of a batch is known when all of it is done with, and would need a call of its own then. But nearly always
//! it is what can be expected. So that is counted along with the last write of each order, and kept on an account until
//! the batch is done with: [`Tally::add`](consumer::ports::Tally::add) writes what is still missing, which mostly is
//! nothing, or takes back what turned out otherwise.
//!
//! A function that is killed after it has counted and before it has answered counts a batch twice, for it receives it
//! again. That can happen wherever it counts before it answers; ahead, the time for it is longer by what other messages
//! of the batch still need then.
//!
//! Only for whoever handles one batch at a time, as functions do. Several would settle each other's accounts, which adds
//! up as well, but takes more calls than it saves.

use std::sync::Arc;

use anyhow::Context;
use aws_sdk_dynamodb::types::BatchStatementRequest;
use consumer::ports::Counts;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::Instrument;

use super::Table;
use super::ledger::addition;

/// What is in the ledger already of batches that are not done with. It is locked while that is not known.
#[derive(Debug, Clone, Default)]
pub(super) struct Account(Arc<Mutex<Counts>>);

impl Account {
    /// Settles it: what was on it. Waits for what is on its way.
    pub(super) async fn take(&self) -> Counts {
        std::mem::take(&mut *self.0.lock().await)
    }
}

impl Table {
    /// The same table, whose appends are counted ahead.
    #[must_use]
    pub fn counting_ahead(self) -> Self {
        Self { ahead: Some(Account::default()), ..self }
    }

    /// The account, if there is something to count on it and nobody else is doing so.
    pub(super) fn account(&self, counts: Counts) -> Option<OwnedMutexGuard<Counts>> {
        let Account(account) = self.ahead.as_ref().filter(|_| counts != Counts::default())?;
        Arc::clone(account).try_lock_owned().ok()
    }

    /// Makes the writes as [`Table::execute`] does, and counts.
    ///
    /// Whoever waits for it may be dropped at a deadline. Whether it was counted has to be known nevertheless, so this
    /// goes on.
    pub(super) async fn execute_counting(
        &self,
        mut statements: Vec<BatchStatementRequest>,
        counts: Counts,
        mut account: OwnedMutexGuard<Counts>,
    ) -> anyhow::Result<Vec<bool>> {
        let (table, last) = (self.clone(), statements.len());
        statements.push(addition(&self.name, counts)?);
        let work = async move {
            let made = table.execute(statements).await?;
            // A counter that is not there yet is made at the end of the batch.
            if made.get(last) == Some(&true) {
                *account = [*account, counts].into_iter().sum();
            }
            Ok(made)
        };
        tokio::spawn(work.in_current_span()).await.context("writing to the table")?
    }
}
