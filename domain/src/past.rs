//! An order as it was: its log, folded up to a version or a time. The readers behind the API call it.

use crate::fold::FoldError;
use crate::order::Order;
use crate::recorded::RecordedEvent;
use crate::value::Timestamp;

/// A moment in the past of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// Right after the event of this version.
    Version(u64),
    /// After the last version that was recorded at this time or earlier.
    ///
    /// If a clock was set back, a version may have an earlier time than its predecessor. A version includes all its
    /// predecessors, so the log is always folded to the end, to find the last such version.
    Time(Timestamp),
}

/// Folds a log up to a moment, event by event, so that the whole log need not be in memory.
#[derive(Debug)]
pub struct Past {
    as_of: AsOf,
    /// The order after all events so far.
    folded: Option<Order>,
    /// The order at the moment, if the latest event came after it.
    reached: Option<Order>,
    /// Whether the latest event came before the moment.
    is_part: bool,
}

impl Past {
    /// Starts with an empty log.
    pub fn new(as_of: AsOf) -> Self {
        Self { as_of, folded: None, reached: None, is_part: false }
    }

    /// The version of the latest folded event; 0 if there is none.
    pub fn version(&self) -> u64 {
        self.folded.as_ref().map_or(0, |order| order.version)
    }

    /// Whether later events cannot change the result.
    pub fn is_complete(&self) -> bool {
        matches!(self.as_of, AsOf::Version(version) if self.version() >= version)
    }

    /// Folds the next event of the log.
    pub fn apply(&mut self, event: &RecordedEvent) -> Result<(), FoldError> {
        let is_part = match self.as_of {
            AsOf::Version(version) => event.version <= version,
            AsOf::Time(time) => event.recorded_at <= time,
        };
        if self.is_part && !is_part {
            self.reached.clone_from(&self.folded);
        }
        self.is_part = is_part;
        self.folded = Some(Order::apply(self.folded.take(), event)?);
        Ok(())
    }

    /// The order as it was, once its log is folded. `None` if the order did not exist then, or has no such version.
    pub fn order(self) -> Option<Order> {
        let order = if self.is_part { self.folded } else { self.reached };
        order.filter(|order| match self.as_of {
            AsOf::Version(version) => order.version == version,
            AsOf::Time(_) => true,
        })
    }
}
