//! Content negotiation (RFC 9110, section 12.5.1) for answers that are JSON or a stream of events. The handler of the feed
//! uses [`Representation`].

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

/// The representation of the feed that the client prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Representation {
    /// JSON. It is the default, even for clients that accept neither representation.
    Json,
    /// A stream of events, `text/event-stream`. Only a client that names this type gets it.
    EventStream,
}

impl<S: Sync> FromRequestParts<S> for Representation {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(preferred(&parts.headers))
    }
}

/// The representation to which the client gives the higher quality. If both have the same quality, the result is JSON.
fn preferred(headers: &HeaderMap) -> Representation {
    let (mut stream, mut json, mut any) = (0.0_f32, 0.0_f32, 0.0_f32);
    for value in headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        for range in value.split(',') {
            let (range, quality) = media_range(range);
            match range.as_str() {
                "text/event-stream" => stream = stream.max(quality),
                "application/json" | "application/*" => json = json.max(quality),
                "*/*" => any = any.max(quality),
                _ => {}
            }
        }
    }
    if stream > json && stream >= any { Representation::EventStream } else { Representation::Json }
}

/// Parses a media range. Returns the range in lower case without its parameters, and its quality. An invalid quality
/// counts as 0.
fn media_range(text: &str) -> (String, f32) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let valid = |text: &str| text.parse().ok().filter(|quality| (0.0..=1.0).contains(quality));
    (range, quality.map_or(1.0, |text| valid(text).unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_must_be_named_and_json_wins_a_tie() {
        for (accept, streams) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8", true),
            ("text/event-stream, */*", true),
            ("text/event-stream, application/json;q=0.9", true),
            ("application/json;q=0.5, text/event-stream;q=0.6", true),
            ("text/event-stream;q=0.5, */*", false),
            ("application/json, text/event-stream", false),
            ("application/*, text/event-stream", false),
            ("text/event-stream;q=0", false),
            ("text/event-stream;q=2", false),
            ("text/event-stream;q=x", false),
            ("text/*", false),
            ("*/*", false),
            ("text/html", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(preferred(&headers) == Representation::EventStream, streams, "{accept}");
        }
        assert_eq!(preferred(&HeaderMap::new()), Representation::Json);
    }
}
