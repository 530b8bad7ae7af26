//! Imports events that another store has recorded, for `orders import --aws`. Each event is put on condition that its version
//! is free. After a crash, the same import completes what is missing; the ledger lacks what was put in the batch of the crash.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::ports::OrderReader;
use async_trait::async_trait;
use consumer::import::ImportTarget;
use consumer::ports::{Append, AppendError, Appended, LedgerCounts, LedgerStore};
use domain::{OrderId, RecordedEvent};

use super::Table;

#[async_trait]
impl ImportTarget for Table {
    async fn entries(
        &self,
        order_id: &OrderId,
        after: u64,
        limit: usize,
    ) -> anyhow::Result<Vec<RecordedEvent>> {
        self.events(order_id, after, limit).await
    }

    async fn import(&self, appends: &[Append]) -> Result<(), AppendError> {
        let new = AtomicU64::new(0);
        let imported = self.each(appends, |append| Box::pin(self.import_one(append, &new))).await;
        let imported: Result<Vec<()>, _> = imported.into_iter().collect();
        // What was put is counted, even if an order failed.
        let new = new.into_inner();
        let counts = LedgerCounts { received: new, recorded: new, ..LedgerCounts::default() };
        self.add(counts).await.map_err(AppendError::Unavailable)?;
        imported.map(drop)
    }
}

impl Table {
    /// Adds the number of events that were new to `new`, also if a later one fails.
    async fn import_one(&self, append: &Append, new: &AtomicU64) -> Result<(), AppendError> {
        let reserved = self.reserve_last_reference(append).await?;
        for event in &append.events {
            reserved.check_age()?;
            let appended = self.put_event(event, None, LedgerCounts::default()).await?;
            new.fetch_add(u64::from(appended == Appended::New), Relaxed);
        }
        // An earlier attempt may have put the events without their projection.
        if crate::is_projected(&append.order) {
            self.project(append).await.map_err(AppendError::Unavailable)?;
        }
        self.release_references(append).await;
        Ok(())
    }
}
