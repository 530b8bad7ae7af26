//! Imports events that another store has recorded, for `orders import --aws`. Each event is put on condition that its version
//! is free. After a crash, the same import completes what is missing; the ledger lacks what was put in the batch of the crash.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::ports::OrderReader;
use async_trait::async_trait;
use consumer::import::ImportTarget;
use consumer::ports::{Append, AppendError, Appended, LedgerCounts, LedgerStore};
use domain::{EventId, OrderId, RecordedEvent};

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
        let imported = self.import_all(appends, &HashMap::new(), &new).await;
        // What was put is counted, even if an order failed.
        let new = new.into_inner();
        let counts = LedgerCounts { received: new, recorded: new, ..LedgerCounts::default() };
        self.add(counts).await.map_err(AppendError::Unavailable)?;
        imported
    }
}

impl Table {
    /// Imports like [`ImportTarget::import`], and leaves the ledger as it is. `messages` has the ids of the messages that
    /// carried the events, by event, as far as they are known.
    #[cfg(feature = "embedded")]
    pub(crate) async fn import_uncounted(
        &self,
        appends: &[Append],
        messages: &HashMap<EventId, String>,
    ) -> Result<(), AppendError> {
        self.import_all(appends, messages, &AtomicU64::new(0)).await
    }

    /// Adds the number of events that were new to `new`, also if another one fails.
    async fn import_all(
        &self,
        appends: &[Append],
        messages: &HashMap<EventId, String>,
        new: &AtomicU64,
    ) -> Result<(), AppendError> {
        let imported = self.each(appends, |append| Box::pin(self.import_one(append, messages, new))).await;
        imported.into_iter().collect()
    }

    async fn import_one(
        &self,
        append: &Append,
        messages: &HashMap<EventId, String>,
        new: &AtomicU64,
    ) -> Result<(), AppendError> {
        let reserved = self.reserve_last_reference(append).await?;
        for event in &append.events {
            reserved.check_age()?;
            let message = messages.get(&event.envelope.event_id).map(String::as_str);
            let appended = self.put_event(event, message, LedgerCounts::default()).await?;
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
