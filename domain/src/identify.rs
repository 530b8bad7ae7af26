//! Whose message is this? Answered for messages that cannot be read as events, too, so that what is put aside can be
//! found by its order, and the order be held.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::envelope::is_array;
use crate::ids::{CorrelationId, EventId, OrderId};

/// What can be told of a message, whether it is an event or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The order it is about.
    pub order_id: Option<OrderId>,
    /// The event it was meant to be.
    pub event_id: Option<EventId>,
    /// Its `type`, known or not, if that is short enough to be one.
    pub event_type: Option<String>,
    /// The request that caused it.
    pub correlation_id: Option<CorrelationId>,
    /// The hash of that request, if it had an idempotency key.
    pub request_hash: Option<String>,
}

/// The longest text that is taken for the name of a type.
const MAX_TYPE: usize = 64;

/// Looks for ids in a message. One that is JSON is looked at where an envelope has them. In one that is not, such as an
/// envelope that was cut off, each counts if it is named just once: two different orders would be a guess.
pub fn identify(message: &[u8]) -> Identity {
    if is_array(message) {
        return Identity::default();
    }
    // Nothing is kept of what is not looked for: a message can hold anything.
    let Ok(found) = serde_json::from_slice::<Members<'_>>(message) else { return scan(message) };
    let data = found.data.map(RawValue::get).filter(|data| !is_array(data.as_bytes()));
    let data = data.and_then(|data| serde_json::from_str::<Data<'_>>(data).ok());
    let texts = [
        ("order_id", data.and_then(|data| data.order_id)),
        ("event_id", found.event_id),
        ("type", found.event_type),
        ("correlation_id", found.correlation_id),
        ("request_hash", found.request_hash),
    ];
    let texts = texts
        .map(|(name, raw)| (name, raw.and_then(|raw| serde_json::from_str::<Cow<'_, str>>(raw.get()).ok())));
    Identity::of(|member| texts.iter().find(|(name, _)| *name == member)?.1.as_deref())
}

/// What is looked for in an envelope.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    event_id: Option<&'a RawValue>,
    #[serde(rename = "type")]
    event_type: Option<&'a RawValue>,
    correlation_id: Option<&'a RawValue>,
    request_hash: Option<&'a RawValue>,
}

/// What is looked for in its data.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
}

impl Identity {
    /// What `text` has for each member of an envelope.
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

fn scan(message: &[u8]) -> Identity {
    let text = String::from_utf8_lossy(message);
    Identity::of(|member| only_string(&text, member))
}

/// The one string that is the value of `"name"` in text that looks like JSON. Escapes are not looked into: no id needs
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
