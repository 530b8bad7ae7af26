//! The counters of the store. The writer changes the counters in the same commit as the data that they count.

use std::sync::{Arc, Mutex, PoisonError};

use domain::Ledger;
use serde::{Deserialize, Serialize};

/// The ledger and the number of dead letters, which are stored as one row of `meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Counters {
    #[serde(flatten)]
    pub(crate) ledger: Ledger,
    /// The number of dead letters that are parked or being redriven.
    pub(crate) letters: u64,
}

/// The counters and the depth of the queue, as of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) counters: Counters,
    pub(crate) queued: u64,
}

/// The totals as of the latest commit, whether that commit is synced or not.
#[derive(Clone, Default)]
pub(crate) struct LatestTotals(Arc<Mutex<Totals>>);

impl LatestTotals {
    pub(crate) fn new(totals: Totals) -> Self {
        Self(Arc::new(Mutex::new(totals)))
    }

    pub(crate) fn get(&self) -> Totals {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, totals: Totals) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = totals;
    }
}
