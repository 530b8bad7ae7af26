//! Every error that clients see, as problem details (RFC 9457). All rooms of this crate return a [`Problem`].
//!
//! The middleware of [`crate::http::correlation`] writes the body of a [`Problem`], because it has the request's path and
//! correlation id. It does so for axum's own errors too, so no error is plain text.

mod body;
mod kinds;
mod order;
mod pages;

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{EventId, OrderId};

use crate::input::{BodyErrors, MAX_LISTED_ERRORS, ValidationCode, ValidationError};
use crate::ports::PublishError;

use order::OrderAtRejection;

pub(crate) use body::{ProblemBody, ProblemLinks, example};
pub(crate) use kinds::ProblemKind;
pub(crate) use pages::routes;

/// The header of a replay: the request was accepted before, with the same key.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// An error for the client.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Arc<ProblemParts>);

#[derive(Debug)]
struct ProblemParts {
    kind: ProblemKind,
    detail: Cow<'static, str>,
    errors: Vec<ValidationError>,
    /// The number of errors that `errors` does not list.
    errors_omitted: usize,
    retry_after_seconds: Option<u32>,
    /// The order whose status or version caused the problem.
    order: Option<OrderAtRejection>,
    /// Whether this answer is a replay for the same idempotency key.
    replayed: bool,
    /// The event or the dead letter whose outcome is unknown.
    subject: Option<ProblemSubject>,
    /// The `WWW-Authenticate` header of the response (RFC 6750, section 3).
    challenge: Option<String>,
    /// The `Accept-Encoding` header of the response.
    accept_encoding: Option<&'static str>,
    /// The internal cause. It is logged and never sent to the client.
    cause: Option<anyhow::Error>,
}

/// What an unknown outcome concerns, and the links to check it.
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

    /// The validation errors of a body, or of one item of a batch.
    pub(crate) fn of_body(errors: BodyErrors) -> Self {
        let (errors, errors_omitted) = errors.into_list();
        let detail = match (errors.len(), errors_omitted) {
            (1, 0) => "The body has 1 error.".to_owned(),
            (listed, 0) => format!("The body has {listed} errors."),
            (listed, more) => {
                format!("The body has at least {} errors; {listed} are listed.", listed + more)
            }
        };
        Self(Arc::new(ProblemParts {
            errors,
            errors_omitted,
            ..Self::of(ProblemKind::InvalidRequest, detail)
        }))
    }

    /// A header with an invalid value. `rule` begins with "must".
    pub(crate) fn invalid_header(name: &'static str, rule: &'static str) -> Self {
        let errors = vec![ValidationError::parameter(name, ValidationCode::Format, rule)];
        let detail = format!("The header {name} {rule}.");
        Self(Arc::new(ProblemParts { errors, ..Self::of(ProblemKind::InvalidHeader, detail) }))
    }

    /// The idempotency key was used before, for a different request.
    pub(crate) fn key_reused() -> Self {
        let detail =
            "A different request was accepted with this key. Repeat that request exactly, or use a new key.";
        Self::new(ProblemKind::IdempotencyKeyReused, detail)
    }

    /// Errors in the path or query.
    pub(crate) fn invalid_parameters(mut errors: Vec<ValidationError>) -> Self {
        let errors_omitted = errors.len().saturating_sub(MAX_LISTED_ERRORS);
        errors.truncate(MAX_LISTED_ERRORS);
        let detail = "The path or the query has errors.";
        Self(Arc::new(ProblemParts {
            errors,
            errors_omitted,
            ..Self::of(ProblemKind::InvalidParameter, detail)
        }))
    }

    /// The service cannot handle requests now.
    pub(crate) fn not_ready(why: String) -> Self {
        Self(Arc::new(ProblemParts { retry_after_seconds: Some(5), ..Self::of(ProblemKind::NotReady, why) }))
    }

    /// The credentials are missing or not valid.
    pub(crate) fn unauthorized(detail: String, challenge: String) -> Self {
        let challenge = Some(challenge);
        Self(Arc::new(ProblemParts { challenge, ..Self::of(ProblemKind::Unauthorized, detail) }))
    }

    /// The token does not grant this scope.
    pub(crate) fn insufficient_scope(scope: &str) -> Self {
        let challenge = Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""));
        let detail = format!("The token does not grant the scope {scope}.");
        Self(Arc::new(ProblemParts { challenge, ..Self::of(ProblemKind::Forbidden, detail) }))
    }

    /// No token can be verified, because the issuer's keys are missing.
    pub(crate) fn keys_missing(detail: String) -> Self {
        Self(Arc::new(ProblemParts {
            retry_after_seconds: Some(5),
            ..Self::of(ProblemKind::Unavailable, detail)
        }))
    }

    /// The request may or may not have changed something.
    pub(crate) fn outcome_unknown(
        detail: impl Into<Cow<'static, str>>,
        subject: ProblemSubject,
        retry_after_seconds: Option<u32>,
        cause: anyhow::Error,
    ) -> Self {
        let (subject, cause) = (Some(subject), Some(cause));
        let parts = Self::of(ProblemKind::OutcomeUnknown, detail);
        Self(Arc::new(ProblemParts { subject, retry_after_seconds, cause, ..parts }))
    }

    /// The request reached its deadline before it changed anything.
    pub(crate) fn out_of_time() -> Self {
        let detail = "The request did not finish in time. Nothing was accepted. Try again later.";
        let cause = Some(anyhow::anyhow!("the deadline has passed"));
        let retry_after_seconds = Some(1);
        Self(Arc::new(ProblemParts {
            cause,
            retry_after_seconds,
            ..Self::of(ProblemKind::Unavailable, detail)
        }))
    }

    /// The body did not arrive in time. The part that arrived is ignored.
    pub(crate) fn body_too_slow() -> Self {
        Self::new(
            ProblemKind::RequestTimeout,
            "The body did not arrive in time. Nothing was accepted. Try again.",
        )
    }

    /// The body is compressed.
    pub(crate) fn encoded_body() -> Self {
        let detail = "Content-Encoding must be absent or identity. Compressed bodies are not accepted.";
        let accept_encoding = Some("identity");
        Self(Arc::new(ProblemParts {
            accept_encoding,
            ..Self::of(ProblemKind::UnsupportedMediaType, detail)
        }))
    }

    /// The memory for large bodies is in use.
    pub(crate) fn too_many_bodies() -> Self {
        let detail = "The memory for large bodies is in use. Nothing was accepted. Try again.";
        Self(Arc::new(ProblemParts {
            retry_after_seconds: Some(1),
            ..Self::of(ProblemKind::Overloaded, detail)
        }))
    }

    /// The client exceeded its limit of requests.
    pub(crate) fn too_many_requests(seconds: u32) -> Self {
        let detail = "You exceeded the limit of requests that RateLimit-Policy states. Try again after Retry-After seconds.";
        let retry_after_seconds = Some(seconds);
        Self(Arc::new(ProblemParts { retry_after_seconds, ..Self::of(ProblemKind::TooManyRequests, detail) }))
    }

    /// Too many invalid tokens came from the client's address.
    pub(crate) fn too_many_failures(detail: String, seconds: u32) -> Self {
        let retry_after_seconds = Some(seconds);
        Self(Arc::new(ProblemParts { retry_after_seconds, ..Self::of(ProblemKind::TooManyRequests, detail) }))
    }

    /// The problem for an error that arose outside our handlers, for example in the router.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let kind = ProblemKind::of_status(status);
        let detail = match kind {
            ProblemKind::NotFound => "Nothing exists at this path.",
            ProblemKind::MethodNotAllowed => {
                "This path does not support this method. See the Allow header for those it does."
            }
            ProblemKind::Internal => INTERNAL_DETAIL,
            _ => status.canonical_reason().unwrap_or("The request is not valid."),
        };
        Self::new(kind, detail)
    }

    pub(crate) fn kind(&self) -> ProblemKind {
        self.0.kind
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.kind.definition().status
    }

    /// Logs the internal cause, if there is one.
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

    /// The body. The middleware supplies the correlation id and the path.
    pub(crate) fn to_json(&self, correlation_id: &str, instance: &str) -> Vec<u8> {
        let body = self.body(correlation_id, instance);
        serde_json::to_vec(&body).expect("plain strings and numbers always serialize")
    }

    pub(crate) fn body<'a>(&'a self, correlation_id: &'a str, instance: &'a str) -> ProblemBody<'a> {
        let ProblemParts { kind, detail, errors, errors_omitted, order, subject, .. } = &*self.0;
        let body = ProblemBody::of(kind.definition(), detail, instance, correlation_id, errors);
        let body = body.omitting(*errors_omitted);
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

