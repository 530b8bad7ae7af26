//! What happened to an accepted event, and the receipt that shows it. The consumer stores outcomes; the API shows receipts.

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::event_kinds::EventType;
use crate::guard::Violation;
use crate::ids::{EventId, OrderId};
use crate::reasons::{ParkReason, RejectReason};

/// What happened to an accepted event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Outcome {
    /// The event is in the order's log.
    Recorded {
        /// The version of the event in the log.
        version: u64,
    },
    /// The rules refused the event, or an operator discarded it.
    Rejected {
        /// The code of the rule.
        reason: RejectReason,
        /// The rule in one sentence.
        detail: String,
        /// The version of the order when the event was judged; 0 if there was no order. `None` for a discarded event, and
        /// in outcomes that older versions of this program stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_version: Option<u64>,
        /// The guard that the event failed, and the numbers that it compared. `None` if another rule refused the event, and in
        /// outcomes that older versions of this program stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        violation: Option<Box<Violation>>,
    },
    /// The event could not be processed and is kept as a dead letter.
    Parked {
        /// The code of the reason.
        reason: ParkReason,
        /// What is wrong, in one sentence.
        detail: String,
    },
}

/// The `state` of a receipt: its [`Outcome`] without details, or `accepted` while the event has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// The event is stored durably and in flight.
    Accepted,
    /// The event is in the order's log.
    Recorded,
    /// The rules refused the event, or an operator discarded it.
    Rejected,
    /// The event is a dead letter.
    Parked,
}

/// What a client can ask about an accepted event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The order of the event.
    pub order_id: OrderId,
    /// The event.
    pub event_id: EventId,
    /// The type of the event.
    pub event_type: EventType,
    /// What happened to the event; `None` while it is in flight.
    pub outcome: Option<Outcome>,
    /// The hash of the request that proposed the event, if it had an idempotency key. Not shown to clients.
    pub request_hash: Option<String>,
    /// The message whose handling led to the outcome, if known. Not shown to clients.
    pub message: Option<String>,
}

impl Receipt {
    /// The receipt of an event with this outcome; `None` while it is in flight.
    pub fn of(envelope: &Envelope, outcome: Option<Outcome>) -> Self {
        Self {
            order_id: envelope.order_id.clone(),
            event_id: envelope.event_id,
            event_type: envelope.event.event_type(),
            outcome,
            request_hash: envelope.request_hash.clone(),
            message: None,
        }
    }

    /// The state to show.
    pub fn state(&self) -> ReceiptState {
        match &self.outcome {
            None => ReceiptState::Accepted,
            Some(Outcome::Recorded { .. }) => ReceiptState::Recorded,
            Some(Outcome::Rejected { .. }) => ReceiptState::Rejected,
            Some(Outcome::Parked { .. }) => ReceiptState::Parked,
        }
    }

    /// The version of the event in the log, if it is recorded.
    pub fn version(&self) -> Option<u64> {
        match &self.outcome {
            Some(Outcome::Recorded { version }) => Some(*version),
            _ => None,
        }
    }

    /// The guard that the event failed, if a guard refused it.
    pub fn violation(&self) -> Option<&Violation> {
        match &self.outcome {
            Some(Outcome::Rejected { violation, .. }) => violation.as_deref(),
            _ => None,
        }
    }

    /// Why the event was not recorded: the code and the sentence.
    pub fn reason(&self) -> Option<(&'static str, &str)> {
        match &self.outcome {
            Some(Outcome::Rejected { reason, detail, .. }) => Some((reason.as_str(), detail)),
            Some(Outcome::Parked { reason, detail }) => Some((reason.as_str(), detail)),
            _ => None,
        }
    }
}
