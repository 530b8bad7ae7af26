//! One attempt of a delivery, and what its answer means. The worker classifies each attempt with [`Finished::classify`].

use std::time::Duration;

use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// The maximum delay that an answer can ask for with `Retry-After`.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// One request to a receiver. Its JSON is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When the attempt began.
    pub at: Timestamp,
    /// How long the attempt took, in milliseconds.
    pub latency_ms: u64,
    /// The status of the answer. `None` if there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The beginning of the answer's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_excerpt: Option<String>,
    /// Why the attempt failed, in a sentence. `None` if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The answer of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The beginning of the body, without control characters.
    pub body_excerpt: Option<String>,
    /// The delay that the answer asks for in `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Why there was no answer. Each text is a sentence for operators, without the path of the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The service does not send to the address of the receiver. Nothing was sent.
    #[error("{0}")]
    Refused(String),
    /// The receiver did not answer in time.
    #[error("{0}")]
    TimedOut(String),
    /// The receiver could not be reached, or the connection broke.
    #[error("{0}")]
    Failed(String),
}

/// What an attempt means for its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has accepted the event.
    Delivered,
    /// The attempt failed. If `retry_after` is present, the next attempt is made after that delay at the earliest.
    Failed {
        /// The delay that the receiver asked for.
        retry_after: Option<Duration>,
    },
    /// The receiver wants no further events, so the subscription must be paused.
    Gone,
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The attempt, as it is stored and shown to operators.
    pub attempt: Attempt,
    /// What the attempt means for its delivery.
    pub verdict: Verdict,
    /// The value of the metric label `result`.
    pub label: &'static str,
}

impl Finished {
    /// Classifies the result of an attempt that began at `at`.
    pub fn classify(at: Timestamp, latency: Duration, result: Result<Answer, PostError>) -> Self {
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let (status, body_excerpt, error, verdict, label) = match result {
            Ok(answer) => {
                let verdict = verdict(&answer);
                let label = if verdict == Verdict::Delivered { "delivered" } else { "failed" };
                (Some(answer.status), answer.body_excerpt, failure(answer.status), verdict, label)
            }
            Err(error) => {
                let label = match error {
                    PostError::Refused(_) => "refused",
                    PostError::TimedOut(_) => "timed_out",
                    PostError::Failed(_) => "failed",
                };
                (None, None, Some(error.to_string()), Verdict::Failed { retry_after: None }, label)
            }
        };
        Self { attempt: Attempt { at, latency_ms, status, body_excerpt, error }, verdict, label }
    }
}

fn verdict(answer: &Answer) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Delivered,
        410 => Verdict::Gone,
        _ => Verdict::Failed { retry_after: answer.retry_after.map(|delay| delay.min(MAX_RETRY_AFTER)) },
    }
}

/// Why an answer with the given status is a failure. `None` if it is a success.
fn failure(status: u16) -> Option<String> {
    match status {
        200..=299 => None,
        300..=399 => {
            Some(format!("the receiver answered with the redirect {status}, and redirects are not followed"))
        }
        410 => Some("the receiver answered 410 Gone: it wants no further events".to_owned()),
        _ => Some(format!("the receiver answered with the status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(result: Result<Answer, PostError>) -> Finished {
        Finished::classify(Timestamp::from_micros(0).unwrap(), Duration::from_millis(12), result)
    }

    fn answer(status: u16, retry_after: Option<u64>) -> Result<Answer, PostError> {
        Ok(Answer { status, body_excerpt: None, retry_after: retry_after.map(Duration::from_secs) })
    }

    #[test]
    fn only_2xx_delivers_and_only_410_pauses() {
        for status in 100..600 {
            let finished = classified(answer(status, None));
            let expected = match status {
                200..=299 => Verdict::Delivered,
                410 => Verdict::Gone,
                _ => Verdict::Failed { retry_after: None },
            };
            assert_eq!(finished.verdict, expected, "{status}");
            assert_eq!(finished.attempt.error.is_none(), expected == Verdict::Delivered, "{status}");
        }
        let redirect = classified(answer(302, None)).attempt.error.unwrap();
        assert!(redirect.contains("redirects are not followed"), "{redirect}");
    }

    #[test]
    fn a_retry_after_counts_for_failures_up_to_a_day() {
        let retry_after = |seconds| match classified(answer(503, Some(seconds))).verdict {
            Verdict::Failed { retry_after } => retry_after.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(retry_after(120), Duration::from_secs(120));
        assert_eq!(retry_after(1_000_000), MAX_RETRY_AFTER);
    }

    #[test]
    fn the_metrics_distinguish_refusals_and_timeouts() {
        let label = |error| classified(Err(error)).label;
        assert_eq!(label(PostError::Refused("r".to_owned())), "refused");
        assert_eq!(label(PostError::TimedOut("t".to_owned())), "timed_out");
        assert_eq!(label(PostError::Failed("f".to_owned())), "failed");
    }
}
