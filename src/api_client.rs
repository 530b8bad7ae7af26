//! The client of the service's own API, for the operators' commands. `dlq` uses it.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base_url::{BaseUrl, LOCAL_SERVICE};
use crate::http_client;
use crate::secret::TokenFile;

/// The maximum size of an answer. The largest answers are a page of dead letters, and a dead letter with its body and
/// its original.
const MAX_BYTES: usize = 64 << 20;
/// The time limit of one request, from the connection to the last byte. The service's own limit is 30 s.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The maximum number of attempts for a request that the service's rate limit refuses.
const TRIES: u32 = 10;
/// The maximum `Retry-After` that the client follows. A longer one fails the command.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The flags of every command that calls the API.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ApiClientArgs {
    /// The service's URL, including its base path if it has one.
    #[arg(long, env = "ORDERS_URL", default_value = LOCAL_SERVICE, value_name = "URL")]
    pub(crate) url: BaseUrl,
    /// The bearer token, if the service requires one. It needs the scope orders.operate. Other users of this machine
    /// can see flags: prefer the variable or --token-file.
    #[arg(long, env = "ORDERS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    #[command(flatten)]
    pub(crate) token_file: TokenFile,
}

pub(crate) struct ApiClient {
    base: BaseUrl,
    authorization: Option<HeaderValue>,
    http: reqwest::Client,
}

struct ApiResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// The members of a problem document (RFC 9457) that the commands print.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProblemDetails {
    title: String,
    detail: String,
    errors: Vec<Value>,
}

impl ApiClient {
    pub(crate) fn new(args: &ApiClientArgs) -> anyhow::Result<Self> {
        let token = args.token_file.token_or_file(args.token.as_ref())?;
        let authorization = token.map(|token| {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            value.map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        Ok(Self {
            base: args.url.clone(),
            authorization: authorization.transpose().context("the token is not one line of ASCII")?,
            http: http_client::new(TIMEOUT)?,
        })
    }

    /// Gets the resource at a path below the base URL.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.send(Method::GET, path, None).await?;
        self.decode(path, &response)
    }

    /// Like `get`, but returns `None` if the service answers that the resource does not exist.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        let response = self.send(Method::GET, path, None).await?;
        if response.status == StatusCode::NOT_FOUND && response.problem().is_some() {
            return Ok(None);
        }
        self.decode(path, &response).map(Some)
    }

    /// Posts JSON and returns the answer.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        let response = self.send(Method::POST, path, Some(body)).await?;
        self.decode(path, &response)
    }

    /// Sends a request, and repeats it after each 429.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<ApiResponse> {
        for _ in 1..TRIES {
            let response = self.send_once(&method, path, body).await?;
            match retry_after(&response) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Ok(response),
            }
        }
        self.send_once(&method, path, body).await
    }

    async fn send_once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<ApiResponse> {
        let url = format!("{}{path}", self.base);
        let mut request = self
            .http
            .request(method.clone(), url)
            .header(header::ACCEPT, "application/json, application/problem+json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(body) = body {
            request =
                request.header(header::CONTENT_TYPE, "application/json").body(serde_json::to_vec(body)?);
        }
        let response = request.send().await.map_err(|error| self.failure(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = http_client::body(response, MAX_BYTES).await;
        let body = body.map_err(|error| match error.downcast::<reqwest::Error>() {
            Ok(error) if error.is_timeout() => self.failure(error),
            Ok(error) => anyhow::Error::new(error).context("the answer broke off"),
            Err(error) => error,
        })?;
        Ok(ApiResponse { status, headers, body })
    }

    fn failure(&self, error: reqwest::Error) -> anyhow::Error {
        if error.is_timeout() {
            return anyhow::anyhow!("{} did not answer within {} s", self.base, TIMEOUT.as_secs());
        }
        let hint =
            format!("{} cannot be reached (set the service's URL with --url or ORDERS_URL)", self.base);
        anyhow::Error::new(error.without_url()).context(hint)
    }

    fn decode<T: DeserializeOwned>(&self, path: &str, response: &ApiResponse) -> anyhow::Result<T> {
        if !response.status.is_success() {
            bail!("{}", response.failure(&format!("{}{path}", self.base)));
        }
        let decoded = serde_json::from_slice(&response.body);
        decoded.with_context(|| {
            format!("{}{path} answered with something else than this API does; is the URL right?", self.base)
        })
    }
}

/// How long to wait before the next attempt, if the service's rate limit refused the request.
fn retry_after(response: &ApiResponse) -> Option<Duration> {
    if response.status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let seconds =
        response.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Some(Duration::from_secs(seconds.unwrap_or(1).max(1)).min(LONGEST_WAIT))
}

impl ApiResponse {
    fn problem(&self) -> Option<ProblemDetails> {
        let content_type = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        if !content_type.starts_with("application/problem+json") {
            return None;
        }
        serde_json::from_slice(&self.body).ok()
    }

    /// The error message for a response that is not a success.
    fn failure(&self, url: &str) -> String {
        let status = self.status;
        let Some(problem) = self.problem() else {
            return format!("{url} answered {status}, but not as this API does; is the URL right?");
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
                "\n  (pass a bearer token with the scope orders.operate in ORDERS_TOKEN or --token-file)",
            );
        }
        text
    }
}

/// Encodes the text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Appends these pairs to a path as its query.
pub(crate) fn with_query(path: &str, pairs: &[(&str, String)]) -> anyhow::Result<String> {
    ensure!(!path.contains('?'), "{path} already has a query");
    if pairs.is_empty() {
        return Ok(path.to_owned());
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Ok(format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_encodes_every_reserved_character() {
        assert_eq!(segment("7b1d-x_1.2"), "7b1d-x_1.2");
        assert_eq!(segment("a/b ?+ä"), "a%2Fb%20%3F%2B%C3%A4");
    }

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
        assert_eq!(retry_after(&response(too_many, &after("2"), "")), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(&response(too_many, &after("4000"), "")), Some(LONGEST_WAIT));
        assert_eq!(retry_after(&response(too_many, &[], "")), Some(Duration::from_secs(1)));
        assert_eq!(retry_after(&response(StatusCode::SERVICE_UNAVAILABLE, &after("2"), "")), None);
    }
}
