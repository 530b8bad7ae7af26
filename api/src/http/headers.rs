//! Response headers for browsers and caches, and the name of the correlation header. `correlation` adds them to every
//! answer.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The header that carries the correlation id, in requests and in every response.
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const DENY: HeaderValue = HeaderValue::from_static("DENY");
/// The content security policy of pages that have none of their own: Swagger UI. It loads everything from this service, embeds pictures in its
/// style sheet and writes styles into the page. So the policy allows `data:` and `'unsafe-inline'`.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// Adds the headers of every answer for `path`. The headers prevent browsers from sniffing content types, from framing
/// pages and from loading anything from other sites. They also prevent caches from storing orders, unless the handler
/// allows it.
pub(crate) fn protect(path: &str, headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if path.starts_with("/v1") {
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    } else if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
    {
        // Most pages bring a stricter policy.
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(PAGE_POLICY);
        headers.insert(header::REFERRER_POLICY, NO_REFERRER);
        headers.insert(header::X_FRAME_OPTIONS, DENY);
    }
}
