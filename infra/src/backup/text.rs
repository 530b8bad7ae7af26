//! Represents stored bytes in JSON lines so that an operator can read them: JSON as JSON, text as a string, and
//! anything else in base64. All three forms restore the exact bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Bytes: a string if they are UTF-8, and otherwise an object with the member `base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum BytesInJson {
    Text(String),
    Binary(Base64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64 {
    base64: String,
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Base64 { base64: STANDARD.encode(&self.0) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match BytesInJson::deserialize(deserializer)? {
            BytesInJson::Text(text) => text.into_bytes(),
            BytesInJson::Binary(Base64 { base64 }) => STANDARD.decode(base64).map_err(D::Error::custom)?,
        }))
    }
}

/// The bytes as JSON, if they are JSON on one line and decoding restores the same bytes. A value `null` would be
/// restored as an absent value.
pub(super) fn as_json(bytes: &[u8]) -> Option<&RawValue> {
    if bytes.contains(&b'\n') || bytes == b"null" {
        return None;
    }
    let json: &RawValue = serde_json::from_slice(bytes).ok()?;
    (json.get().len() == bytes.len()).then_some(json)
}

/// Writes one line of JSON, with its newline.
///
/// JSON has newlines only between its tokens. serde writes no newlines, and [`as_json`] rejects JSON with newlines.
pub(super) fn to_line(line: &impl Serialize, lines: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *lines, line)?;
    lines.push(b'\n');
    Ok(())
}
