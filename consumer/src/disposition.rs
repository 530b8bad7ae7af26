//! What happens to a message after its event was handled. `settle` decides it; the poll loop, the Lambda handler and the
//! adapters of the ports act on it.

use domain::{Outcome, ParkReason, RejectReason};

/// What happens to a message: acknowledged or retried, and how the ledger counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Acknowledge it: its event is in the log, as this version.
    Recorded(u64),
    /// Acknowledge it: the rules refused its event.
    Rejected(RejectReason, String),
    /// Acknowledge it: its event was handled before.
    Duplicate,
    /// Acknowledge it: it came by the dead-letter queue and is in the archive.
    Archived,
    /// Leave it alone: it is a dead letter now, and off the queue already.
    Parked(ParkReason, String),
    /// Receive it again, for this reason.
    Retry(String),
}

impl Disposition {
    /// Whether the message has to be acknowledged.
    pub fn is_acknowledged(&self) -> bool {
        match self {
            Self::Recorded(_) | Self::Rejected(..) | Self::Duplicate | Self::Archived => true,
            Self::Parked(..) | Self::Retry(_) => false,
        }
    }

    /// The name in metrics and traces.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "recorded",
            Self::Rejected(..) => "rejected",
            Self::Duplicate => "duplicate",
            Self::Parked(..) => "parked",
            Self::Archived => "archived",
            Self::Retry(_) => "retried",
        }
    }
}

impl From<Outcome> for Disposition {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Recorded { version } => Self::Recorded(version),
            Outcome::Rejected { reason, detail, .. } => Self::Rejected(reason, detail),
            Outcome::Parked { reason, detail } => Self::Parked(reason, detail),
        }
    }
}
