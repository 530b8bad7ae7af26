//! Why an event was not recorded: the codes in outcomes, receipts and dead letters.

use serde::{Deserialize, Serialize};

/// Which rule rejected an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The event failed a guard.
    IllegalTransition,
    /// The order is not at the version that the event expects.
    VersionMismatch,
    /// An operator discarded the event's dead letter; the detail is the operator's reason.
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

/// Why a message was parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// The message is not JSON, or not an envelope.
    Malformed,
    /// The `type` of the event is unknown.
    UnknownType,
    /// The `schema_version` is newer than this program.
    UnknownSchema,
    /// The data of the event breaks a rule of its type.
    Invalid,
    /// The message was received as often as the queue allows, and failed each time.
    TriesExhausted,
    /// The message follows a parked event of its order.
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

    /// The inverse of [`ParkReason::as_str`].
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
