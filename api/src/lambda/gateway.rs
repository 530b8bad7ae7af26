//! Splits the path of a request from API Gateway into the base path that the client sees and the router's own path. The
//! parent calls [`routed_path`] for each request.
//!
//! What an event contains depends on the kind of API. This table shows the events for the route `/v1/orders` on stage
//! `prod`:
//!
//! | client requests | event's path | context's path | router's path | base path |
//! |---|---|---|---|---|
//! | HTTP API, `$default` | `/v1/orders` | same | `/v1/orders` | |
//! | HTTP API, `/prod/v1/orders` | `/prod/v1/orders` | same | `/v1/orders` | `/prod` |
//! | HTTP API, custom domain, `/shop/v1/orders` | `/prod/v1/orders` | same | `/v1/orders` | unknown |
//! | REST API, `/prod/v1/orders` | `/v1/orders` | `/prod/v1/orders` | `/v1/orders` | `/prod` |
//! | REST API, custom domain, `/shop/v1/orders` | `/shop/v1/orders` | same | `/v1/orders` | `/shop` |
//!
//! With a custom domain, an event of payload format 2.0 contains the stage but not the key of the API mapping. The base
//! path is then unknown, and links are written without it. So either the mapping of an HTTP API must have no key, or
//! the API must use payload format 1.0.
//!
//! The prefix is the part of the path before the path of the matched route, after the route's parameters are filled in.
//! The `$default` route of an HTTP API has no path. For this route, a first segment that equals the name of
//! the stage is taken for the stage. So with a `$default` route, the name of the stage must differ from the first
//! segment of all our paths.
//!
//! `lambda_http` adds the stage to every path that does not begin with it, even for custom domains, where the client
//! has not sent the stage. This module first removes a stage that was added. So it makes no difference whether the
//! variable `AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH` prevents the addition.

use axum::http::Uri;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayProxyRequestContext, ApiGatewayV2httpRequestContext};
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use crate::http::BasePath;

/// The two parts of a request's path.
pub(super) struct RoutedPath {
    /// The prefix that the client sees.
    pub(super) base: BasePath,
    /// The router's path, and the query.
    pub(super) uri: Uri,
}

pub(super) fn routed_path(request: &Request) -> RoutedPath {
    let raw = request.raw_http_path();
    let parameters = request.path_parameters_ref();
    let (stage, PathPrefix { seen, sent }) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            (context.stage.as_deref(), PathPrefix::of_v1(context, raw, parameters))
        }
        Some(RequestContext::ApiGatewayV2(context)) => {
            (context.stage.as_deref(), PathPrefix::of_v2(context, raw, parameters))
        }
        _ => (None, PathPrefix::default()),
    };
    let path = request.uri().path();
    let path = stage.and_then(named).map_or(path, |stage| without_added_stage(path, &stage, raw));
    let path = sent.and_then(|sent| strip(path, sent)).unwrap_or(path);
    let path = if path.is_empty() { "/" } else { path };
    let uri = match request.uri().query() {
        Some(query) => format!("{path}?{query}").parse(),
        None => path.parse(),
    };
    RoutedPath {
        base: seen.and_then(BasePath::parse).unwrap_or_default(),
        // This fallback is never used: every suffix of a valid path is valid if it begins with a slash.
        uri: uri.unwrap_or_else(|_| request.uri().clone()),
    }
}

/// The part of a request's path that precedes the router's path: as the client sees it, and as the event contains it.
#[derive(Default)]
struct PathPrefix<'a> {
    seen: Option<&'a str>,
    sent: Option<&'a str>,
}

impl<'a> PathPrefix<'a> {
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
        let is_unknown = own_domain && sent == stage;
        Self { seen: sent.filter(|_| !is_unknown), sent }
    }
}

/// The part of `path` before the path of the matched route, if the route has a path.
fn before_route<'a>(path: &'a str, route: Option<&str>, parameters: Option<&QueryMap>) -> Option<&'a str> {
    let filled = |segment: &'_ str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        Some(name) => parameters?.first(name.trim_end_matches('+')).map(str::to_owned),
        None => Some(segment.to_owned()),
    };
    let route = route.filter(|route| route.starts_with('/'))?;
    let route = route.split('/').map(filled).collect::<Option<Vec<_>>>()?.join("/");
    // Depending on the kind of API, `path` or `route` may be percent-encoded, so their decoded forms are compared. The
    // prefix contains no encoded characters, so it has the same length in both forms.
    let (whole, end) = (decoded(path.trim_end_matches('/')), decoded(route.trim_end_matches('/')));
    let before = whole.strip_suffix(end.as_slice())?;
    path.get(..before.len()).filter(|found| found.as_bytes() == before)
}

/// The stage as a prefix of `path`, if `path` begins with the stage.
fn of_stage<'a>(path: &'a str, stage: Option<&str>) -> Option<&'a str> {
    let prefix = stage.and_then(named)?;
    strip(path, &prefix).map(|_| &path[..prefix.len()])
}

/// The path of a stage. The stage `$default` has no path.
fn named(stage: &str) -> Option<String> {
    (stage != "$default").then(|| format!("/{stage}"))
}

/// Removes the stage from `path` if `lambda_http` has added the stage. Then `raw` does not begin with the stage.
fn without_added_stage<'a>(path: &'a str, stage: &str, raw: &str) -> &'a str {
    let begins_with_it = strip(raw, stage).is_some_and(|rest| !rest.is_empty());
    if begins_with_it { path } else { strip(path, stage).unwrap_or(path) }
}

/// The rest of `path` after `prefix`, if the prefix ends at the end of a segment.
fn strip<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Percent-decodes a path. Invalid escapes are not changed.
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
    fn only_a_stage_that_was_added_is_removed() {
        for (path, raw, expected) in [
            ("/prod/v1/orders", "/v1/orders", "/v1/orders"),
            ("/prod/v1/orders", "/prod/v1/orders", "/prod/v1/orders"),
            ("/prod/prod", "/prod", "/prod"),
            ("/prod/production/v1", "/production/v1", "/production/v1"),
            // If AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH is set, `lambda_http` adds no stage.
            ("/v1/orders", "/v1/orders", "/v1/orders"),
            ("/production/v1", "/production/v1", "/production/v1"),
        ] {
            assert_eq!(without_added_stage(path, "/prod", raw), expected, "{path}");
        }
    }

    #[test]
    fn only_valid_escapes_are_decoded() {
        for (path, expected) in
            [("/a%20b", "/a b"), ("%C3%bC", "ü"), ("%2", "%2"), ("%zz%", "%zz%"), ("", ""), ("%+1", "%+1")]
        {
            assert_eq!(decoded(path), expected.as_bytes(), "{path}");
        }
    }
}
