//! An entry of an order's log: an event with its version. The consumer appends the entries, and readers fold them.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::decode::DecodeError;
use crate::envelope::Envelope;
use crate::json::JsonWriter;
use crate::money::Currency;
use crate::repair::Repaired;
use crate::value::Timestamp;
use crate::wording;

/// An event in an order's log. Its JSON contains `version`, `recorded_at`, `repaired` if the event was repaired, and
/// then the members of the envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The version of the order after this event. The first version is 1.
    pub version: u64,
    /// When the event was recorded, according to the consumer's clock.
    pub recorded_at: Timestamp,
    /// The repairs of the dead letter that contained the event, if it was repaired.
    pub repaired: Option<Box<Repaired>>,
    /// The event.
    pub envelope: Envelope,
}

impl RecordedEvent {
    /// Reads a log entry, and upcasts an entry of an older schema version.
    pub fn decode(entry: &[u8], default_currency: Currency) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct EntryMembers {
            version: u64,
            recorded_at: Timestamp,
            repaired: Option<Box<Repaired>>,
        }
        let EntryMembers { version, recorded_at, repaired } = serde_json::from_slice(entry)
            .map_err(|error| DecodeError::malformed(wording::json_error(&error)))?;
        Ok(Self { version, recorded_at, repaired, envelope: Envelope::decode(entry, default_currency)? })
    }

    /// Removes the parts of the event that a reader must not see. `operates` states whether the reader is an operator.
    pub fn conceal(&mut self, operates: bool) {
        if let Some(repaired) = self.repaired.as_mut().filter(|_| !operates) {
            // The original body of the repaired dead letter may contain anything, including data of other customers.
            repaired.original = None;
        }
        // The request hash is removed, because a reader could use it to test guesses about what a client sent.
        self.envelope.request_hash = None;
    }

    /// The log entry as JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut json = JsonWriter::new();
        json.raw(r#"{"version":"#);
        json.value(&self.version);
        json.raw(r#","recorded_at":"#);
        json.time(self.recorded_at);
        json.optional(r#","repaired":"#, self.repaired.as_ref());
        json.raw(",");
        self.envelope.write_members(&mut json);
        json.raw("}");
        json.into_bytes()
    }
}

impl Serialize for RecordedEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("RecordedEvent", 12)?;
        out.serialize_field("version", &self.version)?;
        out.serialize_field("recorded_at", &self.recorded_at)?;
        if let Some(repaired) = &self.repaired {
            out.serialize_field("repaired", repaired)?;
        }
        self.envelope.serialize_members(&mut out)?;
        out.end()
    }
}
