//! What became of an accepted event, and the receipt that tells it.

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::event::EventType;
use crate::ids::{EventId, OrderId};

/// The final outcome of an accepted event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Outcome {
    /// It is in the order's log.
    Recorded {
        /// As this version.
        version: u64,
    },
    /// The rules said no.
    Rejected {
        /// Which rule.
        reason: RejectReason,
        /// In a sentence.
        detail: String,
        /// The version of the order that it was judged against; 0 if there was no order. `None` if that is not known: an
        /// operator discarded it, or it was stored before this was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_version: Option<u64>,
    },
    /// It could not be processed and is kept in the dead letters.
    Parked {
        /// Why.
        reason: ParkReason,
        /// In a sentence.
        detail: String,
    },
}

/// Which rule rejected an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The state machine has no such transition.
    IllegalTransition,
    /// The order is not at the version the event expects.
    VersionMismatch,
    /// It was in the dead letters, and an operator decided that it is not to happen; the detail is their reason.
    Discarded,
}

impl RejectReason {
    /// The reason as receipts write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IllegalTransition => "illegal_transition",
            Self::VersionMismatch => "version_mismatch",
            Self::Discarded => "discarded",
        }
    }
}

/// Why a message was put aside into the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// It is not JSON, or not an envelope.
    Malformed,
    /// Its `type` is not one we know.
    UnknownType,
    /// Its `schema_version` is newer than this program.
    UnknownSchema,
    /// Its data breaks a rule of its type.
    Invalid,
    /// It was received as often as the queue allows, and failed every time.
    TriesExhausted,
    /// An earlier event of its order is in the dead letters.
    BehindParked,
}

impl ParkReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Malformed,
        Self::UnknownType,
        Self::UnknownSchema,
        Self::Invalid,
        Self::TriesExhausted,
        Self::BehindParked,
    ];

    /// The reason that [`ParkReason::as_str`] writes like this.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// The reason as receipts and dead letters write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownType => "unknown_type",
            Self::UnknownSchema => "unknown_schema",
            Self::Invalid => "invalid",
            Self::TriesExhausted => "tries_exhausted",
            Self::BehindParked => "behind_parked",
        }
    }
}

/// Where an accepted event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// Durably on the queue.
    Accepted,
    /// In the order's log.
    Recorded,
    /// The rules said no.
    Rejected,
    /// In the dead letters.
    Parked,
}

/// What a client holds for an accepted event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The order the event is about.
    pub order_id: OrderId,
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// Its outcome; `None` while it waits on the queue.
    pub outcome: Option<Outcome>,
    /// The hash of the request that proposed it, if that had an idempotency key. Not for clients.
    pub request_hash: Option<String>,
    /// The message that brought the event to its outcome, if that is known. Not for clients.
    pub message: Option<String>,
}

impl Receipt {
    /// The receipt of an event that came to `outcome`; `None` while it waits.
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

    /// Where the event stands.
    pub fn state(&self) -> ReceiptState {
        match &self.outcome {
            None => ReceiptState::Accepted,
            Some(Outcome::Recorded { .. }) => ReceiptState::Recorded,
            Some(Outcome::Rejected { .. }) => ReceiptState::Rejected,
            Some(Outcome::Parked { .. }) => ReceiptState::Parked,
        }
    }

    /// The version it was recorded as.
    pub fn version(&self) -> Option<u64> {
        match &self.outcome {
            Some(Outcome::Recorded { version }) => Some(*version),
            _ => None,
        }
    }

    /// Why it was not recorded: the code and the sentence.
    pub fn reason(&self) -> Option<(&'static str, &str)> {
        match &self.outcome {
            Some(Outcome::Rejected { reason, detail, .. }) => Some((reason.as_str(), detail)),
            Some(Outcome::Parked { reason, detail }) => Some((reason.as_str(), detail)),
            _ => None,
        }
    }
}
