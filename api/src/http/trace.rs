//! The trace that a request belongs to, for whoever sends something on because of it.
//!
//! It is implicit: the middleware sets it around the request, and [`current`] finds it from within. As a parameter it
//! would go through every handler and port to the one adapter that uses it, and those who have no use for it would
//! carry it all the same; tracing libraries keep theirs in the same way, for the same reason. Nothing that an order
//! depends on may be passed like this.

use std::future::Future;

use axum::http::{HeaderMap, HeaderName};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const XRAY: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// The longest `tracestate` and the longest X-Ray header that are passed on. Longer ones are dropped whole.
const MAX_TRACESTATE: usize = 512;
const MAX_XRAY: usize = 256;
/// `version-traceid-parentid-flags`, as version 00 writes it and every later version begins.
const PARENT_BYTES: usize = 55;
/// The most that a later version may have, lest a client sends us what no queue message can hold.
const MAX_TRACEPARENT: usize = 256;

tokio::task_local! {
    static CURRENT: Option<TraceContext>;
}

/// Where a request belongs in its caller's traces. Each member is the value of a header, checked, and passed on as it
/// is; but where spans are exported, `traceparent` names the latest of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceContext {
    /// `traceparent` of W3C Trace Context.
    pub traceparent: Option<String>,
    /// `tracestate` of W3C Trace Context; only beside a `traceparent`.
    pub tracestate: Option<String>,
    /// `X-Amzn-Trace-Id`, of AWS X-Ray.
    pub xray: Option<String>,
}

/// The trace of the request that is being handled, if it told one.
///
/// A publisher adapter asks within `publish`, before it hands the event to another task: the trace does not follow into
/// spawned tasks.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Runs `future` with `trace` as what [`current`] returns within it.
pub async fn within<F: Future>(trace: Option<TraceContext>, future: F) -> F::Output {
    match trace {
        Some(trace) => CURRENT.scope(Some(trace), future).await,
        None => future.await,
    }
}

impl TraceContext {
    /// What of it is W3C Trace Context, as headers or attributes of a message.
    pub fn w3c(&self) -> impl Iterator<Item = (String, String)> {
        let named = [("traceparent", &self.traceparent), ("tracestate", &self.tracestate)];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
    }

    /// What of these headers is valid. The rest is ignored: a broken trace is no reason to refuse an order.
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

/// The header's value, if it is there once.
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
    // Later versions may go on after the flags.
    let ends = rest.is_empty() || (version != "00" && rest.starts_with('-') && rest.bytes().all(visible));
    hex(version, 2)
        && version != "ff"
        && id(trace_id, 32)
        && id(parent_id, 16)
        && hex(flags, 2)
        && ends
        && value.len() <= MAX_TRACEPARENT
}

/// The header's value, or its values as one list: it may be there more than once.
fn tracestate(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok());
    let joined = values.collect::<Option<Vec<_>>>()?.join(",");
    // Spaces too: they may follow the commas.
    let printable = !joined.is_empty() && joined.bytes().all(|b| visible(b) || b == b' ');
    (printable && joined.len() <= MAX_TRACESTATE).then_some(joined)
}

/// Whether it is `Root=1-{8 hex}-{24 hex}`, among whatever other fields.
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
    fn a_traceparent_is_taken_as_the_specification_has_it() {
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
    fn a_tracestate_is_taken_beside_a_traceparent_only() {
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
            assert_eq!(of(&headers).tracestate, None, "{state:?} beside another trace");
            headers.push(("traceparent", PARENT));
            assert_eq!(of(&headers).tracestate.as_deref(), expected, "{state:?}");
        }
    }

    #[test]
    fn an_x_ray_header_is_taken_if_it_has_a_root() {
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
    async fn a_trace_is_known_within_its_request_only() {
        let trace = of(&[("traceparent", PARENT), ("x-amzn-trace-id", AMAZON)]);
        assert_eq!(current(), None);
        assert_eq!(within(Some(trace.clone()), async { current() }).await, Some(trace));
        assert_eq!(within(None, async { current() }).await, None);
    }
}
