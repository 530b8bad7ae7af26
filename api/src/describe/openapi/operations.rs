//! Adds the parts that all operations share: security, response headers, and common problems. [`super::complete`] calls
//! this module.

use axum::http::StatusCode;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, Header, HeaderBuilder, Ref, RefOr, Response};

use super::BEARER;
use crate::auth::Scope;
use crate::describe::schemas::schema;
use crate::problem::ProblemBody;

/// Adds the security requirement for a scope, and the problems that the requirement can cause. The description declares
/// authentication as optional, because a service can be configured without it.
pub(super) fn secure(operation: &mut Operation, scope: Scope) {
    let bearer = SecurityRequirement::new(BEARER, [scope.as_str()]);
    operation.security = Some(vec![bearer, SecurityRequirement::default()]);
    for (status, description) in [
        (StatusCode::UNAUTHORIZED, "A bearer token is required, and it is missing or not valid".to_owned()),
        (StatusCode::FORBIDDEN, format!("The token does not grant the scope `{}`", scope.as_str())),
    ] {
        let responses = &mut operation.responses.responses;
        responses.entry(status.as_str().to_owned()).or_insert_with(|| Response::new(description).into());
    }
}

const ETAG: (&str, &str) = ("ETag", "The order's version, for `If-Match` and `If-None-Match`");
const REVISION: (&str, &str) = ("ETag", "The subscription's revision, for `If-Match`");
/// The operations that return one subscription. Their answers have the revision as the entity tag.
const REVISIONED: [&str; 4] = ["getWebhook", "updateWebhook", "rotateWebhookSecret", "replayWebhook"];
const APPLIED: (&str, &str) = ("Preference-Applied", "The applied preference, if there is one");
const NEXT: (&str, &str) = ("Link", "The URL of the next page (`rel=\"next\"`), if there is one");
const REPLAYED: (&str, &str) =
    ("Idempotent-Replayed", "`true` if the same request was accepted before with the same key");

/// Adds the response headers of an operation, and the problems that any request can return.
pub(super) fn complete(operation: &mut Operation, limited: bool) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let mut problems = vec![
        (StatusCode::BAD_REQUEST, "The `Host` header is missing, repeated or not valid"),
        (StatusCode::MISDIRECTED_REQUEST, "The service does not answer to the host in the request"),
        (StatusCode::METHOD_NOT_ALLOWED, "The path does not support this method"),
        (StatusCode::INTERNAL_SERVER_ERROR, "The service failed unexpectedly"),
        (StatusCode::SERVICE_UNAVAILABLE, "The request did not finish in time"),
    ];
    if operation.request_body.is_some() {
        problems.extend([
            (StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time"),
            (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content type is not JSON, or the body is compressed"),
        ]);
    }
    if limited {
        problems.push((StatusCode::TOO_MANY_REQUESTS, "The client exceeded its limit of requests"));
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in problems {
        responses.entry(status.as_str().to_owned()).or_insert_with(|| Response::new(description).into());
    }
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        let mut headers = own_headers(&id, status);
        headers.push(CORRELATION);
        if limited {
            headers.extend(RATE_LIMITS);
        }
        for (name, description) in headers {
            response.headers.insert(name.to_owned(), header(name, description).into());
        }
        if status.starts_with(['4', '5']) {
            let problem = Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
            response.content.insert("application/problem+json".to_owned(), problem.into());
        }
    }
    responses.insert("431".to_owned(), head_too_large());
}

/// The headers of an operation's response with this status, without the headers that every response has.
fn own_headers(id: &str, status: &str) -> Vec<(&'static str, &'static str)> {
    match status {
        "201" if id == "createWebhook" => {
            vec![("Location", "The URL of the subscription"), REVISION, REPLAYED]
        }
        "200" if REVISIONED.contains(&id) => vec![REVISION],
        "200" if id == "proposeEvent" => {
            vec![ETAG, ("Content-Location", "The URL of the order"), APPLIED, REPLAYED]
        }
        "201" => vec![("Location", "The URL of the order"), ETAG, APPLIED, REPLAYED],
        "202" => vec![("Location", "The URL of the receipt"), APPLIED, REPLAYED],
        "200" | "304" if id == "getOrder" => vec![ETAG, ("Cache-Control", "`private, no-cache`")],
        // The list of subscriptions is always whole.
        "200" if id.starts_with("list") && id != "listWebhooks" => vec![NEXT],
        "200" if id == "getReceipt" => vec![APPLIED],
        "200" if id == "readFeed" => vec![NEXT, APPLIED],
        "401" | "403" => {
            vec![("WWW-Authenticate", "What is wrong with the token (RFC 6750)")]
        }
        "415" => {
            vec![("Accept-Encoding", "`identity` if the body was compressed: bodies must not be compressed")]
        }
        "405" => vec![("Allow", "The methods that the path supports")],
        "429" | "503" => vec![("Retry-After", "The seconds to wait before trying again")],
        _ => vec![],
    }
}

/// The header that every response has.
const CORRELATION: (&str, &str) =
    ("X-Correlation-Id", "The request's correlation id: the client's, or a generated one");

/// The headers of responses to requests that count towards the request limit.
const RATE_LIMITS: [(&str, &str); 2] = [
    (
        "RateLimit",
        "If requests are limited: the number of remaining requests (`r`), and the seconds until the limit is fully restored (`t`)",
    ),
    (
        "RateLimit-Policy",
        "If requests are limited: the number of allowed requests (`q`), and the window for them in seconds (`w`)",
    ),
];

/// The 431 is the only response without a correlation id and a problem, because it is sent before the request is
/// parsed.
fn head_too_large() -> RefOr<Response> {
    Response::new(
        "The request line and headers are too large. The response has no body, and the connection is closed",
    )
    .into()
}

fn header(name: &str, description: &str) -> Header {
    let schema = schema(json!({ "type": if name == "Retry-After" { "integer" } else { "string" } }));
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
