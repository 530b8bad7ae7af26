//! Who repaired a dead letter, and what it was before. [`DeadLetter`] keeps the first while it is one, and the event that a
//! repaired letter became keeps both for good.
//!
//! [`DeadLetter`]: crate::DeadLetter

use serde::{Deserialize, Serialize};

use crate::dead_letter::Body;
use crate::value::Timestamp;

/// The most repairs that a letter lists: the first one and the latest ones.
pub(crate) const MAX_REPAIRS: usize = 20;

/// Who replaced the body of a dead letter, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// When.
    pub at: Timestamp,
    /// Who, if requests are authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// That a recorded event was a dead letter whose body was replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// The dead letter's id.
    pub dead_letter: String,
    /// Who replaced its body, and when, in that order. Empty if an older version of this program did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repair>,
    /// The SHA-256 of the body that was sent first, in hexadecimal digits.
    pub original_sha256: String,
    /// The body that was sent first, unless it is too long to go along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Body>,
}

/// From its JSON, as a replayed message has it in an attribute.
impl std::str::FromStr for Repaired {
    type Err = serde_json::Error;

    fn from_str(json: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}
