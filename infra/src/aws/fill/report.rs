//! The progress of a fill, and the report of a complete fill.

use domain::Ledger;
use serde::Serialize;

/// A step of a fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillStep {
    /// Copying events.
    Events,
    /// Writing receipts, dead letters and subscriptions.
    State,
    /// Comparing every event with the source.
    Audit,
    /// Sending the messages of the queue.
    Queue,
}

/// The progress of a fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillProgress {
    /// The step that is under way.
    pub step: FillStep,
    /// The position, or the number of rows, that the step has reached.
    pub done: u64,
    /// The position, or the number of rows, at the end of the step.
    pub all: u64,
}

/// A function that gets the progress of a fill.
pub type ShowFill<'a> = &'a (dyn Fn(FillProgress) + Sync);

/// What a complete fill has written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FillReport {
    /// The position of the latest event.
    pub position: u64,
    /// The number of events that were compared with the source.
    pub events: u64,
    /// The ledger, which agrees with the source's ledger.
    pub ledger: Ledger,
    /// The number of receipts of refused and parked events.
    pub receipts: u64,
    /// The number of messages on the queue.
    pub queued: u64,
    /// The number of dead letters, including discarded ones.
    pub dead_letters: u64,
    /// The number of messages that SQS does not accept, and that became dead letters.
    pub parked_messages: u64,
    /// The number of webhook subscriptions.
    pub subscriptions: u64,
    /// The number of orders with outstanding deliveries. Outstanding events are delivered from the orders' logs.
    pub held_orders: u64,
    /// What cannot be stored on AWS, one sentence for each kind of data.
    pub left_out: Vec<String>,
}

/// The data that no fill can copy.
pub(super) const ALWAYS_LEFT_OUT: [&str; 3] = [
    "positions and cursors of the feed: AWS has a feed of its own, with other cursors",
    "how often queued messages were received: SQS counts from 0",
    "the index of metadata: AWS has none",
];
