//! How far a fill is, and what it has written when it is complete.

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

/// How far a fill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillProgress {
    /// What is being done.
    pub step: FillStep,
    /// The position, or the number of rows, that is done.
    pub done: u64,
    /// The position, or the number of rows, at the end.
    pub all: u64,
}

/// Receives the progress of a fill.
pub type ShowFill<'a> = &'a (dyn Fn(FillProgress) + Sync);

/// What a complete fill has written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FillReport {
    /// The position of the latest event.
    pub position: u64,
    /// The number of events that were compared with the source.
    pub events: u64,
    /// The ledger, which agrees with the source's.
    pub ledger: Ledger,
    /// The receipts of refused and parked events.
    pub receipts: u64,
    /// The messages that are on the queue.
    pub queued: u64,
    /// The dead letters, with the discarded ones.
    pub dead_letters: u64,
    /// The messages that SQS does not accept, and that became dead letters.
    pub parked_messages: u64,
    /// The webhook subscriptions.
    pub subscriptions: u64,
    /// The orders with deliveries that were outstanding. They are delivered from the orders' logs.
    pub held_orders: u64,
    /// What has no place on AWS, one sentence for each.
    pub left_out: Vec<String>,
}

/// What no fill can bring along.
pub(super) const ALWAYS_LEFT_OUT: [&str; 3] = [
    "positions and cursors of the feed: AWS has a feed of its own, with other cursors",
    "how often queued messages were received: SQS counts from 0",
    "the index of metadata: AWS has none",
];
