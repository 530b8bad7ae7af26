//! The counts of accepted messages and of what happened to them, which show that no event was lost. The stores update
//! these counts, and the API returns them.

use serde::{Deserialize, Serialize};

/// Counts all accepted messages: `accepted = recorded + rejected + duplicate + parked + in flight`. Messages *in
/// flight* are still on the queue.
///
/// Each message counts once, in its current state. A dead letter that is being redriven does not count as `parked`, and
/// a discarded dead letter counts as `rejected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Messages that the queue accepted.
    pub accepted: u64,
    /// Messages whose event is recorded in the log of an order.
    pub recorded: u64,
    /// Messages whose event the rules refused or an operator discarded.
    pub rejected: u64,
    /// The number of rejected messages that were discarded by an operator.
    #[serde(default)]
    pub discarded: u64,
    /// Messages whose event was already handled.
    pub duplicate: u64,
    /// Dead letters that are not being redriven.
    pub parked: u64,
}

impl Ledger {
    /// The number of messages that are no longer in flight.
    pub fn settled(&self) -> u64 {
        self.recorded + self.rejected + self.duplicate + self.parked
    }

    /// The number of messages that must be in flight if none was lost. The number is negative if more messages were
    /// settled than accepted.
    pub fn missing(&self) -> i128 {
        i128::from(self.accepted) - i128::from(self.settled())
    }
}
