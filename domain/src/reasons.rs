//! The reasons why an event was not recorded, as codes in outcomes, receipts and dead letters.

use serde::{Deserialize, Serialize};

/// Which rule rejected an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The event failed a guard.
    IllegalTransition,
    /// The order is not at the version that the event expects.
    VersionMismatch,
    /// An operator discarded the event's dead letter. The detail is the reason that the operator gave.
    Discarded,
}

impl RejectReason {
    /// The code of the reason in receipts.
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
    /// This program does not support the `schema_version` of the event, which is too new.
    UnknownSchema,
    /// The data of the event breaks a rule for events of its type.
    Invalid,
    /// The message was received as often as the queue allows, and handling failed each time.
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

    /// The reason whose code [`ParkReason::as_str`] returns is `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// The code of the reason in receipts and dead letters.
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
