//! Imports events that another store has recorded, for `orders import --aws`. Each event is put on condition that its version
//! is free. After a crash, the same import completes what is missing, and counts what was not counted.

use api::ports::OrderReader;
use async_trait::async_trait;
use consumer::import::ImportTarget;
use consumer::ports::{Append, AppendError};
use domain::{OrderId, RecordedEvent};

use super::Table;
use super::ledger_writer::CountedOutcome;

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
        let imported = self.each(appends, |append| Box::pin(self.import_one(append))).await;
        let imported: Result<Vec<()>, _> = imported.into_iter().collect();
        // What was put is counted, even if an order failed.
        self.count_imported(appends).await.map_err(AppendError::Unavailable)?;
        imported.map(drop)
    }
}

impl Table {
    async fn import_one(&self, append: &Append) -> Result<(), AppendError> {
        let reserved = self.reserve_last_reference(append).await?;
        for event in &append.events {
            reserved.check_age()?;
            self.put_event(event, None).await?;
        }
        // An earlier attempt may have put the events without their projection.
        if crate::is_projected(&append.order) {
            self.project(append).await.map_err(AppendError::Unavailable)?;
        }
        self.release_references(append).await;
        Ok(())
    }

    /// Counts the imported events of these orders, also those of an earlier attempt that was interrupted before it
    /// counted them. Each is counted once, by the mark in its log entry.
    async fn count_imported(&self, appends: &[Append]) -> anyhow::Result<()> {
        let marks = self.each(appends, |append| Box::pin(self.marks_of_imported(append))).await;
        let marks: Vec<_> = marks.into_iter().collect::<anyhow::Result<Vec<_>>>()?.concat();
        self.count_marks(marks.into_iter().map(|mark| (mark, CountedOutcome::Recorded)).collect()).await
    }
}
