//! Whose message is this? Answered for messages that cannot be read as events, too, so that what is put aside can be
//! found by its order, and the order be held.

use serde_json::Value;

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
    let Ok(json) = serde_json::from_slice::<Value>(message) else { return scan(message) };
    Identity::of(|member| {
        let pointer = if member == "order_id" { "/data/order_id" } else { &format!("/{member}") };
        json.pointer(pointer).and_then(Value::as_str)
    })
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
