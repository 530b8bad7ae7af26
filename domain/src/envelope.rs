//! An event with its metadata, as it travels on the queue and as it is logged.

use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::upcast_v0;
use crate::event::{Event, EventType};
use crate::ids::{self, CorrelationId, EventId, OrderId};
use crate::json;
use crate::money::Currency;
use crate::outcome::ParkReason;
use crate::repair::Repaired;
use crate::value::Timestamp;
use crate::wording;

/// The schema version this program writes. It reads this one and the article's messages, which state none.
pub const SCHEMA_VERSION: u32 = 1;

/// An event with its metadata. Its JSON is a superset of the article's message:
///
/// ```json
/// { "event_id": "0199…", "type": "order_created", "schema_version": 1, "timestamp": "2026-11-23T10:00:00Z",
///   "correlation_id": "…", "data": { "order_id": "…", "customer_id": "…" } }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Names this event; the queue and the log drop a second one of the same id.
    pub event_id: EventId,
    /// The order it is about.
    pub order_id: OrderId,
    /// When it happened, by its producer's clock.
    pub timestamp: Timestamp,
    /// The request that caused it.
    pub correlation_id: CorrelationId,
    /// The version of the order that the producer saw and insists on.
    pub expected_version: Option<u64>,
    /// A hash of the request, to tell a retry from another request under the same idempotency key.
    pub request_hash: Option<String>,
    /// Who asked.
    pub actor: Option<String>,
    /// What happened.
    pub event: Event,
}

/// Why a message is not an event we can process. Its `Display` says what is wrong and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or not an envelope.
    #[error("the message is not an event envelope: {0}")]
    Malformed(String),
    /// A `type` we do not know.
    #[error("unknown event type {:?}", wording::shown(.0))]
    UnknownType(String),
    /// A `schema_version` we do not know.
    #[error("unknown schema version {0}: this program reads up to {SCHEMA_VERSION}")]
    UnknownSchema(u32),
    /// The data breaks a rule of its type.
    #[error("invalid {at}: {why}")]
    Invalid {
        /// Where, as a path into the message, such as `data.items[0].quantity`.
        at: String,
        /// The rule.
        why: String,
    },
}

impl DecodeError {
    /// The error's reason code for the dead letters.
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

/// An envelope before its data is understood. Unknown fields are tolerated: newer producers may add some.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(borrow)]
    data: &'a RawValue,
    timestamp: Option<Timestamp>,
    event_id: Option<EventId>,
    schema_version: Option<u32>,
    correlation_id: Option<CorrelationId>,
    expected_version: Option<u64>,
    request_hash: Option<String>,
    actor: Option<String>,
}

/// What every event's data has, and the time that article consumers look for there.
#[derive(Deserialize)]
struct About {
    order_id: OrderId,
    timestamp: Option<Timestamp>,
}

impl Envelope {
    /// Reads a message. Article producers' messages and older schema versions are upcast here, so nothing else in
    /// the program knows of them. `default_currency` is for article orders, which state none.
    pub fn decode(message: &[u8], default_currency: Currency) -> Result<Self, DecodeError> {
        if is_array(message) {
            return Err(DecodeError::Malformed("an array, not an object".to_owned()));
        }
        let wire: Wire<'_> = serde_json::from_slice(message).map_err(|error| malformed(message, &error))?;
        if is_array(wire.data.get().as_bytes()) {
            return Err(DecodeError::invalid("data", "an array, not an object"));
        }
        let about: About = typed(wire.data)?;
        let timestamp = wire
            .timestamp
            .or(about.timestamp)
            .ok_or_else(|| DecodeError::Malformed("`timestamp` is required".to_owned()))?;
        let event = match wire.schema_version {
            None => upcast_v0::upcast(&wire.event_type, wire.data, default_currency)?,
            Some(SCHEMA_VERSION) => current(&wire.event_type, wire.data)?,
            Some(newer) => return Err(DecodeError::UnknownSchema(newer)),
        };
        let event_id = wire
            .event_id
            .unwrap_or_else(|| ids::derive_event_id(&about.order_id, event.event_type(), timestamp));
        Ok(Self {
            event_id,
            order_id: about.order_id,
            timestamp,
            correlation_id: wire.correlation_id.unwrap_or_else(|| event_id.as_uuid().into()),
            expected_version: wire.expected_version,
            request_hash: wire.request_hash,
            actor: wire.actor,
            event,
        })
    }

    /// The envelope as JSON, in the current schema version.
    pub fn encode(&self) -> Vec<u8> {
        json::of_envelope(self)
    }

