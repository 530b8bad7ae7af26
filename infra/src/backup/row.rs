//! The lines of state segments: rows of a keyspace. Backups write them, and restores read them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::text::{Bytes, as_json, to_line};

/// A row of a keyspace, as stored in the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// The key of the row.
    pub key: Vec<u8>,
    /// The value of the row.
    pub value: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    key: Bytes,
    /// The value, if it is JSON on one line.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    json: Option<&'a RawValue>,
    /// The value, if it is not JSON on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<Bytes>,
}

impl StateRow {
    /// Adds the row to `lines` as one line.
    pub fn encode(&self, lines: &mut Vec<u8>) -> anyhow::Result<()> {
        let json = as_json(&self.value);
        let bytes = json.is_none().then(|| Bytes(self.value.clone()));
        Ok(to_line(&Line { key: Bytes(self.key.clone()), json, bytes }, lines)?)
    }

    /// Decodes a row from a line without its newline.
    pub fn decode(line: &[u8]) -> anyhow::Result<Self> {
        let Line { key, json, bytes } = serde_json::from_slice(line)?;
        let value = match (json, bytes) {
            (Some(json), None) => json.get().as_bytes().to_vec(),
            (None, Some(bytes)) => bytes.0,
            _ => anyhow::bail!("the row needs either `json` or `bytes`"),
        };
        Ok(Self { key: key.0, value })
    }
}
