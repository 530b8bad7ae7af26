//! An answer of the service, and the errors that it describes. [`super::ApiClient`] reads the answer.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};
use serde::Deserialize;
use serde_json::Value;

/// The maximum `Retry-After` that the client follows. A longer value fails the command.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// An answer of the service with its complete body.
pub(super) struct ApiResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// The members of a problem document (RFC 9457) that the commands print.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProblemDetails {
    title: String,
    detail: String,
    errors: Vec<Value>,
}

impl ApiResponse {
    /// How long to wait before the next attempt, if the service's rate limit refused the request.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        if self.status != StatusCode::TOO_MANY_REQUESTS {
            return None;
        }
        let seconds =
            self.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Some(Duration::from_secs(seconds.unwrap_or(1).max(1)).min(LONGEST_WAIT))
    }

    pub(super) fn problem(&self) -> Option<ProblemDetails> {
        let content_type = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        if !content_type.starts_with("application/problem+json") {
            return None;
        }
        serde_json::from_slice(&self.body).ok()
    }

    /// The error message for a response that is not a success.
    pub(super) fn failure(&self, url: &str) -> String {
        let status = self.status;
        let Some(problem) = self.problem() else {
            return format!(
                "{url} answered {status}, but not like the API of an order service; is the URL right?"
            );
        };
        let mut text = match (problem.title.as_str(), problem.detail.as_str()) {
            ("", "") => format!("the service answered {status}"),
            (title, "") => title.to_owned(),
            ("", detail) => detail.to_owned(),
            (title, detail) => format!("{title}: {detail}"),
        };
        for error in &problem.errors {
            let member = |name: &str| error.get(name).and_then(Value::as_str);
            let at = member("pointer").or(member("parameter")).unwrap_or_default();
            let separator = if at.is_empty() { "" } else { ": " };
            text.push_str(&format!("\n  {at}{separator}{}", member("detail").unwrap_or_default()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            text.push_str(
                "\n  (pass a bearer token with the required scope in ORDERS_TOKEN or --token-file)",
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: StatusCode, headers: &[(header::HeaderName, &str)], body: &str) -> ApiResponse {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        ApiResponse { status, headers: headers.collect(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn an_error_contains_the_problem_and_its_validation_errors() {
        let problem = r#"{"type":"/problems/invalid-parameter","title":"Invalid parameter","status":400,
            "detail":"The query is invalid.","errors":[{"parameter":"limit","code":"range","detail":"must be 1–200"}]}"#;
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let text = response(StatusCode::BAD_REQUEST, &kind, problem).failure("http://a");
        assert_eq!(text, "Invalid parameter: The query is invalid.\n  limit: must be 1–200");
        let text = response(StatusCode::UNAUTHORIZED, &kind, "{}").failure("http://a");
        assert!(text.contains("401") && text.contains("ORDERS_TOKEN"), "{text}");
        let text = response(StatusCode::BAD_GATEWAY, &[], "<html>").failure("http://a/x");
        assert!(text.contains("http://a/x answered 502"), "{text}");
    }

    #[test]
    fn only_a_rate_limit_is_waited_for() {
        let too_many = StatusCode::TOO_MANY_REQUESTS;
        let after = |seconds| [(header::RETRY_AFTER, seconds)];
        assert_eq!(response(too_many, &after("2"), "").retry_after(), Some(Duration::from_secs(2)));
        assert_eq!(response(too_many, &after("4000"), "").retry_after(), Some(LONGEST_WAIT));
        assert_eq!(response(too_many, &[], "").retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(response(StatusCode::SERVICE_UNAVAILABLE, &after("2"), "").retry_after(), None);
    }
}
