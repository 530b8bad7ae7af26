//! The constructors of [`Problem`]: one for each situation. Handlers, extractors and the middleware call them.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::StatusCode;

use super::{Problem, ProblemKind, ProblemLinks, ProblemParts, ProblemSubject};
use crate::input::{BodyErrors, MAX_LISTED_ERRORS, ValidationCode, ValidationError};
use crate::ports::fence::Fence;
use crate::ports::{FindError, PublishError};

/// How long a client of a fenced service should wait before it tries again, in seconds. A move keeps the fence for some
/// seconds to minutes.
const FENCED_SECONDS: u32 = 10;

const INTERNAL_DETAIL: &str = "The service failed unexpectedly. Report the correlation id to its operator.";

impl Problem {
    /// The problem for the validation errors of a body, or of one item of a batch.
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

    /// The problem for a header with an invalid value. `rule` begins with "must".
    pub(crate) fn invalid_header(name: &'static str, rule: &'static str) -> Self {
        let errors = vec![ValidationError::parameter(name, ValidationCode::Format, rule)];
        let detail = format!("The header {name} {rule}.");
        Self(Arc::new(ProblemParts { errors, ..Self::of(ProblemKind::InvalidHeader, detail) }))
    }

    /// The problem for an idempotency key that was already used for a different request.
    pub(crate) fn key_reused() -> Self {
        let detail =
            "A different request was accepted with this key. Repeat that request exactly, or use a new key.";
        Self::new(ProblemKind::IdempotencyKeyReused, detail)
    }

    /// The problem for errors in the path or query.
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

    /// The problem for a service that cannot handle requests now. `why` is the reason.
    pub(crate) fn not_ready(why: String) -> Self {
        Self(Arc::new(ProblemParts { retry_after_seconds: Some(5), ..Self::of(ProblemKind::NotReady, why) }))
    }

    /// The problem for credentials that are missing or not valid.
    pub(crate) fn unauthorized(detail: String, challenge: String) -> Self {
        let challenge = Some(challenge);
        Self(Arc::new(ProblemParts { challenge, ..Self::of(ProblemKind::Unauthorized, detail) }))
    }

    /// The problem for a token that does not grant the scope `scope`.
    pub(crate) fn insufficient_scope(scope: &str) -> Self {
        let challenge = Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""));
        let detail = format!("The token does not grant the scope {scope}.");
        Self(Arc::new(ProblemParts { challenge, ..Self::of(ProblemKind::Forbidden, detail) }))
    }

    /// The problem for a token that cannot be verified, because the issuer's keys are missing.
    pub(crate) fn keys_missing(detail: String) -> Self {
        Self(Arc::new(ProblemParts {
            retry_after_seconds: Some(5),
            ..Self::of(ProblemKind::Unavailable, detail)
        }))
    }

    /// The problem for a request that may or may not have changed something.
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

    /// The problem for a request that reached its deadline before it changed anything.
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

    /// The problem for a write while the service is being moved.
    pub(crate) fn fenced(fence: &Fence) -> Self {
        let to = fence.address.as_ref().map(|address| format!(" Send it to {address} instead."));
        let detail =
            format!("The service accepts no writes. Nothing was accepted.{}", to.unwrap_or_default());
        let links = ProblemLinks { service: fence.address.clone(), ..ProblemLinks::default() };
        Self(Arc::new(ProblemParts {
            retry_after_seconds: Some(FENCED_SECONDS),
            subject: Some(ProblemSubject { links, ..ProblemSubject::default() }),
            ..Self::of(ProblemKind::ServiceMoved, detail)
        }))
    }

    /// The problem for a body that did not arrive in time.
    pub(crate) fn body_too_slow() -> Self {
        Self::new(
            ProblemKind::RequestTimeout,
            "The body did not arrive in time. Nothing was accepted. Try again.",
        )
    }

    /// The problem for a compressed body.
    pub(crate) fn encoded_body() -> Self {
        let detail = "Content-Encoding must be absent or identity. Compressed bodies are not accepted.";
        let accept_encoding = Some("identity");
        Self(Arc::new(ProblemParts {
            accept_encoding,
            ..Self::of(ProblemKind::UnsupportedMediaType, detail)
        }))
    }

    /// The problem for a large body while other requests use all memory for large bodies.
    pub(crate) fn too_many_bodies() -> Self {
        let detail = "The memory for large bodies is in use. Nothing was accepted. Try again.";
        Self(Arc::new(ProblemParts {
            retry_after_seconds: Some(1),
            ..Self::of(ProblemKind::Overloaded, detail)
        }))
    }

    /// The problem for a stream of events that exceeds the maximum number of the service or of the client's address.
    pub(crate) fn too_many_streams() -> Self {
        Self::too_many(
            "Too many streams of events are open. Try again after Retry-After seconds, or read pages of JSON.",
        )
    }

    /// The problem for an export while another export is running.
    pub(crate) fn too_many_exports() -> Self {
        Self::too_many("Another export is running. Try again after Retry-After seconds.")
    }

    fn too_many(detail: &'static str) -> Self {
        Self(Arc::new(ProblemParts {
            retry_after_seconds: Some(30),
            ..Self::of(ProblemKind::TooManyStreams, detail)
        }))
    }

    /// The problem for a client that exceeded its limit of requests.
    pub(crate) fn too_many_requests(seconds: u32) -> Self {
        let detail = "You exceeded the limit of requests that RateLimit-Policy states. Try again after Retry-After seconds.";
        let retry_after_seconds = Some(seconds);
        Self(Arc::new(ProblemParts { retry_after_seconds, ..Self::of(ProblemKind::TooManyRequests, detail) }))
    }

    /// The problem for a client whose address has sent too many invalid tokens.
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
                "This path does not support this method. The Allow header lists the supported methods."
            }
            ProblemKind::Internal => INTERNAL_DETAIL,
            _ => status.canonical_reason().unwrap_or("The request is not valid."),
        };
        Self::new(kind, detail)
    }

    /// The problem for an event that was not published. If it is unknown whether the event was published, `uncertain`
    /// creates the problem.
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

impl From<FindError> for Problem {
    fn from(error: FindError) -> Self {
        match error {
            FindError::NotConfigured(why) => Self::new(ProblemKind::QueryNotConfigured, why),
            FindError::Failed(cause) => cause.into(),
        }
    }
}

impl From<anyhow::Error> for Problem {
    fn from(cause: anyhow::Error) -> Self {
        Self(Arc::new(ProblemParts {
            cause: Some(cause),
            ..Self::of(ProblemKind::Internal, INTERNAL_DETAIL)
        }))
    }
}
