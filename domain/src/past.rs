//! An order as it was: its log, folded up to a version or a time.

use crate::envelope::RecordedEvent;
use crate::order::{FoldError, Order};
use crate::value::Timestamp;

/// A moment of an order's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// Right after the event with this version.
    Version(u64),
    /// With what was recorded by this time: as of the last version that was recorded then or earlier.
    ///
    /// Where a clock was set back, a version may have been recorded earlier than the one before it. Whoever sees the
    /// later version sees all before it, so the log is always folded to its end.
    Time(Timestamp),
}

/// Folds a log up to a moment, event by event, so that it need not be in memory as a whole.
#[derive(Debug)]
pub struct Past {
    as_of: AsOf,
    /// The order after all events so far.
    folded: Option<Order>,
    /// The order as of the moment, if the latest event is not part of it.
    reached: Option<Order>,
    /// Whether the latest event is part of it.
    is_part: bool,
}

impl Past {
    /// Nothing is folded yet.
    pub fn new(as_of: AsOf) -> Self {
        Self { as_of, folded: None, reached: None, is_part: false }
    }

    /// The version of the latest event that was folded: the next one to fold is the one after it. 0 if there is none.
    pub fn version(&self) -> u64 {
        self.folded.as_ref().map_or(0, |order| order.version)
    }

    /// Whether no later event can matter.
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

    /// The order as it was, given its whole log or all of it that matters. `None` if it did not exist then, or has not come
    /// that far.
    pub fn order(self) -> Option<Order> {
        let order = if self.is_part { self.folded } else { self.reached };
        order.filter(|order| match self.as_of {
            AsOf::Version(version) => order.version == version,
            AsOf::Time(_) => true,
        })
    }
}
