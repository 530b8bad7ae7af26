//! The numbers that show that nothing was lost.

use serde::{Deserialize, Serialize};

/// What became of the messages that the queue has taken: `accepted = recorded + rejected + duplicate + parked + in
/// flight`, where *in flight* is what is still on the queue.
///
/// Every message counts once, in the place where it is now: one that leaves the dead letters leaves `parked`, and one
/// that an operator discards is `rejected` from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Taken by the queue.
    pub accepted: u64,
    /// In an order's log.
    pub recorded: u64,
    /// Refused by the rules, or discarded.
    pub rejected: u64,
    /// Of those rejected, how many were discarded by an operator.
    #[serde(default)]
    pub discarded: u64,
    /// Of an event that had its outcome already.
    pub duplicate: u64,
    /// In the dead letters, and not on their way back.
    pub parked: u64,
}

impl Ledger {
    /// How many have come to an end, or wait for an operator: all that are not in flight.
    pub fn settled(&self) -> u64 {
        self.recorded + self.rejected + self.duplicate + self.parked
    }

    /// How many must be in flight, if nothing was lost. Negative if more came to an end than were accepted.
    pub fn missing(&self) -> i128 {
        i128::from(self.accepted) - i128::from(self.settled())
    }
}
