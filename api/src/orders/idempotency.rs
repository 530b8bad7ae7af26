//! Idempotency keys: a request that is sent again under the same key takes effect only once. `accept` and `batch` derive
//! the ids of their events here.
//!
//! The ids are derived from the subject, the key and, for an event, the order. So replays get the same ids wherever
//! they are handled. Only a hash of the request is stored, which distinguishes a replay from another request under the
//! same key. A key belongs to its client and to one path: the same text for another order is a different key. In a
//! batch, each position is a separate request under the key.
//!
//! Earlier builds gave position `n` of a batch the ids of a single request with the key `{key} {n}`, so that the two could
//! collide. The ids of single requests have not changed, but a batch that an earlier build accepted is not recognised as a
//! replay: do not repeat a batch across that upgrade.
//!
//! [The Idempotency-Key HTTP Header Field](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)
//! defines the key as a quoted string. Bare keys, which many clients send, are accepted, too.

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
use crate::problem::{Problem, ProblemKind};
use crate::state::{AppState, SharedState};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key, in characters.
const MAX_KEY: usize = 255;

/// The key of a request. `None` if the request has no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(Option<String>);

/// Where the creation of an order is in its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreationPlace {
    /// The request creates one order.
    Single,
    /// The request is a batch, and the order has this position.
    InBatch(usize),
}

/// The ids of an event and its order. With a key, every replay gets the same ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventIdentity {
    pub(crate) order_id: OrderId,
    pub(crate) event_id: EventId,
    /// The hash of the request, if it has a key.
    pub(crate) request_hash: Option<String>,
}

impl IdempotencyKey {
    /// The ids of a new order and its first event. Without a key, the ids are new.
    pub(crate) fn of_creation(
        &self,
        state: &AppState,
        principal: &Principal,
        event: &Event,
        place: CreationPlace,
    ) -> EventIdentity {
        let Some(key) = &self.0 else {
            let (order_id, event_id) = ((state.new_id)().into(), (state.new_id)().into());
            return EventIdentity { order_id, event_id, request_hash: None };
        };
        let (order_id, event_id) = match place {
            CreationPlace::Single => domain::derived_ids::ids_for_key(&principal.subject, key),
            CreationPlace::InBatch(place) => {
                domain::derived_ids::ids_for_item(&principal.subject, key, place)
            }
        };
        EventIdentity { order_id, event_id, request_hash: Some(hash(event, &IfMatch::Absent)) }
    }

    /// The id of an event of the order. Without a key, the id is new.
    pub(crate) fn of_event(
        &self,
        state: &AppState,
        principal: &Principal,
        order_id: OrderId,
        event: &Event,
        if_match: &IfMatch,
    ) -> EventIdentity {
        let Some(key) = &self.0 else {
            return EventIdentity { order_id, event_id: (state.new_id)().into(), request_hash: None };
        };
        let event_id = domain::derived_ids::event_id_for_key(&principal.subject, &order_id, key);
        EventIdentity { order_id, event_id, request_hash: Some(hash(event, if_match)) }
    }
}

/// Hashes the parsed event and the condition, so that the formatting of the JSON does not matter.
fn hash(event: &Event, if_match: &IfMatch) -> String {
    let mut hash = Sha256::new();
    hash.update(event.event_type().as_str());
    hash.update(serde_json::to_vec(event).expect("an event is plain JSON"));
    hash.update(format!("{if_match:?}"));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl FromRequestParts<SharedState> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        match parse(&parts.headers) {
            Ok(None) if state.require_idempotency_key => {
                let detail =
                    "The header Idempotency-Key is required, so that the request can be sent again safely.";
                Err(Problem::new(ProblemKind::IdempotencyKeyRequired, detail))
            }
            Ok(key) => Ok(Self(key)),
            Err(rule) => Err(Problem::invalid_header("Idempotency-Key", rule)),
        }
    }
}

/// The key in the headers, or the rule that it breaks.
fn parse(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("must occur only once");
    }
    let key = value.to_str().ok().and_then(|text| quoted(text).or_else(|| bare(text)));
    match key {
        Some(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key)),
        _ => Err("must be 1–255 visible ASCII characters, quoted or bare"),
    }
}

/// Parses a quoted string as in RFC 9651, section 3.3.3.
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
        let description = "A unique key that you generate for the operation, such as a UUID, quoted or not. A retry with the \
            same key returns the same receipt and has no further effect. A different request with the same key is \
            refused. A key applies to one path and one token subject.";
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
    fn other_keys_are_refused() {
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
