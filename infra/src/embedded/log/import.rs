//! Appends events that another store has recorded, for `orders import`. Each batch is one commit: log entries, derived
//! writes and the ledger's counts are written together or not at all.

use std::sync::Arc;

use anyhow::anyhow;
use consumer::ports::{Append, AppendError};

use super::Log;
use super::append::EncodedAppend;
use crate::embedded::store::stage::Stage;
use crate::embedded::store::writer::Durability;

impl Log {
    pub(crate) async fn import(self: &Arc<Self>, appends: &[Append]) -> Result<(), AppendError> {
        let new = appends.iter().filter(|append| !append.events.is_empty());
        let encoded = new.map(|append| {
            let mut encoded = EncodedAppend::of(append, &self.searchable)?;
            // Only the latest reference is imported, because earlier references of the order may belong to other orders
            // by now.
            encoded.references = append.order.reference.iter().cloned().collect();
            Ok(encoded)
        });
        let encoded: Vec<_> = encoded.collect::<anyhow::Result<_>>().map_err(AppendError::Unavailable)?;
        if encoded.is_empty() {
            return Ok(());
        }
        let log = Arc::clone(self);
        let job = move |stage: &mut Stage| {
            if let Err(error) = encoded.iter().try_for_each(|append| log.claim(stage, append)) {
                return Ok(Err(error));
            }
            for EncodedAppend { order_id, entries, derived, .. } in encoded {
                let events = entries.len() as u64;
                log.stage_entries(stage, &order_id, entries, derived);
                stage.counters.ledger.accepted += events;
                stage.counters.ledger.recorded += events;
            }
            Ok(Ok(()))
        };
        let written = self.store.writer.write(Durability::Synced, job).await;
        written.unwrap_or_else(|error| Err(AppendError::Unavailable(anyhow!("{error:#}"))))
    }

    /// Reserves the versions and the reference of events to append.
    fn claim(&self, stage: &mut Stage, append: &EncodedAppend) -> Result<(), AppendError> {
        let taken = self.claim_versions(stage, append);
        if let Some(version) = taken.map_err(|error| AppendError::Unavailable(error.into()))? {
            return Err(AppendError::Conflict { order_id: append.order_id.clone(), version });
        }
        self.claim_references(stage, &append.order_id, &append.references)
    }
}
