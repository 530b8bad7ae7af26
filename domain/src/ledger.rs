//! The counts that show that no event was lost. The stores keep them, and the API shows them.

use serde::{Deserialize, Serialize};

/// Counts all accepted messages: `accepted = recorded + rejected + duplicate + parked + in flight`, where *in flight* are those
/// still on the queue.
///
/// Each message counts once, by its present state: a dead letter that is redriven no longer counts as `parked`, and one that
/// is discarded counts as `rejected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Accepted by the queue.
    pub accepted: u64,
    /// Recorded in the log of an order.
    pub recorded: u64,
    /// Refused by the rules, or discarded.
    pub rejected: u64,
    /// How many of the rejected messages an operator discarded.
    #[serde(default)]
    pub discarded: u64,
    /// Messages with an event that was handled before.
    pub duplicate: u64,
    /// Kept as dead letters, and not being redriven.
    pub parked: u64,
}

impl Ledger {
    /// How many messages are not in flight.
    pub fn settled(&self) -> u64 {
        self.recorded + self.rejected + self.duplicate + self.parked
    }

    /// How many messages must be in flight if none was lost. Negative if more are settled than were accepted.
    pub fn missing(&self) -> i128 {
        i128::from(self.accepted) - i128::from(self.settled())
    }
}
