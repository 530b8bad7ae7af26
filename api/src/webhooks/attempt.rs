//! The body that shows one request to a receiver. Deliveries and the answer to a test contain this body.

use domain::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ports::webhooks::DeliveryAttempt;

/// One request to the receiver.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub(crate) struct AttemptBody {
    /// Whether the receiver answered with a 2xx status.
    succeeded: bool,
    /// When the attempt began.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// How long the attempt took, in milliseconds.
    latency_ms: u64,
    /// The status of the answer. Absent if there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 100, maximum = 999)]
    status: Option<u16>,
    /// The beginning of the answer's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    body_excerpt: Option<String>,
    /// Why the attempt failed, in a sentence. Absent if it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

impl AttemptBody {
    pub(crate) fn of(attempt: &DeliveryAttempt) -> Self {
        Self {
            succeeded: attempt.error.is_none(),
            at: attempt.at,
            latency_ms: attempt.latency_ms,
            status: attempt.status,
            body_excerpt: attempt.body_excerpt.clone(),
            error: attempt.error.clone(),
        }
    }
}
