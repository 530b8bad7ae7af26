//! The trace context of a request. The middleware sets it, and adapters that send messages read it with [`current`].
//!
//! The trace context is task-local, as in tracing libraries. If it were a parameter, every handler and port would have
//! to pass it on, although only one adapter uses it. Data that an order depends on must not be passed this way.

use std::future::Future;

use axum::http::{HeaderMap, HeaderName};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const XRAY: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// The maximum length of a `tracestate` or an X-Ray header that is passed on, in bytes. Longer headers are dropped.
const MAX_TRACESTATE: usize = 512;
const MAX_XRAY: usize = 256;
/// The length of `version-traceid-parentid-flags`. A header of version 00 has exactly this length, and a header of a
/// later version begins with these fields.
const PARENT_BYTES: usize = 55;
/// The maximum length of a `traceparent` of a later version, in bytes. The limit ensures that the value fits into a
/// queue message.
const MAX_TRACEPARENT: usize = 256;

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// The place of a request in its caller's traces. Each member is the checked value of a header and is passed on
/// unchanged. The only exception is `traceparent`: if spans are exported, it names our latest span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceContext {
    /// The `traceparent` of W3C Trace Context.
    pub traceparent: Option<String>,
    /// The `tracestate` of W3C Trace Context. It exists only together with a `traceparent`.
    pub tracestate: Option<String>,
    /// The `X-Amzn-Trace-Id` of AWS X-Ray.
    pub xray: Option<String>,
}

/// The trace context of the current request, or `None` if the request has none.
///
/// A publisher must call this function within `publish`, before it passes the event to another task, because spawned
/// tasks do not inherit the context.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Runs `future`. Within it, [`current`] returns `trace`.
pub async fn within<F: Future>(trace: Option<TraceContext>, future: F) -> F::Output {
    match trace {
        Some(trace) => CURRENT.scope(Some(trace), future).await,
        None => future.await,
    }
}

impl TraceContext {
    /// The `traceparent` and the `tracestate`, as names and values of headers or message attributes.
    pub fn w3c(&self) -> impl Iterator<Item = (String, String)> {
        let named = [("traceparent", &self.traceparent), ("tracestate", &self.tracestate)];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
    }

    /// The id of the trace, 32 hexadecimal digits: that of the `traceparent`, or else that of the X-Ray header, whose root
    /// has the same digits
    /// ([X-Ray](https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids)).
    pub fn trace_id(&self) -> Option<String> {
        if let Some(traceparent) = &self.traceparent {
            return traceparent.split('-').nth(1).map(str::to_owned);
        }
        let root = self.xray.as_ref()?.split(';').find_map(|field| field.strip_prefix("Root=1-"))?;
        root.split_once('-').map(|(time, unique)| format!("{time}{unique}"))
    }

    /// Reads the valid trace headers of a request. Invalid headers are ignored, because an order with an invalid trace
    /// header must still be accepted.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let traceparent = only(headers, &TRACEPARENT).filter(|value| is_traceparent(value));
        let tracestate = traceparent.and_then(|_| tracestate(headers));
        let xray = only(headers, &XRAY).filter(|value| is_xray(value));
        if traceparent.is_none() && xray.is_none() {
            return None;
        }
        Some(Self { traceparent: traceparent.map(str::to_owned), tracestate, xray: xray.map(str::to_owned) })
    }
}

/// The header's value, if the header occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn is_traceparent(value: &str) -> bool {
    let Some((known, rest)) = value.split_at_checked(PARENT_BYTES) else { return false };
    let mut parts = known.split('-');
    let (Some(version), Some(trace_id), Some(parent_id), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let id = |text: &str, digits: usize| hex(text, digits) && text.bytes().any(|b| b != b'0');
    // A `traceparent` of a later version may have more fields after the flags.
    let ends = rest.is_empty() || (version != "00" && rest.starts_with('-') && rest.bytes().all(visible));
    hex(version, 2)
        && version != "ff"
        && id(trace_id, 32)
        && id(parent_id, 16)
        && hex(flags, 2)
        && ends
        && value.len() <= MAX_TRACEPARENT
}

/// The values of all `tracestate` headers, joined to one list.
fn tracestate(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok());
    let joined = values.collect::<Option<Vec<_>>>()?.join(",");
    // In a `tracestate`, spaces may follow the commas.
    let printable = !joined.is_empty() && joined.bytes().all(|b| visible(b) || b == b' ');
    (printable && joined.len() <= MAX_TRACESTATE).then_some(joined)
}

