//! A client's key-value data on an order, and changes to that data. Events and orders contain these types.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::value::{InvalidValue, check_text};

/// A client's key-value data on an order: at most 20 entries, with keys of 1–40 and values of 0–500 characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// The maximum number of entries.
    pub const MAX_ENTRIES: usize = 20;
    /// The maximum length of a key, in characters.
    pub const MAX_KEY: usize = 40;
    /// The maximum length of a value, in characters.
    pub const MAX_VALUE: usize = 500;

    /// Checks the number of entries, and the lengths of their keys and values.
    pub fn parse(entries: BTreeMap<String, String>) -> Result<Self, InvalidValue> {
        let within = |(key, value): (&String, &String)| {
            check_text("key", key, Self::MAX_KEY).is_ok() && value.chars().count() <= Self::MAX_VALUE
        };
        if entries.len() > Self::MAX_ENTRIES || !entries.iter().all(within) {
            return Err(Self::limits());
        }
        Ok(Self(entries))
    }

    /// The error that states the limits: how many entries are allowed, and how long keys and values may be.
    pub fn limits() -> InvalidValue {
        let (n, k, v) = (Self::MAX_ENTRIES, Self::MAX_KEY, Self::MAX_VALUE);
        let rule = format!("must have at most {n} entries, keys of 1–{k} and values of up to {v} characters");
        InvalidValue::new("metadata", rule)
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, by key.
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(BTreeMap::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A merge patch of [`Metadata`] (RFC 7396): a text sets an entry, and `null` removes the entry. The limits are the
/// same as for [`Metadata`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct MetadataPatch(BTreeMap<String, Option<String>>);

impl MetadataPatch {
    /// Checks the number of entries, and the lengths of their keys and values.
    pub fn parse(entries: BTreeMap<String, Option<String>>) -> Result<Self, InvalidValue> {
        let set = entries.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default()));
        Metadata::parse(set.collect())?;
        Ok(Self(entries))
    }

    /// Whether the patch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The new value of each key; `None` removes the entry.
    pub fn entries(&self) -> &BTreeMap<String, Option<String>> {
        &self.0
    }

    /// The metadata after the patch. It is an error if there would be too many entries.
    pub fn apply(&self, metadata: &Metadata) -> Result<Metadata, InvalidValue> {
        let mut entries = metadata.0.clone();
        for (key, value) in &self.0 {
            match value {
                Some(value) => drop(entries.insert(key.clone(), value.clone())),
                None => drop(entries.remove(key)),
            }
        }
        Metadata::parse(entries)
    }
}

impl<'de> Deserialize<'de> for MetadataPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(BTreeMap::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
