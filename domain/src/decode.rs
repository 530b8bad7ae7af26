//! Reads the data of events, and describes why a message cannot be read as an event. The envelope, the table of event
//! kinds and the upcasting modules use this module.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::reasons::ParkReason;
use crate::wording;

/// The schema version that this program writes. The program also reads all earlier versions.
pub const SCHEMA_VERSION: u32 = 2;

/// Why a message cannot be read as an event. `Display` describes what is wrong and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message is not JSON, or not an envelope.
    #[error("the message is not an event envelope: {0}")]
    Malformed(String),
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
        /// The rule.
        why: String,
    },
}

impl DecodeError {
    /// The reason code of the dead letter that the message becomes.
    pub fn reason(&self) -> ParkReason {
        match self {
            Self::Malformed(_) => ParkReason::Malformed,
            Self::UnknownType(_) => ParkReason::UnknownType,
            Self::UnknownSchema(_) => ParkReason::UnknownSchema,
            Self::Invalid { .. } => ParkReason::Invalid,
        }
    }

    pub(crate) fn invalid(at: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Invalid { at: at.into(), why: format!("{why}") }
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
            DecodeError::invalid(at, if is_personal { wording::without_value(&why) } else { &why })
        })
    })
}
