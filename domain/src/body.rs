//! The body of a message, as dead letters and repairs store it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The bytes of a body. Its JSON has the member `body` if the bytes are UTF-8, and otherwise the member
/// `body_base64`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct MessageBody(pub Vec<u8>);

impl std::fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[derive(Serialize, Deserialize)]
struct BodyMembers<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl Serialize for MessageBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match std::str::from_utf8(&self.0) {
            Ok(text) => BodyMembers { body: Some(text.into()), body_base64: None },
            Err(_) => BodyMembers { body: None, body_base64: Some(BASE64_STANDARD.encode(&self.0)) },
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MessageBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match BodyMembers::deserialize(deserializer)? {
            BodyMembers { body: Some(text), body_base64: None } => Ok(Self(text.into_owned().into_bytes())),
            BodyMembers { body: None, body_base64: Some(coded) } => {
                BASE64_STANDARD.decode(coded).map(Self).map_err(|error| {
                    de::Error::custom(format!("body_base64 is not base64 (RFC 4648 section 4): {error}"))
                })
            }
            _ => Err(de::Error::custom("exactly one of `body` and `body_base64` must be present")),
        }
    }
}
