//! CORS decides which pages of other origins may call the API from a browser. `lib.rs` adds the layer around the
//! router.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr, Response};

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

/// Parses an origin in the form that browsers send: scheme, host and port, without a path.
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
    /// Answers preflights, and lets pages of these origins use everything that the description of the API contains: its
    /// methods, the headers of its requests, and the headers of its answers. Credentials are not allowed, because
    /// clients authenticate with a header and never with a cookie.
    pub(crate) fn layer(&self, api: &OpenApi) -> CorsLayer {
        let origins = match &self.0 {
            None => AllowOrigin::any(),
            Some(origins) => AllowOrigin::list(origins.iter().cloned()),
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(methods(api))
            .allow_headers(request_headers(api))
            .expose_headers(answer_headers(api))
            .max_age(MAX_AGE)
    }
}

/// All operations of a path, with their methods.
fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::HEAD, &item.head),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

/// The methods of all operations, each once.
fn methods(api: &OpenApi) -> Vec<Method> {
    let mut methods = Vec::new();
    for (method, _) in api.paths.paths.values().flat_map(operations) {
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods
}

/// The headers that operations read. A description lists the content type and the authorization separately, and not as
/// parameters.
fn request_headers(api: &OpenApi) -> Vec<HeaderName> {
    let own = api.paths.paths.values().flat_map(operations);
    let own = own.flat_map(|(_, operation)| operation.parameters.iter().flatten());
    let shared = api.components.iter().flat_map(|components| components.parameters.values());
    let named = own.chain(shared).filter_map(|parameter| match parameter {
        RefOr::T(Parameter { name, parameter_in: ParameterIn::Header, .. }) => Some(name.as_str()),
        _ => None,
    });
    header_names(named.chain([header::CONTENT_TYPE.as_str(), header::AUTHORIZATION.as_str()]))
}

/// The headers that answers of operations can have.
fn answer_headers(api: &OpenApi) -> Vec<HeaderName> {
    let own = api.paths.paths.values().flat_map(operations);
    let own = own.flat_map(|(_, operation)| operation.responses.responses.values());
    let shared = api.components.iter().flat_map(|components| components.responses.values());
    header_names(own.chain(shared).flat_map(|answer| match answer {
        RefOr::T(Response { headers, .. }) => headers.keys().map(String::as_str).collect(),
        RefOr::Ref(_) => Vec::new(),
    }))
}

/// Converts the names to header names, sorted and without duplicates. A test checks that the description contains only
/// valid names.
fn header_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<HeaderName> {
    let names: BTreeSet<_> = names.map(str::to_ascii_lowercase).collect();
    names.iter().filter_map(|name| name.parse().ok()).collect()
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
