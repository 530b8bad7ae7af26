//! Reads the answer of a receiver, up to a maximum size. The sender calls this module.

use std::time::{Duration, SystemTime};

use consumer::webhooks::Answer;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The maximum number of bytes of a body that are kept for operators.
const EXCERPT_BYTES: usize = 1024;
/// The maximum number of bytes of a body that are read. A connection can be reused only if the whole body was read.
const MAX_BODY_BYTES: usize = 64 << 10;

/// Reads an answer. If the connection breaks while the body is read, the status still counts.
pub(crate) async fn read(mut response: Response) -> Answer {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), SystemTime::now());
    let (mut excerpt, mut bytes) = (Vec::new(), 0);
    while bytes < MAX_BODY_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes += chunk.len();
        excerpt.extend_from_slice(&chunk[..chunk.len().min(EXCERPT_BYTES - excerpt.len())]);
    }
    let body_excerpt = Some(shown(&excerpt)).filter(|text| !text.is_empty());
    Answer { status, body_excerpt, retry_after }
}

/// Converts bytes to text for logs and terminals. Control characters except newlines and tabs are replaced.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// The delay in `Retry-After`: a number of seconds or a date ([RFC 9110, section
/// 10.2.3](https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3)).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = value.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| httpdate::parse_http_date(value).ok()?.duration_since(now).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        let delay = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, now).map(|delay| delay.as_secs())
        };
        assert_eq!(delay("120"), Some(120));
        assert_eq!(delay("Wed, 21 Oct 2026 07:29:00 GMT"), Some(60));
        assert_eq!(delay("Wed, 21 Oct 2026 07:27:00 GMT"), None);
        assert_eq!((delay("-1"), delay("soon"), delay("")), (None, None, None));
    }

    #[test]
    fn an_excerpt_contains_no_control_characters() {
        assert_eq!(shown(b"no\x1b[2J\r\n\tok \xff"), "no\u{fffd}[2J\u{fffd}\n\tok \u{fffd}");
    }
}
