//! Finds the ids in a message, even if the message cannot be decoded as an event. An operator looks up a dead letter by
//! its order id, and later events of that order are parked after it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::is_array;
use crate::ids::{CorrelationId, EventId, OrderId};

/// The ids that [`identify`] finds in a message. The message need not be a valid event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageIdentity {
    /// The order of the event.
    pub order_id: Option<OrderId>,
    /// The id of the event.
    pub event_id: Option<EventId>,
    /// The `type` of the message, whether the program knows the type or not. Absent if the text is too long for a type.
    pub event_type: Option<String>,
    /// The request that caused the event.
    pub correlation_id: Option<CorrelationId>,
    /// The hash of the request that caused the event, if the request had an idempotency key.
    pub request_hash: Option<String>,
}

/// The maximum length of a type, in characters. A longer text is ignored.
const MAX_TYPE: usize = 64;

/// Finds the ids in a message. In valid JSON, each id is read from its place in an envelope. Other text, such as a
/// truncated envelope, is searched for the names of the ids. An id then counts only if exactly one value has its
/// name, because a choice between several values would be a guess.
pub fn identify(message: &[u8]) -> MessageIdentity {
    if is_array(message) {
        return MessageIdentity::default();
    }
    // Only the members that may contain ids are decoded. The other members of the message may contain anything.
    let Ok(found) = serde_json::from_slice::<IdentityMembers<'_>>(message) else { return scan(message) };
    let data = found.data.map(RawValue::get).filter(|data| !is_array(data.as_bytes()));
    let data = data.and_then(|data| serde_json::from_str::<IdentityData<'_>>(data).ok());
    let texts = [
        ("order_id", data.and_then(|data| data.order_id)),
        ("event_id", found.event_id),
        ("type", found.event_type),
        ("correlation_id", found.correlation_id),
        ("request_hash", found.request_hash),
    ];
    let texts = texts
        .map(|(name, raw)| (name, raw.and_then(|raw| serde_json::from_str::<Cow<'_, str>>(raw.get()).ok())));
    MessageIdentity::of(|member| texts.iter().find(|(name, _)| *name == member)?.1.as_deref())
}

/// The members of an envelope that identify the event.
#[derive(Deserialize)]
struct IdentityMembers<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    event_id: Option<&'a RawValue>,
    #[serde(rename = "type")]
    event_type: Option<&'a RawValue>,
    correlation_id: Option<&'a RawValue>,
    request_hash: Option<&'a RawValue>,
}

/// The members of an envelope's data that identify the event.
#[derive(Deserialize)]
struct IdentityData<'a> {
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
}

impl MessageIdentity {
    /// Parses the ids of a message. `text` returns the text of the member with the given name.
    fn of<'a>(text: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self {
            order_id: text("order_id").and_then(|id| OrderId::parse(id).ok()),
            event_id: text("event_id").and_then(|id| id.parse().ok()),
            event_type: text("type").filter(|kind| kind.chars().count() <= MAX_TYPE).map(str::to_owned),
            correlation_id: text("correlation_id").and_then(|id| CorrelationId::parse(id).ok()),
            request_hash: text("request_hash").map(str::to_owned),
        }
    }
}

fn scan(message: &[u8]) -> MessageIdentity {
    let text = String::from_utf8_lossy(message);
    MessageIdentity::of(|member| only_string(&text, member))
}

/// The only string value of `"name"` in a text that resembles JSON. Escapes are not decoded, because ids never need
/// any.
fn only_string<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    for (at, quoted) in text.match_indices(&format!("\"{name}\"")) {
        let rest = text[at + quoted.len()..].trim_start().strip_prefix(':').map(str::trim_start);
        let Some(value) = rest.and_then(|rest| rest.strip_prefix('"')) else { continue };
        let value = &value[..value.find('"')?];
        match found {
            Some(other) if other != value => return None,
            _ => found = Some(value),
        }
    }
    found
}
