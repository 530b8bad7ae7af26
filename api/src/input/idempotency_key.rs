//! The header `Idempotency-Key`. The handlers that create or propose something take an [`IdempotencyKey`] and derive the ids
//! of their events and resources from it.
//!
//! [The Idempotency-Key HTTP Header Field](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)
//! defines the key as a quoted string. Bare keys, which many clients send, are accepted, too.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::describe::schemas::header_parameter;
use crate::problem::{Problem, ProblemKind};
use crate::state::SharedState;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The maximum length of a key, in characters.
const MAX_KEY: usize = 255;

/// The key of a request. `None` if the request has no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(Option<String>);

impl IdempotencyKey {
    /// The key, if the request has one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
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

/// Reads the key from the headers. If the header is invalid, the error is the rule that it breaks.
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
            same key returns the same receipt or resource and has no further effect. A different request with the same key is \
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