/// Whether an X-Ray header has a field of the form `Root=1-{8 hex}-{24 hex}`.
fn is_xray(value: &str) -> bool {
    let hex = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    let root = |field: &str| {
        let id = field.strip_prefix("Root=1-").and_then(|id| id.split_once('-'));
        id.is_some_and(|(time, unique)| hex(time, 8) && hex(unique, 24))
    };
    value.len() <= MAX_XRAY && value.bytes().all(visible) && value.split(';').any(root)
}

fn visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const AMAZON: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

    fn of(headers: &[(&'static str, &str)]) -> TraceContext {
        let pair = |&(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        TraceContext::of(&headers.iter().map(pair).collect()).unwrap_or_default()
    }

    #[test]
    fn a_traceparent_must_follow_the_specification() {
        let later = format!("cc{}", &PARENT[2..]);
        for yes in [PARENT, &PARENT.replace("-01", "-00"), &later, &format!("{later}-what-else")] {
            assert_eq!(of(&[("traceparent", yes)]).traceparent.as_deref(), Some(yes));
        }
        for no in [
            "",
            "00",
            &PARENT[..54],
            &format!("{PARENT}0"),
            &format!("{PARENT}-"),
            &format!("{later}."),
            &format!("{later}-{}", "x".repeat(201)),
            &format!("{later}-é"),
            &PARENT.replacen("00", "ff", 1),
            &PARENT.replacen("00", "0g", 1),
            &PARENT.to_uppercase(),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &PARENT.replace("00f067aa0ba902b7", "00f067aa0ba902bz"),
            &PARENT.replace("-01", "-0x"),
            &PARENT.replace("-01", "--1"),
            &PARENT.replace('-', "_"),
            &format!("{}é", &PARENT[..54]),
        ] {
            assert_eq!(of(&[("traceparent", no)]).traceparent, None, "{no}");
        }
        assert_eq!(of(&[("traceparent", PARENT), ("traceparent", PARENT)]), TraceContext::default());
    }

    #[test]
    fn the_trace_id_is_that_of_the_first_known_header() {
        let xray = ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1");
        assert_eq!(of(&[xray]).trace_id().as_deref(), Some("5759e988bd862e3fe1be46a994272793"));
        let both = of(&[("traceparent", PARENT), xray]);
        assert_eq!(both.trace_id().as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(TraceContext::default().trace_id(), None);
    }

    #[test]
    fn a_tracestate_needs_a_traceparent() {
        let (full, long) = ("x".repeat(512), "x".repeat(513));
        for (state, expected) in [
            (&["a=1"][..], Some("a=1")),
            (&["a=1, b=2"], Some("a=1, b=2")),
            (&["a=1", "b=2"], Some("a=1,b=2")),
            (&[&full], Some(full.as_str())),
            (&[&long], None),
            (&["a=é"], None),
            (&["a=\t"], None),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers: Vec<_> = state.iter().map(|value| ("tracestate", *value)).collect();
            assert_eq!(of(&headers), TraceContext::default(), "{state:?} alone");
            headers.push(("x-amzn-trace-id", AMAZON));
            assert_eq!(
                of(&headers).tracestate,
                None,
                "a tracestate of {state:?} is dropped without a traceparent"
            );
            headers.push(("traceparent", PARENT));
            assert_eq!(of(&headers).tracestate.as_deref(), expected, "{state:?}");
        }
    }

    #[test]
    fn an_x_ray_header_needs_a_root() {
        let bounded = format!("{AMAZON};Lineage={}", "x".repeat(256 - AMAZON.len() - 9));
        let other = format!("Self=1-67891234-12456789abcdef012345678;{AMAZON}");
        for yes in [AMAZON, &format!("{AMAZON};Parent=53995c3f42cd8ad8;Sampled=1"), &other, &bounded] {
            assert_eq!(of(&[("x-amzn-trace-id", yes)]).xray.as_deref(), Some(yes));
        }
        for no in [
            "",
            "Root=",
            "Sampled=1",
            &AMAZON[..AMAZON.len() - 1],
            &format!("{AMAZON}0"),
            &AMAZON.replace("=1-", "=2-"),
            &AMAZON.replace("Root", "Self"),
            &AMAZON.replace("5759e988", "5759e98g"),
            &format!("{AMAZON};Parent=é"),
            &format!("{AMAZON}; Sampled=1"),
            &format!("{bounded}x"),
        ] {
            assert_eq!(of(&[("x-amzn-trace-id", no)]).xray, None, "{no}");
        }
    }

    #[tokio::test]
    async fn a_trace_is_set_within_its_request_only() {
        let trace = of(&[("traceparent", PARENT), ("x-amzn-trace-id", AMAZON)]);
        assert_eq!(current(), None);
        assert_eq!(within(Some(trace.clone()), async { current() }).await, Some(trace));
        assert_eq!(within(None, async { current() }).await, None);
    }
}
