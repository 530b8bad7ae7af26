//! Dispositions: what happens to a message after its event was handled. `settle` chooses the disposition. The poll
//! loop, the Lambda handler and the adapters of the ports act on it.

use domain::{Outcome, ParkReason, RejectReason};

/// What happens to a message: whether it is acknowledged or retried, and how the ledger counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Acknowledge the message: its event is in the log with the given version.
    Recorded(u64),
    /// Acknowledge the message: the rules refused its event.
    Rejected(RejectReason, String),
    /// Acknowledge the message: its event was already handled.
    Duplicate,
    /// Acknowledge the message: it came from the dead-letter queue and is archived.
    Archived,
    /// Acknowledge the message: the work that it asked for is done. No outcome is counted, because the
    /// message carried no event.
    Completed,
    /// Do nothing: the message is now a dead letter and has already left the queue.
    Parked(ParkReason, String),
    /// Receive the message again, for the given reason.
    Retry(String),
}

impl Disposition {
    /// Whether the message must be acknowledged.
    pub fn is_acknowledged(&self) -> bool {
        match self {
            Self::Recorded(_) | Self::Rejected(..) | Self::Duplicate | Self::Archived | Self::Completed => {
                true
            }
            Self::Parked(..) | Self::Retry(_) => false,
        }
    }

    /// The name of the disposition in metrics and traces.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "recorded",
            Self::Rejected(..) => "rejected",
            Self::Duplicate => "duplicate",
            Self::Parked(..) => "parked",
            Self::Archived => "archived",
            Self::Completed => "completed",
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
