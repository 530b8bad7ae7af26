//! An event with its metadata, in the form in which the queue and the log store it. The API encodes envelopes, and
//! the consumer decodes them.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::decode::{DecodeError, SCHEMA_VERSION, is_array, pointer_of, typed};
use crate::derived_ids::derive_event_id;
use crate::event::Created;
use crate::event_kinds::Event;
use crate::ids::{CorrelationId, EventId, OrderId};
use crate::json::JsonWriter;
use crate::money::Currency;
use crate::upcast_v0::upcast_v0;
use crate::upcast_v1::upcast_v1;
use crate::value::Timestamp;
use crate::wording;

/// An event with its metadata. Its JSON is a superset of a message in schema version 0:
///
/// ```json
/// { "event_id": "0199…", "type": "order_created", "schema_version": 2, "timestamp": "2026-11-23T10:00:00Z",
///   "correlation_id": "…", "data": { "order_id": "…", "customer_id": "…" } }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Identifies the event. The queue and the log drop a second event with the same id.
    pub event_id: EventId,
    /// The order that the event belongs to.
    pub order_id: OrderId,
    /// When the event happened, according to the producer's clock.
    pub timestamp: Timestamp,
    /// The request that caused the event.
    pub correlation_id: CorrelationId,
    /// The version that the order must have when the event is recorded.
    pub expected_version: Option<u64>,
    /// A hash of the request. Two requests with the same idempotency key and different hashes are not retries of each
    /// other.
    pub request_hash: Option<String>,
    /// The principal that proposed the event.
    pub actor: Option<String>,
    /// What happened.
    pub event: Event,
}

/// The members of an envelope, with data that is not decoded yet. Unknown members are ignored, because newer
/// producers may add members.
#[derive(Deserialize)]
struct EnvelopeMembers<'a> {
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

/// The members that the data of every event contains. Consumers of schema version 0 read the timestamp here.
#[derive(Deserialize)]
struct CommonData {
    order_id: OrderId,
    timestamp: Option<Timestamp>,
}

impl Envelope {
    /// Decodes a message, and upcasts older schema versions, so that the rest of the program handles only the current
    /// one. `default_currency` is the currency of orders in schema version 0, whose messages contain none.
    pub fn decode(message: &[u8], default_currency: Currency) -> Result<Self, DecodeError> {
        if is_array(message) {
            return Err(DecodeError::malformed("an array, not an object"));
        }
        let members: EnvelopeMembers<'_> =
            serde_json::from_slice(message).map_err(|error| malformed(message, &error))?;
        if is_array(members.data.get().as_bytes()) {
            return Err(DecodeError::invalid("data", "an array, not an object"));
        }
        let common: CommonData = typed(members.data)?;
        let timestamp = members
            .timestamp
            .or(common.timestamp)
            .ok_or_else(|| DecodeError::malformed("`timestamp` is required"))?;
        let event = match members.schema_version {
            None => upcast_v0(&members.event_type, members.data, default_currency)?,
            Some(1) => upcast_v1(&members.event_type, members.data)?,
            Some(SCHEMA_VERSION) => Event::decode(&members.event_type, members.data)?,
            Some(newer) => return Err(DecodeError::UnknownSchema(newer)),
        };
        let event_id = members
            .event_id
            .unwrap_or_else(|| derive_event_id(&common.order_id, event.event_type(), timestamp));
        Ok(Self {
            event_id,
            order_id: common.order_id,
            timestamp,
            correlation_id: members.correlation_id.unwrap_or_else(|| event_id.as_uuid().into()),
            expected_version: members.expected_version,
            request_hash: members.request_hash,
            actor: members.actor,
            event,
        })
    }

    /// The envelope as JSON, in the current schema version.
    pub fn encode(&self) -> Vec<u8> {
        let mut json = JsonWriter::new();
        json.raw("{");
        self.write_members(&mut json);
        json.raw("}");
        json.into_bytes()
    }

