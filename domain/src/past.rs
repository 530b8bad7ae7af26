//! An order in an earlier state: its log, folded up to a version or a time. The code that reads orders for the API
//! calls this module.

use crate::fold::FoldError;
use crate::order::Order;
use crate::recorded::RecordedEvent;
use crate::value::Timestamp;

/// The moment in the history of an order at which a reader wants to see the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// The state right after the event with the given version.
    Version(u64),
    /// The state right after the last version that was recorded at the given time or earlier.
    ///
    /// If a clock was set back, a version may have an earlier time than its predecessor. So the log is always
    /// folded to its end: a version with a later time does not end the search.
    Time(Timestamp),
}

/// Folds a log up to a moment, event by event, so that the whole log need not be in memory.
#[derive(Debug)]
pub struct Past {
    as_of: AsOf,
    /// The order after all events that were folded so far.
    folded: Option<Order>,
    /// A copy of the order as it was before the events after the requested moment.
    reached: Option<Order>,
    /// Whether the event that was folded last happened at the requested moment or before.
    is_part: bool,
}

impl Past {
    /// Starts with an empty log, for the given moment.
    pub fn new(as_of: AsOf) -> Self {
        Self { as_of, folded: None, reached: None, is_part: false }
    }

    /// The version of the event that was folded last, or 0 if there is none.
    pub fn version(&self) -> u64 {
        self.folded.as_ref().map_or(0, |order| order.version)
    }

    /// Whether the requested version is reached, so that later events of the log need not be folded.
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

    /// The order at the requested moment, after the whole log was folded. `None` if the order did not exist then, or if
    /// it does not have the requested version.
    pub fn order(self) -> Option<Order> {
        let order = if self.is_part { self.folded } else { self.reached };
        order.filter(|order| match self.as_of {
            AsOf::Version(version) => order.version == version,
            AsOf::Time(_) => true,
        })
    }
}
