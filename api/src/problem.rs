//! Every error that clients see: problem details (RFC 9457).
//!
//! A handler answers with a [`Problem`]; the middleware of [`crate::correlation`] writes it out, because only there
//! the request's path and correlation id are at hand. It does so for axum's own errors too, so none is plain text.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::faults::Fault;
use crate::ports::PublishError;
use crate::principal::Scope;

/// The kinds of problem, each with its URI reference, title and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    BadRequest,
    InvalidJson,
    InvalidParameter,
    InvalidRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    OrderNotFound,
    EventNotFound,
    MethodNotAllowed,
    ContentTooLarge,
    UnsupportedMediaType,
    Internal,
    QueueFull,
    Unavailable,
    NotReady,
}

impl Kind {
    #[rustfmt::skip]
    fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::BadRequest => ("/problems/bad-request", "Bad request", StatusCode::BAD_REQUEST),
            Self::InvalidJson => ("/problems/invalid-json", "The body is not valid JSON", StatusCode::BAD_REQUEST),
            Self::InvalidParameter => ("/problems/invalid-parameter", "Invalid path or query", StatusCode::BAD_REQUEST),
            Self::InvalidRequest => ("/problems/invalid-request", "Invalid request", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Unauthorized => ("/problems/unauthorized", "Authentication is required", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("/problems/forbidden", "Not allowed", StatusCode::FORBIDDEN),
            Self::NotFound => ("/problems/not-found", "Not found", StatusCode::NOT_FOUND),
            Self::OrderNotFound => ("/problems/order-not-found", "Order not found", StatusCode::NOT_FOUND),
            Self::EventNotFound => ("/problems/event-not-found", "Event not found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("/problems/method-not-allowed", "Method not allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::ContentTooLarge => ("/problems/content-too-large", "Content too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => ("/problems/unsupported-media-type", "Unsupported media type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::Internal => ("/problems/internal", "Internal error", StatusCode::INTERNAL_SERVER_ERROR),
            Self::QueueFull => ("/problems/queue-full", "The queue is full", StatusCode::SERVICE_UNAVAILABLE),
            Self::Unavailable => ("/problems/unavailable", "Temporarily unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::NotReady => ("/problems/not-ready", "Not ready", StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// The kind of an error that came about outside our handlers.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::ContentTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

/// An error, on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<Fault>,
    retry_after_seconds: Option<u32>,
    /// The `WWW-Authenticate` of the response: how to be let in (RFC 6750, section 3).
    challenge: Option<String>,
    /// What happened inside: for the log, never for the client.
    cause: Option<anyhow::Error>,
}

impl Problem {
    fn of(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Parts {
        Parts {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
            challenge: None,
            cause: None,
        }
    }

    pub(crate) fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Self::of(kind, detail)))
    }

    /// Faults in the body: `errors`, of `count` in all.
    pub(crate) fn invalid_body(errors: Vec<Fault>, count: usize) -> Self {
        let detail = match (count, errors.len()) {
            (1, _) => "The body has 1 fault.".to_owned(),
            (count, listed) if count > listed => {
                format!("The body has {count} faults; the first {listed} are listed.")
            }
            (count, _) => format!("The body has {count} faults."),
        };
        Self(Arc::new(Parts { errors, ..Self::of(Kind::InvalidRequest, detail) }))
    }

    /// Faults in the path or query.
    pub(crate) fn invalid_parameters(errors: Vec<Fault>) -> Self {
        let detail = "The path or the query has faults.";
        Self(Arc::new(Parts { errors, ..Self::of(Kind::InvalidParameter, detail) }))
    }

    /// The service is not ready for work.
    pub(crate) fn not_ready(why: String) -> Self {
        Self(Arc::new(Parts { retry_after_seconds: Some(5), ..Self::of(Kind::NotReady, why) }))
    }

    /// The request is not let in.
    pub(crate) fn unauthorized(detail: String, challenge: String) -> Self {
        let challenge = Some(challenge);
        Self(Arc::new(Parts { challenge, ..Self::of(Kind::Unauthorized, detail) }))
    }

    /// The principal may not do this.
    pub(crate) fn insufficient_scope(scope: Scope) -> Self {
        let scope = scope.as_str();
        let challenge = Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""));
        let detail = format!("This needs the scope {scope}.");
        Self(Arc::new(Parts { challenge, ..Self::of(Kind::Forbidden, detail) }))
    }

    /// Nobody can be let in for now.
    pub(crate) fn keys_missing(detail: String) -> Self {
        Self(Arc::new(Parts { retry_after_seconds: Some(5), ..Self::of(Kind::Unavailable, detail) }))
    }

    /// The request took longer than whoever runs the service allows.
    pub(crate) fn out_of_time() -> Self {
        let detail = "The request could not be finished in time. \
            If it was to publish an event, that may have happened all the same.";
        let cause = Some(anyhow::anyhow!("the deadline has passed"));
        let retry_after_seconds = Some(1);
        Self(Arc::new(Parts { cause, retry_after_seconds, ..Self::of(Kind::Unavailable, detail) }))
    }

    /// The problem of an error that came about outside our handlers.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let kind = Kind::of_status(status);
        let detail = match kind {
            Kind::NotFound => "There is nothing at this path.",
            Kind::MethodNotAllowed => "This path does not take this method; Allow lists those it takes.",
            Kind::Internal => INTERNAL_DETAIL,
            _ => status.canonical_reason().unwrap_or("The request could not be understood."),
        };
        Self::new(kind, detail)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.kind.parts().2
    }

