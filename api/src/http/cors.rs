//! CORS decides which pages of other origins may call the API from a browser. `lib.rs` adds the layer around the
//! router.

use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::http::headers::CORRELATION_ID;
use crate::http::rate_limit::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// How long a browser may cache a preflight answer.
const MAX_AGE: Duration = Duration::from_secs(600);

/// The origins whose pages may call the API: `*`, or a comma-separated list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigins(Option<Vec<HeaderValue>>);

impl FromStr for CorsOrigins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "*" {
            return Ok(Self(None));
        }
        text.split(',')
            .map(|origin| origin_of(origin.trim()))
            .collect::<Result<_, _>>()
            .map(|all| Self(Some(all)))
    }
}

/// An origin as browsers send it: scheme, host and port, without a path.
fn origin_of(text: &str) -> Result<HeaderValue, String> {
    let error = || format!("{text:?} is not an origin, such as https://shop.example");
    let uri: Uri = text.parse().map_err(|_| error())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(error()) };
    let whole = format!("{scheme}://{authority}");
    let is_lowercase = !text.contains(|c: char| c.is_ascii_uppercase());
    if whole != text || authority.as_str().contains('@') || !is_lowercase {
        return Err(error());
    }
    HeaderValue::from_str(text).map_err(|_| error())
}

impl CorsOrigins {
    /// Answers preflights, and lets pages of these origins read the answers of the API. Credentials are not allowed,
    /// because clients authenticate with a header and never with a cookie.
    pub(crate) fn layer(&self) -> CorsLayer {
        let custom = HeaderName::from_static;
        let origins = match &self.0 {
            None => AllowOrigin::any(),
            Some(origins) => AllowOrigin::list(origins.iter().cloned()),
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([
                header::CONTENT_TYPE,
                header::AUTHORIZATION,
                custom("idempotency-key"),
                header::IF_MATCH,
                header::IF_NONE_MATCH,
                custom("prefer"),
                CORRELATION_ID,
                custom("traceparent"),
                custom("tracestate"),
            ])
            .expose_headers([
                header::LOCATION,
                header::ETAG,
                header::LINK,
                header::RETRY_AFTER,
                CORRELATION_ID,
                custom("idempotent-replayed"),
                custom("preference-applied"),
                RATE_LIMIT,
                RATE_LIMIT_POLICY,
            ])
            .max_age(MAX_AGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_from_text() {
        assert_eq!("*".parse(), Ok(CorsOrigins(None)));
        let two = ["https://shop.example", "http://localhost:3000"].map(HeaderValue::from_static).into();
        assert_eq!("https://shop.example, http://localhost:3000".parse(), Ok(CorsOrigins(Some(two))));
        for text in [
            "",
            "shop.example",
            "https://shop.example/",
            "https://shop.example/path",
            "https://Shop.example",
            "https://u@shop.example",
            "https://a.example,*",
            "https://a.example,,https://b.example",
            "null",
        ] {
            assert!(text.parse::<CorsOrigins>().is_err(), "{text}");
        }
    }
}
