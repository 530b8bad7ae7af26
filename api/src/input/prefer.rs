//! The headers `Prefer: wait` and `Prefer: respond-async` (RFC 7240), for handlers that can wait for an outcome. Unknown
//! preferences are ignored, as the RFC requires.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use serde_json::json;
use tokio::time::Instant;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::describe::schemas::header_parameter;
use crate::http::Deadline;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The longest wait, in seconds. It is shorter than the 30 s after which gateways and the server end a request.
const MAX_WAIT: u64 = 25;

/// How long the client wants to wait for an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefer {
    wait_seconds: Option<u64>,
    respond_async: bool,
    deadline: Option<Deadline>,
}

impl Prefer {
    /// Removes the wait, for a client that may not see the outcome.
    pub(crate) fn without_wait(self) -> Self {
        Self { wait_seconds: None, ..self }
    }

    /// The time until which the request may wait for the outcome. `None` means not to wait.
    pub(crate) fn until(&self) -> Option<Instant> {
        let seconds = self.wait_seconds.filter(|seconds| *seconds > 0 && !self.respond_async)?;
        let until = Instant::now() + Duration::from_secs(seconds);
        Some(self.deadline.map_or(until, |deadline| deadline.to_answer().min(until)))
    }

    /// Adds the header `Preference-Applied`, which states the preference that was applied.
    pub(crate) fn add_applied(&self, mut response: Response) -> Response {
        let applied = match (self.wait_seconds, self.respond_async) {
            (_, true) => "respond-async".to_owned(),
            (Some(seconds), false) => format!("wait={seconds}"),
            (None, false) => return response,
        };
        let applied = HeaderValue::try_from(applied).expect("letters and digits are visible ASCII");
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
        response
    }
}

impl<S: Sync> FromRequestParts<S> for Prefer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let (wait_seconds, respond_async) = parse(&parts.headers);
        Ok(Self { wait_seconds, respond_async, deadline: parts.extensions.get().copied() })
    }
}

/// Parses the `Prefer` headers. Returns the seconds of the first `wait`, up to [`MAX_WAIT`], and whether the headers
/// contain `respond-async`. If a preference occurs twice, only the first one counts (RFC 7240, section 2).
fn parse(headers: &HeaderMap) -> (Option<u64>, bool) {
    let (mut wait, mut respond_async) = (None, false);
    for value in headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok()) {
        for preference in split(value, b',') {
            let preference = split(preference, b';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            if name.trim().eq_ignore_ascii_case("respond-async") {
                respond_async = true;
            } else if name.trim().eq_ignore_ascii_case("wait") {
                wait = wait.or(Some(seconds(value.trim())));
            }
        }
    }
    (wait.flatten(), respond_async)
}

/// The value of `wait`, up to [`MAX_WAIT`]. The value may be quoted and may have any number of digits.
fn seconds(value: &str) -> Option<u64> {
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let digits = quoted.unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(MAX_WAIT).min(MAX_WAIT))
}

/// Splits a text at separators outside of quoted strings. A quoted string that does not end extends to the end of the
/// text.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let part = rest?;
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = part.bytes().position(|b| {
            let was_escaped = std::mem::take(&mut is_escaped);
            match b {
                b'\\' if is_quoted && !was_escaped => is_escaped = true,
                b'"' if !was_escaped => is_quoted = !is_quoted,
                _ => {}
            }
            b == separator && !is_quoted
        });
        rest = end.map(|end| &part[end + 1..]);
        Some(end.map_or(part, |end| &part[..end]))
    })
}

impl IntoParams for Prefer {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "`wait=N`: wait for the outcome, up to N seconds (at most 25). `respond-async`: do not wait, \
        which is the default. Other preferences are ignored. `wait` is also ignored if the token does not grant `orders.read`.";
        vec![header_parameter("Prefer", description, json!({ "type": "string" }))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_understood_or_ignored() {
        for (value, expected) in [
            ("wait=10", (Some(10), false)),
            ("Wait = \"10\"; x=1, respond-async", (Some(10), true)),
            ("respond-async", (None, true)),
            ("wait=600", (Some(25), false)),
            ("wait=0", (Some(0), false)),
            ("wait=99999999999999999999", (Some(25), false)),
            ("wait=3, wait=5", (Some(3), false)),
            ("wait=soon, wait=5", (None, false)),
            (r#"foo="a, wait=7""#, (None, false)),
            (r#"foo="a, wait=7"#, (None, false)),
            (r#"foo="a\", wait=7", wait=8"#, (Some(8), false)),
            (r#"foo; bar="; wait=7, respond-async", wait="9""#, (Some(9), false)),
            (r#"wait="1"2"#, (None, false)),
            ("wait", (None, false)),
            ("wait=-1", (None, false)),
            ("wait=soon, return=minimal", (None, false)),
            ("", (None, false)),
        ] {
            let headers = HeaderMap::from_iter([(PREFER, HeaderValue::from_static(value))]);
            assert_eq!(parse(&headers), expected, "{value}");
        }
    }
}
