//! Where a request of API Gateway belongs among the router's paths, and what base path its client sees.
//!
//! What an event says of this depends on where it comes from. With the route `/v1/orders`, on stage `prod`:
//!
//! | client asks for | event's path | context's path | router's path | base path |
//! |---|---|---|---|---|
//! | HTTP API, `$default` | `/v1/orders` | same | `/v1/orders` | |
//! | HTTP API, `/prod/v1/orders` | `/prod/v1/orders` | same | `/v1/orders` | `/prod` |
//! | HTTP API, custom domain, `/shop/v1/orders` | `/prod/v1/orders` | same | `/v1/orders` | not told |
//! | REST API, `/prod/v1/orders` | `/v1/orders` | `/prod/v1/orders` | `/v1/orders` | `/prod` |
//! | REST API, custom domain, `/shop/v1/orders` | `/shop/v1/orders` | same | `/v1/orders` | `/shop` |
//!
//! Of a custom domain, payload format 2.0 tells the stage in place of the mapping's key. The links are then written as
//! if there were no key: a mapping for an HTTP API must have none, or use payload format 1.0, which tells it.
//!
//! What the path begins with is told by the route that matched: it is what is there before the route's own path, with
//! its parameters filled in. The `$default` route of an HTTP API has no path; there, and there only, a path that begins
//! with the stage's name is taken to begin with the stage. (So if there is a `$default` route, name no stage after the
//! first segment of one of our paths.)
//!
//! `lambda_http` writes the stage before every path that does not begin with it, even of custom domains, where no client
//! has sent it. That is undone first, so its variable `AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH` makes no difference.

use axum::http::Uri;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequestContext, ApiGatewayV2httpRequestContext};
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use crate::http::BasePath;

/// The place of a request.
pub(super) struct Place {
    /// What the client sees before our paths.
    pub(super) base: BasePath,
    /// Our path, and the query.
    pub(super) uri: Uri,
}

/// Finds the place of `request`.
pub(super) fn place(request: &Request) -> Place {
    let raw = request.raw_http_path();
    let parameters = request.path_parameters_ref();
    let (stage, Prefix { seen, sent }) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            (context.stage.as_deref(), Prefix::of_v1(context, raw, parameters))
        }
        Some(RequestContext::ApiGatewayV2(context)) => {
            (context.stage.as_deref(), Prefix::of_v2(context, raw, parameters))
        }
        _ => (None, Prefix::default()),
    };
    let path = request.uri().path();
    let path = stage.and_then(named).map_or(path, |stage| without_added_stage(path, &stage, raw));
    let path = sent.and_then(|sent| strip(path, sent)).unwrap_or(path);
    let path = if path.is_empty() { "/" } else { path };
    let uri = match request.uri().query() {
        Some(query) => format!("{path}?{query}").parse(),
        None => path.parse(),
    };
    Place {
        base: seen.and_then(BasePath::parse).unwrap_or_default(),
        // What a URI's path ends with, from a slash on, is a path too. Were it not, the request would find no route.
        uri: uri.unwrap_or_else(|_| request.uri().clone()),
    }
}

/// What there is before our own path: as the client sees it, and as the event's path has it.
#[derive(Default)]
struct Prefix<'a> {
    seen: Option<&'a str>,
    sent: Option<&'a str>,
}

impl<'a> Prefix<'a> {
    fn of_v1(
        context: &'a ApiGatewayProxyRequestContext,
        raw: &'a str,
        parameters: Option<&QueryMap>,
    ) -> Self {
        let seen = context.path.as_deref().and_then(|path| path.strip_suffix(raw));
        if let Some(stage) = seen.filter(|stage| !stage.is_empty() && !raw.is_empty()) {
            return Self { seen: Some(stage), sent: None };
        }
        let sent = before_route(raw, context.resource_path.as_deref(), parameters)
            .or_else(|| of_stage(raw, context.stage.as_deref()));
        Self { seen: sent, sent }
    }

