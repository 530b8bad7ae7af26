//! An event as the service returned it in the log of an order. The checks of the audit compare these events.

use domain::RecordedEvent;
use serde_json::Value;

/// An event in an order log.
#[derive(Debug)]
pub(super) struct LoggedEvent {
    pub(super) event: RecordedEvent,
    /// The data as the service returned it.
    pub(super) data: Value,
}
