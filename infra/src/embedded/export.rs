//! Exports the logs of all orders from one synced view, as the port [`LogExport`](api::ports::export::LogExport) defines.
//! The API exports beside the running service, and `orders export` exports a folder that no service is using.
//!
//! An export may take minutes. It takes a read turn for each chunk, so other long reads get their turns between two
//! chunks. Events that are recorded during the export are not in the view.

use std::sync::Arc;

use anyhow::Context;
use api::ports::export::{ExportFilter, ExportReader};
use async_trait::async_trait;
use domain::{OrderId, RecordedEvent};
use fjall::Iter;

use super::log::Log;
use super::store::keys;
use super::store::views::{ReadStore, View};

/// The approximate number of bytes after which a chunk ends. A chunk also contains the entry that exceeds this size.
const CHUNK_BYTES: usize = 256 << 10;

/// An export, which keeps its view until the end.
pub(crate) struct EmbeddedExport {
    log: Arc<Log>,
    /// `None` once the export has ended or failed.
    scan: Option<LogScan>,
}

impl EmbeddedExport {
    pub(crate) fn new(log: &Arc<Log>, filter: ExportFilter) -> Self {
        Self { log: Arc::clone(log), scan: Some(LogScan::begin(log, filter)) }
    }
}

#[async_trait]
impl ExportReader for EmbeddedExport {
    async fn next(&mut self) -> anyhow::Result<Option<Vec<RecordedEvent>>> {
        let Some(mut scan) = self.scan.take() else { return Ok(None) };
        let log = Arc::clone(&self.log);
        let read = move || {
            let chunk = scan.chunk(&log)?;
            Ok((scan, chunk))
        };
        let (scan, chunk) = self.log.store.read_turns.read(read).await?;
        if chunk.is_some() {
            self.scan = Some(scan);
        }
        Ok(chunk)
    }
}

/// A place in the logs of the exported orders.
struct LogScan {
    view: Arc<View>,
    filter: ExportFilter,
    /// The list of the customer, if only that customer's orders are exported.
    orders: Option<Iter>,
    /// The log entries of the current order, or of all orders.
    entries: Option<Iter>,
}

impl LogScan {
    fn begin(log: &Log, filter: ExportFilter) -> Self {
        let (view, keys) = (log.store.view(), &log.store.keys);
        let (orders, entries) = match &filter.customer_id {
            Some(customer_id) => {
                (Some(view.prefix(&keys.customers, keys::customer_prefix(customer_id))), None)
            }
            None => (None, Some(view.range(&keys.log, Vec::new()..))),
        };
        Self { view, filter, orders, entries }
    }

    /// Reads the next chunk of entries. Returns `None` at the end. The chunk is empty if the filter excludes all
    /// entries that were read.
    fn chunk(&mut self, log: &Log) -> anyhow::Result<Option<Vec<RecordedEvent>>> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        while bytes < CHUNK_BYTES {
            let Some(row) = self.entries.as_mut().and_then(Iterator::next) else {
                match self.next_order(log)? {
                    true => continue,
                    false if bytes == 0 => return Ok(None),
                    false => break,
                }
            };
            let (key, entry) = row.into_inner()?;
            let order_id = keys::order_of_log_key(&key)?;
            bytes += entry.len();
            let event = log.decode_entry(&entry).with_context(|| format!("order {order_id}"))?;
            if self.filter.from.is_none_or(|from| event.recorded_at >= from) {
                events.push(event);
            }
        }
        Ok(Some(events))
    }

    /// Moves to the next order of the customer's list. Returns `false` if there are no more orders.
    fn next_order(&mut self, log: &Log) -> anyhow::Result<bool> {
        self.entries = None;
        let Some(row) = self.orders.as_mut().and_then(Iterator::next) else { return Ok(false) };
        let order_id: OrderId = keys::customer_key_position(&row.key()?)?.order_id;
        self.entries = Some(self.view.prefix(&log.store.keys.log, keys::log_prefix(&order_id)));
        Ok(true)
    }
}
