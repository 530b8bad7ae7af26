//! What happened to an accepted event, and the receipt that reports it. The consumer stores outcomes, and the API
//! returns receipts.

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
        /// Describes the rule in one sentence.
        detail: String,
        /// The version of the order when the event was judged, or 0 if there was no order. `None` for a discarded
        /// event, and in outcomes that older versions of this program stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_version: Option<u64>,
        /// The guard that the event failed, and the numbers that the guard compared. `None` if another rule refused the
        /// event, and in outcomes that older versions of this program stored.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        violation: Option<Box<Violation>>,
    },
    /// The event could not be processed and is kept as a dead letter.
    Parked {
        /// The code of the reason.
        reason: ParkReason,
        /// Describes what is wrong, in one sentence.
        detail: String,
    },
}

/// The `state` of a receipt: the [`Outcome`] without details, or `accepted` while the event has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// The event is stored durably, and is in flight.
    Accepted,
    /// The event is in the order's log.
    Recorded,
    /// The rules refused the event, or an operator discarded it.
    Rejected,
    /// The event is a dead letter.
    Parked,
}

/// The information about an accepted event that a client can request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The order of the event.
    pub order_id: OrderId,
    /// The id of the event.
    pub event_id: EventId,
    /// The type of the event.
    pub event_type: EventType,
    /// What happened to the event, or `None` while the event is in flight.
    pub outcome: Option<Outcome>,
    /// The hash of the request that proposed the event, if the request had an idempotency key. Clients do not see this
    /// hash.
    pub request_hash: Option<String>,
    /// The id of the message that was handled with the outcome, if known. Clients do not see this id.
    pub message: Option<String>,
}

impl Receipt {
    /// The receipt of an event. `outcome` is `None` while the event is in flight.
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

    /// The state that the receipt shows.
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

    /// Why the event was not recorded: the code of the reason, and the sentence that describes it.
    pub fn reason(&self) -> Option<(&'static str, &str)> {
        match &self.outcome {
            Some(Outcome::Rejected { reason, detail, .. }) => Some((reason.as_str(), detail)),
            Some(Outcome::Parked { reason, detail }) => Some((reason.as_str(), detail)),
            _ => None,
        }
    }
}
