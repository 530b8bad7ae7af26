//! The running hash over the recorded events of a folder. A manifest contains the hash, so that two folders, or a
//! folder and a backup, can be compared without comparing their events.

use ring::digest::{Context, SHA256};

use super::record::EventRecord;
use super::segment::{hex, unhex};

/// The hash over all events up to one position: SHA-256 of the previous hash, the position, the version, the length of
/// the order id, the order id, and the log entry. The hash of no events is 32 zero bytes. Receipts, times and lost
/// positions are not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunningHash([u8; 32]);

impl RunningHash {
    /// Adds the next event.
    pub fn add(&mut self, event: &EventRecord) {
        let order_id = event.order_id.as_str();
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        context.update(&event.position.to_be_bytes());
        context.update(&event.version.to_be_bytes());
        context.update(&(order_id.len() as u64).to_be_bytes());
        context.update(order_id.as_bytes());
        context.update(&event.entry);
        self.0.copy_from_slice(context.finish().as_ref());
    }
}

impl std::fmt::Display for RunningHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl serde::Serialize for RunningHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for RunningHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes =
            unhex(&text).ok_or_else(|| serde::de::Error::custom("a hash has 64 lower-case hex digits"))?;
        Ok(Self(bytes))
    }
}
