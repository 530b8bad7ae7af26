//! The ports of the operator endpoints: the dead letters and the pipeline's counters. `infra` implements them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::dead_letter::Discard;
use domain::{Currency, DeadLetter, DeadLetterState, Ledger, OrderId, ParkReason, Repair, Timestamp};

/// The ports that operator requests need.
#[derive(Clone)]
pub struct Operations {
    /// The dead letters.
    pub letters: Arc<dyn DeadLetterStore>,
    /// The counters.
    pub pipeline: Arc<dyn Pipeline>,
    /// The currency of orders of schema version 0 that do not state a currency. It must equal the consumer's setting,
    /// so that the API and the consumer decode a message to the same event.
    pub default_currency: Currency,
}

/// Stores dead letters. A read returns everything that was stored before the read began, except that lists may lag on some
/// backends.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// Lists up to `limit` dead letters that pass the filter, newest first. The list begins after the position `after`.
    async fn letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterList>;

    /// The dead letter with this id.
    async fn letter(&self, id: &str) -> anyhow::Result<Option<DeadLetter>>;

    /// The first dead letters in the parked sequence of an order, up to `limit`. They are parked or replaying.
    async fn sequence(&self, order_id: &OrderId, limit: usize) -> anyhow::Result<ParkedSequence>;

    /// Sends dead letters back to the queue, in the given order, and marks them as replaying. Returns one result for
    /// each dead letter.
    ///
    /// A dead letter that is already replaying is sent again, because the replay may have been interrupted. The
    /// consumer recognizes the id of a recorded event, so no event is recorded twice. If a dead letter cannot be sent,
    /// later ones of its order are not sent.
    async fn replay(&self, letters: &[DeadLetter]) -> Vec<Result<(), ReplayError>>;

    /// Replaces the body that a redrive sends. The dead letter keeps its original body and the repair. Once the event
    /// of the dead letter is recorded, the log entry contains the original body and the repair, too.
    async fn repair(&self, id: &str, body: Vec<u8>, by: Repair) -> anyhow::Result<DeadLetterChange>;

    /// Discards a dead letter, so that its event becomes rejected with the given reason. The dead letter leaves the
    /// sequence of its order but is kept.
    async fn discard(&self, id: &str, discard: Discard) -> anyhow::Result<DeadLetterChange>;
}

/// The result of changing a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterChange {
    /// The change was made. The value is the dead letter after the change.
    Made(Box<DeadLetter>),
    /// The dead letter does not exist, or no longer exists.
    Missing,
    /// The dead letter is not parked, so it cannot be changed.
    NotParked(DeadLetterState),
}

/// The reason why a dead letter was not sent back to the queue.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The dead letter no longer exists, or was discarded.
    #[error("the dead letter no longer exists, or was discarded")]
    Gone,
    /// An earlier dead letter of the same order could not be sent.
    #[error("an earlier dead letter of its order could not be sent")]
    EarlierFailed,
    /// The queue or the store failed. A retry may succeed.
    #[error("{0:#}")]
    Unavailable(anyhow::Error),
}

/// Selects dead letters. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadLetterFilter {
    /// The required state. `None` selects every state except discarded.
    pub state: Option<DeadLetterState>,
    /// The required reason for which the dead letter was parked.
    pub reason: Option<ParkReason>,
    /// The required order of the dead letter's event.
    pub order_id: Option<OrderId>,
    /// Selects dead letters that were parked at this time or later.
    pub parked_from: Option<Timestamp>,
    /// Selects dead letters that were parked before this time.
    pub parked_before: Option<Timestamp>,
}

impl DeadLetterFilter {
    /// Whether the filter selects the dead letter.
    pub fn passes(&self, letter: &DeadLetter) -> bool {
        let state = match self.state {
            Some(state) => state == letter.state,
            None => letter.state != DeadLetterState::Discarded,
        };
        state
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && self.order_id.as_ref().is_none_or(|order_id| Some(order_id) == letter.order_id.as_ref())
            && self.parked_from.is_none_or(|from| letter.parked_at >= from)
            && self.parked_before.is_none_or(|before| letter.parked_at < before)
    }
}

/// A page of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadLetterList {
    /// The dead letters. There may be fewer than requested, or none: the store examines a limited number, and many of
    /// them may not pass the filter.
    pub letters: Vec<DeadLetter>,
    /// The position at which the next page begins, or `None` on the last page.
    pub next: Option<DeadLetterPosition>,
}

/// The first dead letters of an order's parked sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParkedSequence {
    /// The dead letters, in order.
    pub letters: Vec<DeadLetter>,
    /// Whether the sequence has further dead letters after these.
    pub is_longer: bool,
}

/// A position in a list of dead letters, directly after one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterPosition {
    /// The sort key of the list, which grows with the time at which a dead letter was parked.
    pub key: String,
}

/// Reads the pipeline's counters.
#[async_trait]
pub trait Pipeline: Send + Sync {
    /// The current counters.
    async fn counters(&self) -> anyhow::Result<PipelineCounters>;

    /// How the continuous backup is doing, or `None` if the service has none.
    fn backup(&self) -> Option<BackupReport> {
        None
    }

    /// The free space of the disk with the data in bytes, or `None` if the service has no disk or it is unknown.
    fn disk_free(&self) -> Option<u64> {
        None
    }
}

/// How a continuous backup is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupReport {
    /// Where the backup is.
    pub target: String,
    /// The latest increment since the start of the service.
    pub last: Option<StoredBackup>,
    /// The time since the latest increment was begun, or 0 if nothing has changed since. `None` if there is no increment
    /// since the start.
    pub lag: Option<Duration>,
    /// The number of events after the latest increment.
    pub lag_events: Option<u64>,
    /// The number of attempts that failed since the start.
    pub failures: u64,
    /// The size of all files that were written since the start, in bytes.
    pub bytes_written: u64,
    /// Why the latest attempt failed, or `None` if it succeeded.
    pub error: Option<String>,
}

/// An increment of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBackup {
    /// The number of the increment.
    pub number: u64,
    /// When the increment was begun.
    pub time: Timestamp,
    /// The position up to which it contains the events.
    pub position: u64,
}

/// The pipeline's counters. On SQS, the numbers of messages on the queue are approximate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PipelineCounters {
    /// The ledger, which counts what happened to all accepted events.
    pub ledger: Ledger,
    /// The number of messages on the queue that can be received now.
    pub visible: u64,
    /// The number of messages on the queue that are being handled, or are in backoff after a failure.
    pub in_flight: u64,
    /// The number of messages on the queue that cannot be received yet.
    pub delayed: u64,
    /// The age of the oldest message on the queue, if it is known.
    pub oldest: Option<Duration>,
    /// The number of dead letters that are parked or replaying.
    pub dead_letters: u64,
    /// Whether each outcome is counted exactly once, whatever fails: the ledger's `recorded`, `rejected`, `discarded` and
    /// `duplicate`.
    pub exact: bool,
    /// Whether `accepted` is counted where messages are accepted. If not, it is derived from the other numbers.
    pub counts_accepted: bool,
}

impl PipelineCounters {
    /// The number of all messages on the queue.
    pub fn queued(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }

    /// Whether the queue contains exactly the messages that are accepted and have no outcome. `None` if accepted messages
    /// are not counted, so that nothing can be compared.
    pub fn balanced(&self) -> Option<bool> {
        self.counts_accepted.then(|| self.ledger.missing() == i128::from(self.queued()))
    }
}
