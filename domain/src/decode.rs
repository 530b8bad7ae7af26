//! Reads the data of events, and describes why a message cannot be read as an event. The envelope, the table of event
//! kinds and the upcasting modules use this module.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

use crate::reasons::ParkReason;
use crate::wording;

/// The schema version that this program writes. The program also reads all earlier versions.
pub const SCHEMA_VERSION: u32 = 2;

/// Why a message cannot be read as an event. `Display` describes what is wrong and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message is not JSON, or not an envelope.
    #[error("the message is not an event envelope: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
        /// The JSON pointer of the invalid member, if the message is JSON.
        pointer: Option<String>,
    },
    /// The `type` is unknown.
    #[error("unknown event type {:?}", wording::shown(.0))]
    UnknownType(String),
    /// The `schema_version` is unknown.
    #[error("unknown schema version {0}: this program reads up to {SCHEMA_VERSION}")]
    UnknownSchema(u32),
    /// The data breaks a rule for events of its type.
    #[error("invalid {at}: {why}")]
    Invalid {
        /// A path to the invalid member of the message, such as `data.items[0].quantity`.
        at: String,
        /// The JSON pointer of that member.
        pointer: String,
        /// The rule.
        why: String,
    },
}

impl DecodeError {
    /// The reason code of the dead letter that the message becomes.
    pub fn reason(&self) -> ParkReason {
        match self {
            Self::Malformed { .. } => ParkReason::Malformed,
            Self::UnknownType(_) => ParkReason::UnknownType,
            Self::UnknownSchema(_) => ParkReason::UnknownSchema,
            Self::Invalid { .. } => ParkReason::Invalid,
        }
    }

    /// The JSON pointer (RFC 6901) of the member that is wrong. If a member is missing, it is the pointer of that member or
    /// of its parent. `None` if the message is not JSON.
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::Malformed { pointer, .. } => pointer.as_deref(),
            Self::UnknownType(_) => Some("/type"),
            Self::UnknownSchema(_) => Some("/schema_version"),
            Self::Invalid { pointer, .. } => Some(pointer),
        }
    }

    pub(crate) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed { why: why.into(), pointer: None }
    }

    /// The data breaks a rule. The names in `at` are those of members that events have, so they contain no dot.
    pub(crate) fn invalid(at: impl Into<String>, why: impl std::fmt::Display) -> Self {
        let at = at.into();
        let pointer = format!("/{}", at.replace(['.', '['], "/").replace(']', ""));
        Self::Invalid { at, pointer, why: format!("{why}") }
    }
}

/// Whether the JSON is an array. Callers refuse arrays, because serde would accept an array for a struct.
pub(crate) fn is_array(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'[')
}

/// Reads `data` as a `T`. If that fails, reads `data` again with a slower reader, which tracks the path of the error.
pub(crate) fn typed<T: DeserializeOwned>(data: &RawValue) -> Result<T, DecodeError> {
    serde_json::from_str(data.get()).or_else(|_| {
        let mut reader = serde_json::Deserializer::from_str(data.get());
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let at = if path == "." { "data".to_owned() } else { format!("data.{}", wording::shown(&path)) };
            // Errors never repeat personal data, because errors are logged and shown to operators.
            let is_personal = ["contact", "notes"].iter().any(|member| path.starts_with(member));
            let why = wording::value_error(error.inner());
            let why = if is_personal { wording::without_value(&why) } else { &why };
            let pointer = format!("/data{}", pointer_of(error.path()));
            DecodeError::Invalid { at, pointer, why: why.to_owned() }
        })
    })
}

/// The JSON pointer of a path. The names in it may be those of a client, so they are truncated.
pub(crate) fn pointer_of(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&wording::shown(key).replace('~', "~0").replace('/', "~1"));
            }
            // A value that is read as one of several types has no name of its own.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}
