//! Imports events that another store has recorded, for `orders import --aws`. Each event is put on condition that its version
//! is free. After a crash, the same import completes what is missing, and counts what was not counted.
//!
//! A restore and a move import too, but they write the totals of the ledger themselves ([`restored_ledger`]).
//!
//! [`restored_ledger`]: super::restored_ledger

use std::collections::HashMap;

use api::ports::OrderReader;
use async_trait::async_trait;
use consumer::import::ImportTarget;
use consumer::ports::{Append, AppendError};
use domain::{EventId, OrderId, RecordedEvent};

use super::Table;
use super::ledger_writer::{CountedOutcome, LedgerMark};
use super::projections;

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
        let imported = self.each(appends, |append| Box::pin(self.import_one(append, None))).await;
        let imported: Result<Vec<()>, _> = imported.into_iter().collect();
        // What was put is counted, even if an order failed.
        self.count_imported(appends).await.map_err(AppendError::Unavailable)?;
        imported.map(drop)
    }
}

impl Table {
    /// Imports like [`ImportTarget::import`] events that the totals of the caller include. `messages` has the ids of the
    /// messages that carried the events, by event, as far as they are known.
    #[cfg(feature = "embedded")]
    pub(crate) async fn import_included(
        &self,
        appends: &[Append],
        messages: &HashMap<EventId, String>,
    ) -> Result<(), AppendError> {
        let imported = self.each(appends, |append| Box::pin(self.import_one(append, Some(messages)))).await;
        imported.into_iter().collect()
    }

    /// Imports the events of an order. `included` has the ids of the messages that carried events which other totals include.
    async fn import_one(
        &self,
        append: &Append,
        included: Option<&HashMap<EventId, String>>,
    ) -> Result<(), AppendError> {
        let reserved = self.reserve_last_reference(append).await?;
        for event in &append.events {
            reserved.check_age()?;
            match included {
                None => drop(self.put_event(event, None).await?),
                Some(messages) => {
                    let message = messages.get(&event.envelope.event_id).map(String::as_str);
                    self.put_marked_event(event, message, &LedgerMark::included()).await?;
                }
            }
        }
        // An earlier attempt may have put the events without their projection.
        if projections::is_due(append, self.search_index) {
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
