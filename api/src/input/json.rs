//! The extractor of JSON bodies. Every handler with a body takes a [`JsonBody`].

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use domain::wording::json_error;

use crate::http::BodyTimeout;
use crate::input::body::{BodyField, FromJson};
use crate::input::budget::{BodyReadError, MemoryGrant};
use crate::problem::{Problem, ProblemKind};
use crate::state::SharedState;

/// The maximum size of a body, in bytes. A body of this size fits in a queue message. An order of 200 lines
/// with the longest names needs only a fraction of this size.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// A valid JSON body of at most `MAX` bytes, with the memory granted for it. The handler keeps the grant for as long as
/// it uses the value.
#[derive(Debug)]
pub(crate) struct JsonBody<T, const MAX: usize = MAX_BODY>(pub(crate) T, pub(crate) MemoryGrant);

impl<T, const MAX: usize> FromRequest<SharedState> for JsonBody<T, MAX>
where
    T: for<'de> FromJson<'de> + Send + 'static,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "Content-Type must be application/json or end with +json.";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        }
        if is_encoded(request.headers()) {
            return Err(Problem::encoded_body());
        }
        let budget = &state.body_budget;
        let (body, grant) = budget.read(request.into_body(), MAX).await.map_err(|unread| match unread {
            BodyReadError::TooLarge => too_large(MAX),
            BodyReadError::Exhausted => Problem::too_many_bodies(),
            BodyReadError::Broken(late) if BodyTimeout::caused(&late) => Problem::body_too_slow(),
            BodyReadError::Broken(_) => {
                Problem::new(ProblemKind::BadRequest, "The body could not be read to its end.")
            }
        })?;
        let value = budget.work(&grant, move || read(&body)).await?;
        Ok(Self(value, grant))
    }
}

fn too_large(max: usize) -> Problem {
    let detail = format!("The body must not exceed {max} bytes ({} KiB).", max / 1024);
    Problem::new(ProblemKind::ContentTooLarge, detail)
}

/// Parses a body, or returns a problem with all its errors.
fn read<T: for<'de> FromJson<'de>>(body: &[u8]) -> Result<T, Problem> {
    let field: BodyField<T> = serde_json::from_slice(body).map_err(|error| {
        let what = byte_order_mark(body).map_or_else(|| json_error(&error), str::to_owned);
        Problem::new(ProblemKind::InvalidJson, format!("The body is not valid JSON: {what}."))
    })?;
    field.required().map_err(|errors| Problem::of_body(*errors))
}

/// The error of a body that begins with a byte order mark. Some editors and tools write such a mark, which is
/// invisible.
fn byte_order_mark(body: &[u8]) -> Option<&'static str> {
    match body {
        [0xef, 0xbb, 0xbf, ..] => {
            Some("it begins with a byte order mark (BOM), the bytes EF BB BF; send it without one")
        }
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => {
            Some("it begins with the byte order mark (BOM) of UTF-16 or UTF-32; send UTF-8 without one")
        }
        _ => None,
    }
}

/// Whether the body has a content coding, such as compression. No content coding is supported.
fn is_encoded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.into_iter().any(|value| match value.to_str() {
        Ok(codings) => {
            codings.split(',').map(str::trim).any(|it| !it.is_empty() && !it.eq_ignore_ascii_case("identity"))
        }
        Err(_) => true,
    })
}

/// Whether the content type is `application/json` or `application/*+json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return false };
    // Fast path: nearly every client sends exactly `application/json`.
    if value == "application/json" {
        return true;
    }
    let Ok(value) = value.to_str() else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim();
    let Some((main, sub)) = essence.split_once('/') else { return false };
    let json = |suffix: &str| suffix.eq_ignore_ascii_case("json");
    main.eq_ignore_ascii_case("application")
        && (json(sub) || sub.rsplit_once('+').is_some_and(|(name, suffix)| !name.is_empty() && json(suffix)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn json_content_types_are_recognised() {
        let is_json = |value: &'static str| {
            super::is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        for yes in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.shop.v2+json ;v=1"]
        {
            assert!(is_json(yes), "{yes}");
        }
        for no in
            ["", "text/plain", "text/json", "application", "application/xml", "application/+json", "json"]
        {
            assert!(!is_json(no), "{no}");
        }
        assert!(!super::is_json(&HeaderMap::new()));
    }
}