    /// Logs what happened inside, if anything did.
    pub(crate) fn log(&self, correlation_id: &str, instance: &str) {
        if let Some(cause) = &self.0.cause {
            let problem = self.0.kind.parts().0;
            tracing::error!(
                correlation_id,
                instance,
                problem,
                error = format!("{cause:#}"),
                "request failed"
            );
        }
    }

    /// The body, with what the middleware knows of the request.
    pub(crate) fn to_json(&self, correlation_id: &str, instance: &str) -> Vec<u8> {
        let (type_, title, status) = self.0.kind.parts();
        let body = ProblemBody {
            type_,
            title,
            status: status.as_u16(),
            detail: &self.0.detail,
            instance,
            correlation_id,
            errors: &self.0.errors,
        };
        serde_json::to_vec(&body).expect("plain strings and numbers always serialize")
    }
}

const INTERNAL_DETAIL: &str = "Something went wrong inside. The correlation id finds it in the logs.";

impl From<anyhow::Error> for Problem {
    fn from(cause: anyhow::Error) -> Self {
        Self(Arc::new(Parts { cause: Some(cause), ..Self::of(Kind::Internal, INTERNAL_DETAIL) }))
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        let (kind, detail, seconds) = match error {
            PublishError::TooLarge { bytes, limit } => {
                let detail = format!(
                    "The event has {bytes} bytes, and the queue takes {limit} at most. Nothing was accepted."
                );
                return Self::new(Kind::ContentTooLarge, detail);
            }
            PublishError::Full(_) => (Kind::QueueFull, "The queue takes no more events for now.", 5),
            PublishError::Unavailable(_) => (Kind::Unavailable, "The queue cannot be reached for now.", 1),
        };
        let detail = format!("{detail} Nothing was accepted; try again later.");
        Self(Arc::new(Parts {
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
        if let Some(challenge) = &self.0.challenge {
            let challenge = HeaderValue::from_str(challenge).expect("our own words, in visible ASCII");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// An error, as problem details (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Names the kind of problem; a stable URI reference.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/problems/invalid-request")]
    type_: &'a str,
    /// The kind of problem in words, the same for every problem of its type.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    detail: &'a str,
    /// The path of the request.
    #[schema(format = "uri-reference")]
    instance: &'a str,
    /// Finds the request in the logs.
    correlation_id: &'a str,
    /// What is wrong with the request, all of it (the first 100, if there is more).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Fault],
}