    fn of_v2(
        context: &'a ApiGatewayV2httpRequestContext,
        raw: &'a str,
        parameters: Option<&QueryMap>,
    ) -> Self {
        // A route's key is `METHOD /path`, or `$default`.
        let route = context.route_key.as_deref().and_then(|key| Some(key.split_once(' ')?.1));
        let stage = of_stage(raw, context.stage.as_deref());
        let sent = before_route(raw, route, parameters).or(stage);
        let own_domain = context.domain_prefix.is_some() && context.domain_prefix != context.apiid;
        let untold = own_domain && sent == stage;
        Self { seen: sent.filter(|_| !untold), sent }
    }
}

/// What `path` has before the path of the route that matched, if the route has a path.
fn before_route<'a>(path: &'a str, route: Option<&str>, parameters: Option<&QueryMap>) -> Option<&'a str> {
    let filled = |segment: &'_ str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        Some(name) => parameters?.first(name.trim_end_matches('+')).map(str::to_owned),
        None => Some(segment.to_owned()),
    };
    let route = route.filter(|route| route.starts_with('/'))?;
    let route = route.split('/').map(filled).collect::<Option<Vec<_>>>()?.join("/");
    // Both may be encoded or not, depending on the kind of API. What is before the route needs no encoding, so its
    // length is the same in both forms.
    let (whole, end) = (decoded(path.trim_end_matches('/')), decoded(route.trim_end_matches('/')));
    let before = whole.strip_suffix(end.as_slice())?;
    path.get(..before.len()).filter(|found| found.as_bytes() == before)
}

/// The stage that `path` begins with, if it does.
fn of_stage<'a>(path: &'a str, stage: Option<&str>) -> Option<&'a str> {
    let prefix = stage.and_then(named)?;
    strip(path, &prefix).map(|_| &path[..prefix.len()])
}

/// The path of a stage that has one.
fn named(stage: &str) -> Option<String> {
    (stage != "$default").then(|| format!("/{stage}"))
}

/// `path` without the stage that `lambda_http` wrote before `raw`.
fn without_added_stage<'a>(path: &'a str, stage: &str, raw: &str) -> &'a str {
    let begins_with_it = strip(raw, stage).is_some_and(|rest| !rest.is_empty());
    if begins_with_it { path } else { strip(path, stage).unwrap_or(path) }
}

/// What follows `prefix` in `path`, if that is whole segments.
fn strip<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The bytes that a path stands for: `%` and two hex digits are one. What is not valid stands for itself.
fn decoded(path: &str) -> Vec<u8> {
    let mut bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    while let [first, rest @ ..] = bytes {
        let escaped = match bytes {
            [b'%', high, low, ..] => char::from(*high).to_digit(16).zip(char::from(*low).to_digit(16)),
            _ => None,
        };
        let escaped = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(escaped.unwrap_or(*first));
        bytes = if escaped.is_some() { &bytes[3..] } else { rest };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_goes_where_it_was_added_and_nowhere_else() {
        for (path, raw, expected) in [
            ("/prod/v1/orders", "/v1/orders", "/v1/orders"),
            ("/prod/v1/orders", "/prod/v1/orders", "/prod/v1/orders"),
            ("/prod/prod", "/prod", "/prod"),
            ("/prod/production/v1", "/production/v1", "/production/v1"),
            // With AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH nothing was added.
            ("/v1/orders", "/v1/orders", "/v1/orders"),
            ("/production/v1", "/production/v1", "/production/v1"),
        ] {
            assert_eq!(without_added_stage(path, "/prod", raw), expected, "{path}");
        }
    }

    #[test]
    fn escapes_are_decoded_and_the_rest_is_left() {
        for (path, expected) in
            [("/a%20b", "/a b"), ("%C3%bC", "ü"), ("%2", "%2"), ("%zz%", "%zz%"), ("", ""), ("%+1", "%+1")]
        {
            assert_eq!(decoded(path), expected.as_bytes(), "{path}");
        }
    }
}