    /// Writes the members of the envelope, without the braces.
    pub(crate) fn write_members(&self, json: &mut JsonWriter) {
        json.raw(r#""event_id":"#);
        json.uuid(self.event_id.as_uuid());
        json.raw(r#","type":"#);
        json.plain(self.event.event_type().as_str());
        json.raw(r#","schema_version":"#);
        json.value(&SCHEMA_VERSION);
        json.raw(r#","timestamp":"#);
        json.time(self.timestamp);
        json.raw(r#","correlation_id":"#);
        json.text(self.correlation_id.as_str());
        json.optional(r#","expected_version":"#, self.expected_version.as_ref());
        json.optional(r#","request_hash":"#, self.request_hash.as_ref());
        json.optional(r#","actor":"#, self.actor.as_ref());
        json.raw(r#","data":{"order_id":"#);
        json.plain(self.order_id.as_str());
        match &self.event {
            // `order_created` is the most frequent and the largest event, so a faster writer encodes it.
            Event::Created(created) => {
                json.raw(r#","customer_id":"#);
                json.text(created.customer_id.as_str());
                write_created(created, json);
            }
            event => json.members_of(event),
        }
        json.raw("}");
    }

    /// The event's data as a JSON object, without the ids of the order and of its customer. A store that has these ids
    /// beside the data keeps this object, and puts them back when it reads: the encoded data is `order_id`, then
    /// `customer_id` if the event creates its order, then the members of this object.
    pub fn encode_data_without_ids(&self) -> String {
        let mut json = JsonWriter::new();
        match &self.event {
            Event::Created(created) => write_created(created, &mut json),
            event => json.members_of(event),
        }
        let members = String::from_utf8(json.into_bytes()).expect("the writer writes only text");
        format!("{{{}}}", members.strip_prefix(',').unwrap_or_default())
    }

    /// Serializes the members that [`Envelope::write_members`] writes.
    pub(crate) fn serialize_members<S: SerializeStruct>(&self, out: &mut S) -> Result<(), S::Error> {
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
        out.serialize_field("data", &DataMembers { order_id: &self.order_id, event: &self.event })
    }
}

/// Writes the members of the data after the customer. A comma precedes each member.
fn write_created(created: &Created, json: &mut JsonWriter) {
    json.raw(r#","currency":"#);
    json.plain(created.currency.as_str());
    json.raw(r#","items":"#);
    json.lines(created.items.lines());
    json.raw(r#","total":"#);
    json.value(&created.total);
    let metadata = Some(&created.metadata).filter(|metadata| !metadata.is_empty());
    json.optional(r#","metadata":"#, metadata);
    let adjustments = Some(&created.adjustments).filter(|adjustments| !adjustments.is_empty());
    json.optional(r#","adjustments":"#, adjustments);
    json.optional(r#","reference":"#, created.reference.as_ref());
    json.optional(r#","contact":"#, created.contact.as_ref());
    json.optional(r#","notes":"#, created.notes.as_ref());
    json.optional(r#","expires_at":"#, created.expires_at.as_ref());
    json.flag(r#","ship_unpaid":true"#, created.ship_unpaid);
}

/// The error for a message that is not an envelope. Reads the message again to find out which member is wrong.
fn malformed(message: &[u8], error: &serde_json::Error) -> DecodeError {
    let mut reader = serde_json::Deserializer::from_slice(message);
    let found = serde_path_to_error::deserialize::<_, EnvelopeMembers<'_>>(&mut reader).err();
    let found = found.filter(|_| error.is_data());
    let member = found.as_ref().map(|error| error.path().to_string()).filter(|path| path != ".");
    let what = wording::json_error(error);
    DecodeError::Malformed {
        why: match member {
            Some(member) => format!("{}: {what}", wording::shown(&member)),
            None => what,
        },
        pointer: found.map(|error| pointer_of(error.path())),
    }
}

#[derive(Serialize)]
struct DataMembers<'a> {
    order_id: &'a OrderId,
    #[serde(flatten)]
    event: &'a Event,
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Envelope", 9)?;
        self.serialize_members(&mut out)?;
        out.end()
    }
}
