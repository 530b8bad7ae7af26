//! The export: all log entries, order by order. `GET /v1/export` and the command `orders export` read it.

use async_trait::async_trait;
use domain::{CustomerId, RecordedEvent, Timestamp};

/// Exports the logs of all orders.
pub trait LogExport: Send + Sync {
    /// Begins an export of the log as it is now.
    fn export(&self, filter: ExportFilter) -> Box<dyn ExportReader>;
}

/// Reads one export from its beginning to its end.
#[async_trait]
pub trait ExportReader: Send {
    /// The next log entries, or `None` at the end. The entries of an order follow each other, in the order of their
    /// versions. A result may be empty before the end, and is small enough to be kept in memory.
    async fn next(&mut self) -> anyhow::Result<Option<Vec<RecordedEvent>>>;
}

/// Selects log entries. Every condition that is present must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportFilter {
    /// Only events that were recorded at this time or later.
    pub from: Option<Timestamp>,
    /// Only events of this customer's orders.
    pub customer_id: Option<CustomerId>,
}
