//! The repairs of a dead letter, which are stored with the dead letter and its original body. Once the repaired event
//! is recorded, its log entry contains the repairs too.

use serde::{Deserialize, Serialize};

use crate::body::MessageBody;
use crate::value::Timestamp;

/// The maximum number of repairs that a dead letter lists. The list keeps the first repair and the latest ones.
pub(crate) const MAX_REPAIRS: usize = 20;

/// One repair: an operator replaced the body of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// When the body was replaced.
    pub at: Timestamp,
    /// Who replaced the body, if requests are authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The repairs of the dead letter from which an event was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// The id of the dead letter.
    pub dead_letter: String,
    /// The repairs of the dead letter, oldest first. Empty if an older version of this program made the repair.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repair>,
    /// The SHA-256 of the original body, in hexadecimal digits.
    pub original_sha256: String,
    /// The original body, unless it is too long for a message attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<MessageBody>,
}

/// Reads the JSON in a message attribute of a replay.
impl std::str::FromStr for Repaired {
    type Err = serde_json::Error;

    fn from_str(json: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}
