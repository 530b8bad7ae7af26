//! Every error that clients see, as problem details (RFC 9457). All modules of this crate return a [`Problem`].
//!
//! The middleware in [`crate::http::correlation`] writes the body of a [`Problem`], because the body contains the
//! request's path and correlation id, which only the middleware has. The middleware also replaces the body of axum's
//! own errors, so that no error is plain text.

mod body;
mod constructors;
mod kinds;
mod order;
mod pages;

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use domain::{EventId, OrderId, Violation};

use crate::input::ValidationError;

use order::OrderAtRejection;

pub(crate) use body::{ProblemBody, ProblemLinks, example};
pub(crate) use kinds::ProblemKind;
pub(crate) use pages::routes;

/// The response header that marks a replay: an earlier request with the same idempotency key was already accepted.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An error answer to a client: its problem details, its headers, and the internal cause for the log.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Arc<ProblemParts>);

#[derive(Debug)]
struct ProblemParts {
    kind: ProblemKind,
    detail: Cow<'static, str>,
    errors: Vec<ValidationError>,
    /// How many validation errors were counted but left out of `errors`.
    errors_omitted: usize,
    retry_after_seconds: Option<u32>,
    /// The order whose status or version caused the problem, as it was at the time of the problem.
    order: Option<OrderAtRejection>,
    /// The guard that refused the event, with the numbers that it compared.
    violation: Option<Box<Violation>>,
    /// Whether this answer repeats the result of an earlier request with the same idempotency key.
    replayed: bool,
    /// The resource that the links of the problem point to, such as the event whose outcome is unknown.
    subject: Option<ProblemSubject>,
    /// The `WWW-Authenticate` header of the response (RFC 6750, section 3).
    challenge: Option<String>,
    /// The `Accept-Encoding` header of the response, which lists the encodings that a request body may have.
    accept_encoding: Option<&'static str>,
    /// The internal cause. It is logged and never sent to the client.
    cause: Option<anyhow::Error>,
}

/// The ids and links of the resource that a problem is about, so that a client can look it up. An event has ids and
/// links. A dead letter, a webhook subscription, and the order that already has a requested reference have only a link.
/// A batch and a redrive have neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProblemSubject {
    pub(crate) order_id: Option<OrderId>,
    pub(crate) event_id: Option<EventId>,
    pub(crate) links: ProblemLinks,
}

impl Problem {
    fn of(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> ProblemParts {
        ProblemParts {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            errors_omitted: 0,
            retry_after_seconds: None,
            order: None,
            violation: None,
            replayed: false,
            subject: None,
            challenge: None,
            accept_encoding: None,
            cause: None,
        }
    }

    pub(crate) fn new(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Self::of(kind, detail)))
    }

    pub(crate) fn kind(&self) -> ProblemKind {
        self.0.kind
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.kind.definition().status
    }

    /// Logs the internal cause, if the problem has one.
    pub(crate) fn log(&self, correlation_id: &str, instance: &str) {
        if let Some(cause) = &self.0.cause {
            let problem = self.0.kind.definition().uri;
            tracing::error!(
                correlation_id,
                instance,
                problem,
                error = format!("{cause:#}"),
                "request failed"
            );
        }
    }

    /// The body as the client gets it. The middleware supplies the correlation id and the path.
    pub(crate) fn to_json(&self, correlation_id: &str, instance: &str) -> Vec<u8> {
        let body = self.body(correlation_id, instance);
        serde_json::to_vec(&body).expect("plain strings and numbers always serialize")
    }

    pub(crate) fn body<'a>(&'a self, correlation_id: &'a str, instance: &'a str) -> ProblemBody<'a> {
        let ProblemParts { kind, detail, errors, errors_omitted, order, violation, subject, .. } = &*self.0;
        let body = ProblemBody::of(kind.definition(), detail, instance, correlation_id, errors);
        let body = body.omitting(*errors_omitted).failing(violation.as_deref());
        let body = match order {
            Some(OrderAtRejection { status, version, allowed_events }) => {
                body.about_order(*status, *version, allowed_events)
            }
            None => body,
        };
        match subject {
            Some(ProblemSubject { order_id, event_id, links }) => {
                body.about_event(order_id.as_ref(), *event_id, links)
            }
            None => body,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Some(seconds) = self.0.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if matches!(self.0.kind, ProblemKind::RequestTimeout | ProblemKind::Overloaded) {
            // The connection must close, because the rest of the request's body may still arrive. The server must not parse that
            // rest as the next request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(codings) = self.0.accept_encoding {
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(codings));
        }
        if self.0.replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(challenge) = &self.0.challenge {
            let challenge = HeaderValue::from_str(challenge).expect("challenges are visible ASCII");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(self);
        response
    }
}
