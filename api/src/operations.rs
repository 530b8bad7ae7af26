//! What operators need from the outside: the dead letters, and the numbers of the pipeline.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::dead_letter::Discard;
use domain::{Currency, DeadLetter, DeadLetterState, Ledger, OrderId, ParkReason, Repair, Timestamp};

/// The ports that operators' requests need.
#[derive(Clone)]
pub struct Operations {
    /// The dead letters.
    pub letters: Arc<dyn DeadLetterStore>,
    /// The numbers.
    pub pipeline: Arc<dyn Pipeline>,
    /// The currency of article orders, which state none: what is read again must be read as the consumer does.
    pub default_currency: Currency,
}

/// Keeps dead letters. All reads but lists see what was stored before they began; lists may lag on some backends.
#[async_trait]
pub trait DeadLetterStore: Send + Sync {
    /// Up to `limit` letters that pass the filter, newest first, from behind `after` on.
    async fn letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterPosition>,
        limit: usize,
    ) -> anyhow::Result<DeadLetterList>;

    /// The letter with this id.
    async fn letter(&self, id: &str) -> anyhow::Result<Option<DeadLetter>>;

    /// The first letters of an order that hold it, in line, up to `limit`: parked ones, and those on their way back.
    async fn sequence(&self, order_id: &OrderId, limit: usize) -> anyhow::Result<ParkedSequence>;

    /// Puts letters back on the queue, in the order given, and marks them as replaying. What is on its way back already
    /// is sent once more, for a replay may have been interrupted; that applies nothing twice, for its event has an id. If
    /// one fails, those of its order behind it are not sent. Each result is its own letter's.
    async fn replay(&self, letters: &[DeadLetter]) -> Vec<Result<(), ReplayError>>;

    /// Replaces the body that is replayed; what was sent first is kept, and who replaced it. The event that the letter
    /// becomes says so.
    async fn repair(&self, id: &str, body: Vec<u8>, by: Repair) -> anyhow::Result<DeadLetterChange>;

    /// Decides that a letter's event is not to happen: it leaves its order's line, and its receipt tells that it is
    /// rejected, and why. The letter is kept.
    async fn discard(&self, id: &str, discard: Discard) -> anyhow::Result<DeadLetterChange>;
}

/// What a change of a letter came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterChange {
    /// It is made; this is the letter now.
    Made(Box<DeadLetter>),
    /// There is no such letter, or not any more.
    Missing,
    /// It is not parked, and only what is parked can be changed.
    NotParked(DeadLetterState),
}

/// Why a letter was not put back on the queue.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is gone, or was discarded.
    #[error("it is not among the dead letters any more")]
    Gone,
    /// One before it in its order's line was not sent.
    #[error("one before it in its order's line could not be sent")]
    Behind,
    /// The queue or the store failed. It may be tried again.
    #[error("{0:#}")]
    Unavailable(anyhow::Error),
}

/// Which letters are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadLetterFilter {
    /// Those that stand here; by default those that are not discarded.
    pub state: Option<DeadLetterState>,
    /// Those put aside for this reason.
    pub reason: Option<ParkReason>,
    /// Those of this order.
    pub order_id: Option<OrderId>,
    /// Those put aside at this time or later.
    pub parked_from: Option<Timestamp>,
    /// Those put aside before this time.
    pub parked_before: Option<Timestamp>,
}

impl DeadLetterFilter {
    /// Whether the filter lets the letter through.
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

/// A part of a list of letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadLetterList {
    /// The letters; fewer than asked for, or none, where many had to be looked at that do not pass.
    pub letters: Vec<DeadLetter>,
    /// Where the list goes on, if it does.
    pub next: Option<DeadLetterPosition>,
}

/// The beginning of an order's line of letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParkedSequence {
    /// The letters, in line.
    pub letters: Vec<DeadLetter>,
    /// Whether more letters than these hold the order.
    pub is_longer: bool,
}

/// A place in a list of letters: right behind this letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterPosition {
    /// What the list is ordered by: of a letter that was put aside earlier, it is smaller.
    pub key: String,
}

/// Tells the numbers of the pipeline.
#[async_trait]
pub trait Pipeline: Send + Sync {
    /// The numbers, as of now.
    async fn counters(&self) -> anyhow::Result<PipelineCounters>;
}

/// The numbers of the pipeline. On SQS all of them are approximate: `exact` is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PipelineCounters {
    /// What became of everything that was accepted.
    pub ledger: Ledger,
    /// Messages on the queue that can be received now.
    pub visible: u64,
    /// Messages on the queue that are being handled, or wait after a failure.
    pub in_flight: u64,
    /// Messages on the queue that are not to be received yet.
    pub delayed: u64,
    /// How old the oldest message on the queue is, if that is known and there is one.
    pub oldest: Option<Duration>,
    /// Dead letters that wait for somebody: parked, or on their way back.
    pub dead_letters: u64,
    /// Whether the ledger's counters change in the same commit as what they count. Where they do not, a crash or an answer
    /// that is lost leaves them too low or too high.
    pub exact: bool,
}

impl PipelineCounters {
    /// Messages on the queue.
    pub fn queued(&self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }

    /// Whether what was accepted and did not come to an end is on the queue, by these numbers.
    pub fn balanced(&self) -> bool {
        self.ledger.missing() == i128::from(self.queued())
    }
}