const INTERNAL_DETAIL: &str = "The service failed unexpectedly. Report the correlation id to its operator.";

impl From<anyhow::Error> for Problem {
    fn from(cause: anyhow::Error) -> Self {
        Self(Arc::new(ProblemParts {
            cause: Some(cause),
            ..Self::of(ProblemKind::Internal, INTERNAL_DETAIL)
        }))
    }
}

impl Problem {
    /// The event was not published. `uncertain` makes the answer if that is not certain.
    pub(crate) fn unpublished(error: PublishError, uncertain: impl FnOnce(anyhow::Error) -> Self) -> Self {
        let (kind, detail, seconds) = match error {
            PublishError::TooLarge { bytes, limit } => {
                let detail = format!(
                    "The event has {bytes} bytes; the queue accepts at most {limit}. Nothing was accepted."
                );
                return Self::new(ProblemKind::ContentTooLarge, detail);
            }
            PublishError::Unknown(_) => return uncertain(error.into()),
            PublishError::Full(_) => {
                (ProblemKind::QueueFull, "The queue cannot accept more events at the moment.", 5)
            }
            PublishError::NotAccepted(_) => {
                (ProblemKind::Unavailable, "The queue cannot be reached at the moment.", 1)
            }
        };
        let detail = format!("{detail} Nothing was accepted. Try again later.");
        Self(Arc::new(ProblemParts {
            retry_after_seconds: Some(seconds),
            cause: Some(error.into()),
            ..Self::of(kind, detail)
        }))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Some(seconds) = self.0.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if matches!(self.0.kind, ProblemKind::RequestTimeout | ProblemKind::Overloaded) {
            // The rest of the body may still arrive. It must not be parsed as the next request.
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