    fn write<S: SerializeStruct>(&self, out: &mut S) -> Result<(), S::Error> {
        out.serialize_field("event_id", &self.event_id)?;
        out.serialize_field("type", &self.event.event_type())?;
        out.serialize_field("schema_version", &SCHEMA_VERSION)?;
        out.serialize_field("timestamp", &self.timestamp)?;
        out.serialize_field("correlation_id", &self.correlation_id)?;
        if let Some(expected) = &self.expected_version {
            out.serialize_field("expected_version", expected)?;
        }
        if let Some(hash) = &self.request_hash {
            out.serialize_field("request_hash", hash)?;
        }
        if let Some(actor) = &self.actor {
            out.serialize_field("actor", actor)?;
        }
        out.serialize_field("data", &WireData { order_id: &self.order_id, event: &self.event })
    }
}

/// What is wrong with a message that is no envelope. It is read again, to name the member.
fn malformed(message: &[u8], error: &serde_json::Error) -> DecodeError {
    let mut again = serde_json::Deserializer::from_slice(message);
    let member = serde_path_to_error::deserialize::<_, Wire<'_>>(&mut again).err();
    let member = member.map(|error| error.path().to_string()).filter(|path| path != ".");
    let what = wording::json_error(error);
    DecodeError::Malformed(match member {
        Some(member) if error.is_data() => format!("{}: {what}", wording::shown(&member)),
        _ => what,
    })
}

/// Whether this JSON is an array, from which serde would read a struct too, by the positions of its fields.
pub(crate) fn is_array(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'[')
}

/// Reads the data of an event of the current schema version.
pub(crate) fn current(event_type: &str, data: &RawValue) -> Result<Event, DecodeError> {
    let kind =
        EventType::from_name(event_type).ok_or_else(|| DecodeError::UnknownType(event_type.to_owned()))?;
    Ok(match kind {
        EventType::Created => Event::Created(typed(data)?),
        EventType::Amended => Event::Amended(typed(data)?),
        EventType::Confirmed => Event::Confirmed(typed(data)?),
        EventType::Paid => Event::Paid(typed(data)?),
        EventType::Shipped => Event::Shipped(typed(data)?),
        EventType::Delivered => Event::Delivered(typed(data)?),
        EventType::Cancelled => Event::Cancelled(typed(data)?),
        EventType::Returned => Event::Returned(typed(data)?),
        EventType::Refunded => Event::Refunded(typed(data)?),
    })
}

/// Reads `data` as a `T`; only when that fails is it read again, to say where.
fn typed<T: DeserializeOwned>(data: &RawValue) -> Result<T, DecodeError> {
    serde_json::from_str(data.get()).or_else(|_| {
        let mut again = serde_json::Deserializer::from_str(data.get());
        serde_path_to_error::deserialize(&mut again).map_err(|error| {
            let path = error.path().to_string();
            let at = if path == "." { "data".to_owned() } else { format!("data.{}", wording::shown(&path)) };
            DecodeError::invalid(at, wording::value_error(error.inner()))
        })
    })
}

#[derive(Serialize)]
struct WireData<'a> {
    order_id: &'a OrderId,
    #[serde(flatten)]
    event: &'a Event,
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Envelope", 9)?;
        self.write(&mut out)?;
        out.end()
    }
}

/// An event in an order's log. Its JSON is the envelope's with `version` and `recorded_at` in front, and `repaired` where
/// that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the order's log, from 1.
    pub version: u64,
    /// When it was recorded, by the consumer's clock.
    pub recorded_at: Timestamp,
    /// That it came from a dead letter that was repaired: who did, and what was sent first.
    pub repaired: Option<Box<Repaired>>,
    /// The event.
    pub envelope: Envelope,
}

impl RecordedEvent {
    /// Reads a log entry; older schema versions are upcast.
    pub fn decode(entry: &[u8], default_currency: Currency) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Entry {
            version: u64,
            recorded_at: Timestamp,
            repaired: Option<Box<Repaired>>,
        }
        let Entry { version, recorded_at, repaired } = serde_json::from_slice(entry)
            .map_err(|error| DecodeError::Malformed(wording::json_error(&error)))?;
        Ok(Self { version, recorded_at, repaired, envelope: Envelope::decode(entry, default_currency)? })
    }

    /// The log entry as JSON.
    pub fn encode(&self) -> Vec<u8> {
        json::of_recorded(self)
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
        self.envelope.write(&mut out)?;
        out.end()
    }
}
