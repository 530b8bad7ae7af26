//! The extractor of JSON bodies.

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::body::{Content, Field};
use crate::problem::{Kind, Problem};
use crate::serve::body::BodyTimeout;

/// The largest body: 200 lines of the longest names fit it several times over, and a queue message holds it.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// A JSON body of at most `MAX` bytes, read and found to be without fault.
#[derive(Debug)]
pub(crate) struct JsonBody<T, const MAX: usize = MAX_BODY>(pub(crate) T);

impl<S: Sync, T: for<'de> Content<'de>, const MAX: usize> FromRequest<S> for JsonBody<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "Content-Type must be application/json, or end with +json.";
            return Err(Problem::new(Kind::UnsupportedMediaType, detail));
        }
        if request.body().size_hint().lower() > MAX as u64 {
            return Err(too_large(MAX));
        }
        let body = Limited::new(request.into_body(), MAX).collect().await.map_err(|error| match error {
            long if long.is::<LengthLimitError>() => too_large(MAX),
            late if BodyTimeout::caused(late.as_ref()) => Problem::body_too_slow(),
            _ => Problem::new(Kind::BadRequest, "The body could not be read to its end."),
        })?;
        read(&body.to_bytes()).map(Self)
    }
}

fn too_large(most: usize) -> Problem {
    let detail = format!("The body must not exceed {most} bytes ({} KiB).", most / 1024);
    Problem::new(Kind::ContentTooLarge, detail)
}

/// Reads a body, or tells everything that is wrong with it.
fn read<T: for<'de> Content<'de>>(body: &[u8]) -> Result<T, Problem> {
    let field: Field<T> = serde_json::from_slice(body)
        .map_err(|error| Problem::new(Kind::InvalidJson, format!("The body is not valid JSON: {error}.")))?;
    field.required().map_err(|errors| Problem::of_body(&errors))
}

/// Whether the content type is `application/json` or `application/*+json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
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
    fn json_is_told_by_its_content_type() {
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
