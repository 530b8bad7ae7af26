//! Idempotency keys: a request that is sent again under the same key happens once.
//!
//! The ids of what a request causes are derived from who asks, the key and, for an event, the order. So repetitions
//! converge by themselves, wherever and whenever they are handled; nothing is stored for it but a hash of the request,
//! which tells a repetition from another request under the same key. A key is the client's own, and is used for one
//! address: the same key for another order is another key. In a batch each place is a request of its own under the key.
//!
//! Earlier builds gave place `n` of a batch the ids of a single request with the key `{key} {n}`, so that the two met. The
//! ids of single requests have not changed; but a batch that an earlier build accepted is not recognised when it is sent
//! again: do not repeat a batch across that upgrade.
//!
//! [The Idempotency-Key HTTP Header Field](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)
//! has the key as a quoted string; bare keys, as many clients send them, are understood as well.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use domain::{Event, EventId, OrderId};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::auth::Principal;
use crate::describe::schemas::header_parameter;
use crate::input::IfMatch;
use crate::problem::{Kind, Problem};
use crate::state::{AppState, Shared};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key, in characters.
const MAX_KEY: usize = 255;

/// The key of a request, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(Option<String>);

/// What a creation is a request of its own under the key of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A request for one order.
    Single,
    /// A batch, in which it has this place.
    InBatch(usize),
}

/// What a request with a key causes: always the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) order_id: OrderId,
    pub(crate) event_id: EventId,
    /// Of a request with a key: what the request asks for.
    pub(crate) request_hash: Option<String>,
}

impl IdempotencyKey {
    /// The ids of the order to create and its first event. Without a key, they are new.
    pub(crate) fn of_creation(
        &self,
        state: &AppState,
        principal: &Principal,
        event: &Event,
        place: Place,
    ) -> Identity {
        let Some(key) = &self.0 else {
            let (order_id, event_id) = ((state.new_id)().into(), (state.new_id)().into());
            return Identity { order_id, event_id, request_hash: None };
        };
        let (order_id, event_id) = match place {
            Place::Single => domain::ids::ids_for_key(&principal.subject, key),
            Place::InBatch(place) => domain::ids::ids_for_item(&principal.subject, key, place),
        };
        Identity { order_id, event_id, request_hash: Some(hash(event, &IfMatch::Absent)) }
    }

    /// The id of an event of the order. Without a key, it is new.
    pub(crate) fn of_event(
        &self,
        state: &AppState,
        principal: &Principal,
        order_id: OrderId,
        event: &Event,
        if_match: &IfMatch,
    ) -> Identity {
        let Some(key) = &self.0 else {
            return Identity { order_id, event_id: (state.new_id)().into(), request_hash: None };
        };
        let event_id = domain::ids::event_id_for_key(&principal.subject, &order_id, key);
        Identity { order_id, event_id, request_hash: Some(hash(event, if_match)) }
    }
}

/// What the request asks for, whatever its spelling: the event as it was understood, and what it insists on.
fn hash(event: &Event, if_match: &IfMatch) -> String {
    let mut hash = Sha256::new();
    hash.update(event.event_type().as_str());
    hash.update(serde_json::to_vec(event).expect("an event is plain JSON"));
    hash.update(format!("{if_match:?}"));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl FromRequestParts<Shared> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        match parse(&parts.headers) {
            Ok(None) if state.require_idempotency_key => {
                let detail = "This needs the header Idempotency-Key, so that it can be sent again safely.";
                Err(Problem::new(Kind::IdempotencyKeyRequired, detail))
            }
            Ok(key) => Ok(Self(key)),
            Err(rule) => Err(Problem::invalid_header("Idempotency-Key", rule)),
        }
    }
}

/// The key in the headers, or the rule it breaks.
fn parse(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("must be there only once");
    }
    let key = value.to_str().ok().and_then(|text| quoted(text).or_else(|| bare(text)));
    match key {
        Some(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key)),
        _ => Err("must be a quoted string, or bare, of 1–255 visible ASCII characters"),
    }
}

/// A string of RFC 9651, section 3.3.3.
fn quoted(text: &str) -> Option<String> {
    let inner = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut key = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        key.push(match character {
            '\\' => characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?,
            '"' => return None,
            ' '..='~' => character,
            _ => return None,
        });
    }
    Some(key)
}

fn bare(text: &str) -> Option<String> {
    let visible = |b: u8| b.is_ascii_graphic() && b != b'"';
    text.bytes().all(visible).then(|| text.to_owned())
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "A key of the client's own, for instance a UUID, quoted or bare. The same request sent again under the same key \
            happens once, and is answered with the same receipt. Another request under it is refused. A key is used for \
            one address.";
        vec![header_parameter(
            "Idempotency-Key",
            description,
            json!({ "type": "string", "minLength": 1, "maxLength": 512 }),
        )]
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn key(value: &str) -> Result<Option<String>, &'static str> {
        parse(&HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap())]))
    }

    #[test]
    fn a_key_is_quoted_or_bare() {
        for (value, expected) in [
            ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"with \\\"quotes\\\" and \\\\\"", "with \"quotes\" and \\"),
            (" \"a\" ", "a"),
        ] {
            assert_eq!(key(value), Ok(Some(expected.to_owned())), "{value}");
        }
        let longest = "k".repeat(MAX_KEY);
        assert_eq!(key(&longest), Ok(Some(longest.clone())));
        assert_eq!(parse(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn anything_else_is_no_key() {
        let too_long = "k".repeat(MAX_KEY + 1);
        for value in ["", "\"\"", "\"a", "a\"", "\"a\"b\"", "\"a\\b\"", "\"a\"; p=1", "a b", "é", &too_long]
        {
            assert!(key(value).is_err(), "{value}");
        }
        let mut twice = HeaderMap::new();
        for _ in 0..2 {
            twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        }
        assert!(parse(&twice).is_err());
    }
}
