//! What the description says of every operation: who may use it, and what headers and problems its answers have.

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

/// Adds what comes of authentication. It is optional in the description, for it depends on the configuration.
pub(super) fn secure(operation: &mut Operation, scope: Scope) {
    let bearer = SecurityRequirement::new(BEARER, [scope.as_str()]);
    operation.security = Some(vec![bearer, SecurityRequirement::default()]);
    for (status, description) in [
        (
            StatusCode::UNAUTHORIZED,
            "A bearer token is required, and there is none or it is not valid".to_owned(),
        ),
        (StatusCode::FORBIDDEN, format!("The token does not grant the scope `{}`", scope.as_str())),
    ] {
        let responses = &mut operation.responses.responses;
        responses.entry(status.as_str().to_owned()).or_insert_with(|| Response::new(description).into());
    }
}

const ETAG: (&str, &str) = ("ETag", "The version of the order, for `If-Match` and `If-None-Match`");
const APPLIED: (&str, &str) = ("Preference-Applied", "The preference that was applied, if one was");
const REPLAYED: (&str, &str) =
    ("Idempotent-Replayed", "`true` if the same request was accepted before, under the same key");

/// Adds what the answers of an operation have: the headers, and the problems that any request can meet.
pub(super) fn complete(operation: &mut Operation, limited: bool) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let changes = id == "proposeEvent";
    let mut problems = vec![
        (StatusCode::BAD_REQUEST, "The request has no Host header, several, or one that cannot be read"),
        (StatusCode::MISDIRECTED_REQUEST, "The service does not answer to the request's host"),
        (StatusCode::METHOD_NOT_ALLOWED, "This path does not take this method"),
        (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong inside"),
        (StatusCode::SERVICE_UNAVAILABLE, "The request could not be finished in time"),
    ];
    if operation.request_body.is_some() {
        problems.push((StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time"));
    }
    if limited {
        problems.push((StatusCode::TOO_MANY_REQUESTS, "These are more requests than the client may make"));
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in problems {
        responses.entry(status.as_str().to_owned()).or_insert_with(|| Response::new(description).into());
    }
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else { continue };
        let mut headers = match status.as_str() {
            "200" if changes => {
                vec![ETAG, ("Content-Location", "The address of the order"), APPLIED, REPLAYED]
            }
            "201" => vec![("Location", "The address of the order"), ETAG, APPLIED, REPLAYED],
            "202" => vec![("Location", "The address of the receipt"), APPLIED, REPLAYED],
            "200" | "304" if id == "getOrder" => vec![ETAG, ("Cache-Control", "`private, no-cache`")],
            "200" if id.starts_with("list") => {
                vec![("Link", "The next page, as `rel=\"next\"`, if there is one")]
            }
            "200" if id == "getReceipt" => vec![APPLIED],
            "401" | "403" => {
                vec![("WWW-Authenticate", "What is wrong with the token, or missing in it (RFC 6750)")]
            }
            "415" => {
                vec![(
                    "Accept-Encoding",
                    "`identity`, where the body has a content coding: it must have none",
                )]
            }
            "405" => vec![("Allow", "The methods that this path takes")],
            "429" | "503" => vec![("Retry-After", "Seconds after which to try again")],
            _ => vec![],
        };
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

/// Of every response.
const CORRELATION: (&str, &str) =
    ("X-Correlation-Id", "The request's id: the client's own if it gave one, or made here");

/// Of the responses that are counted, where requests are limited at all.
const RATE_LIMITS: [(&str, &str); 2] = [
    (
        "RateLimit",
        "Where requests are limited: how many are left (r), and the seconds until all are there again (t)",
    ),
    ("RateLimit-Policy", "Where requests are limited: how many there may be (q) in how many seconds (w)"),
];

/// The one answer that is made before there is a request: it has no correlation id and no problem.
fn head_too_large() -> RefOr<Response> {
    Response::new(
        "The request's line and headers are too large; the answer is empty, and the connection closed",
    )
    .into()
}

fn header(name: &str, description: &str) -> Header {
    let schema = schema(json!({ "type": if name == "Retry-After" { "integer" } else { "string" } }));
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}
