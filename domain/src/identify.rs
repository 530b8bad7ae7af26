//! Finds the ids in a message, even if it cannot be decoded as an event. Dead letters need them: an operator finds a dead letter
//! by its order, and later events of the order are parked after it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::is_array;
use crate::ids::{CorrelationId, EventId, OrderId};

/// The ids found in a message, which may not be an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageIdentity {
    /// The order of the event.
    pub order_id: Option<OrderId>,
    /// The event.
    pub event_id: Option<EventId>,
    /// The `type`, whether known or not, unless it is too long for one.
    pub event_type: Option<String>,
    /// The request that caused the event.
    pub correlation_id: Option<CorrelationId>,
    /// The hash of that request, if it had an idempotency key.
    pub request_hash: Option<String>,
}

/// The longest text that counts as a type, in characters.
const MAX_TYPE: usize = 64;

/// Finds the ids in a message. In JSON, the ids are read where an envelope has them. In other text, such as a truncated
/// envelope, an id counts only if it is the only value with its name, because choosing between two orders would be a
/// guess.
pub fn identify(message: &[u8]) -> MessageIdentity {
    if is_array(message) {
        return MessageIdentity::default();
    }
    // The message can contain anything, so only the members of interest are read.
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
    /// Parses the ids. `text` returns the text of the member with a given name.
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

/// The only string value of `"name"` in text that resembles JSON. Escapes are not decoded, because no id needs any.
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
