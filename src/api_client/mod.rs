//! The client of the service's own API, for the commands that call a running service: `backup`, `dlq`, `export`, `move`, `tail` and
//! `webhooks`.

mod paging;
mod response;

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::paging::{List, segment, with_query};
use self::response::ApiResponse;
use crate::base_url::{BaseUrl, LOCAL_SERVICE};
use crate::http_client;
use crate::secret::TokenFile;

/// The maximum size of an answer. The largest answers are a page of dead letters, and a single dead letter with its
/// current and its original body.
const MAX_BYTES: usize = 64 << 20;
/// The time limit of one request, from the connection to the last byte. The service's own limit is 30 s.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The time limit of an answer that is read piece by piece.
#[cfg(feature = "embedded")]
const LONGEST_STREAM: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The maximum number of attempts for a request that the service's rate limit refuses.
const TRIES: u32 = 10;

/// The flags of every command that calls the API.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ApiClientArgs {
    /// The service's URL, including its base path if it has one.
    #[arg(long, env = "ORDERS_URL", default_value = LOCAL_SERVICE, value_name = "URL")]
    pub(crate) url: BaseUrl,
    /// The bearer token, if the service requires one. It needs the scope orders.operate; orders.read is enough for
    /// `tail`. Other users of this machine can see flags: prefer the variable or --token-file.
    #[arg(long, env = "ORDERS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    #[command(flatten)]
    pub(crate) token_file: TokenFile,
}

#[derive(Clone)]
pub(crate) struct ApiClient {
    base: BaseUrl,
    authorization: Option<HeaderValue>,
    http: reqwest::Client,
}

/// Why a request failed, for commands that repeat requests.
#[derive(Debug)]
pub(crate) enum RequestFailure {
    /// The service could not be reached or could not answer now. The same request may succeed later.
    Temporary(anyhow::Error),
    /// The service refuses the request, and would refuse it again.
    Final(anyhow::Error),
}

/// The error for a request for a stream that the service refused.
#[cfg(feature = "embedded")]
#[derive(Debug)]
pub(crate) struct StreamRefused {
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only a move repeats refused requests"))]
    pub(crate) status: StatusCode,
    text: String,
}

#[cfg(feature = "embedded")]
impl std::fmt::Display for StreamRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(feature = "embedded")]
impl std::error::Error for StreamRefused {}

struct ApiRequest<'a> {
    method: Method,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: Option<&'a Value>,
    /// How many seconds the service may wait for something to return. With `None`, it answers immediately.
    prefer_wait: Option<u64>,
}

impl<'a> ApiRequest<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, headers: &[], body: None, prefer_wait: None }
    }
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
        let response = self.send(&ApiRequest::get(path)).await?;
        self.decode(path, &response)
    }

    /// Like `get`, but returns `None` if the service answers that the resource does not exist.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        let response = self.send(&ApiRequest::get(path)).await?;
        if response.status == StatusCode::NOT_FOUND && response.problem().is_some() {
            return Ok(None);
        }
        self.decode(path, &response).map(Some)
    }

    /// Posts JSON and returns the answer.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        let response = self
            .send(&ApiRequest { method: Method::POST, body: Some(body), ..ApiRequest::get(path) })
            .await?;
        self.decode(path, &response)
    }

    /// Posts JSON, and expects an answer without a body.
    pub(crate) async fn post_without_answer(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let request = ApiRequest { method: Method::POST, body: Some(body), ..ApiRequest::get(path) };
        let response = self.send(&request).await?;
        self.check(path, &response)
    }

    /// Sends JSON with additional headers, and returns the answer.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> anyhow::Result<T> {
        let request = ApiRequest { method, headers, body: Some(body), ..ApiRequest::get(path) };
        let response = self.send(&request).await?;
        self.decode(path, &response)
    }

    /// Deletes the resource at a path.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        let response = self.send(&ApiRequest { method: Method::DELETE, ..ApiRequest::get(path) }).await?;
        self.check(path, &response)
    }

    /// Like `get`, but the error states whether the same request may succeed later. `prefer_wait` is the number of
    /// seconds that the service may wait for something to return.
    pub(crate) async fn try_get<T: DeserializeOwned>(
        &self,
        path: &str,
        prefer_wait: Option<u64>,
    ) -> Result<T, RequestFailure> {
        let request = ApiRequest { prefer_wait, ..ApiRequest::get(path) };
        let response = self.send(&request).await.map_err(RequestFailure::Temporary)?;
        let is_temporary =
            response.status.is_server_error() || response.status == StatusCode::TOO_MANY_REQUESTS;
        self.decode(path, &response).map_err(|error| match is_temporary {
            true => RequestFailure::Temporary(error),
            false => RequestFailure::Final(error),
        })
    }

    /// Gets a resource of any size, which the caller reads piece by piece. The answer must begin within the time limit
    /// of other requests, and end within [`LONGEST_STREAM`].
    #[cfg(feature = "embedded")]
    pub(crate) async fn stream(&self, path: &str, accept: &str) -> anyhow::Result<reqwest::Response> {
        let send = self.request(Method::GET, path, accept).timeout(LONGEST_STREAM).send();
        let response = tokio::time::timeout(TIMEOUT, send).await;
        let response = response.map_err(|_| self.no_answer())?.map_err(|error| self.failure(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = http_client::body(response, MAX_BYTES).await?;
        let text = ApiResponse { status, headers, body }.failure(&format!("{}{path}", self.base));
        Err(StreamRefused { status, text }.into())
    }

    fn request(&self, method: Method, path: &str, accept: &str) -> RequestBuilder {
        let request =
            self.http.request(method, format!("{}{path}", self.base)).header(header::ACCEPT, accept);
        match &self.authorization {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization),
            None => request,
        }
    }

    fn no_answer(&self) -> anyhow::Error {
        anyhow::anyhow!("{} did not answer within {} s", self.base, TIMEOUT.as_secs())
    }

    /// Sends a request, and repeats it after each 429.
    async fn send(&self, request: &ApiRequest<'_>) -> anyhow::Result<ApiResponse> {
        for _ in 1..TRIES {
            let response = self.send_once(request).await?;
            match response.retry_after() {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Ok(response),
            }
        }
        self.send_once(request).await
    }

    async fn send_once(&self, request: &ApiRequest<'_>) -> anyhow::Result<ApiResponse> {
        let ApiRequest { method, path, headers, body, prefer_wait } = request;
        let mut request = self.request(method.clone(), path, "application/json, application/problem+json");
        if let Some(seconds) = prefer_wait {
            request = request.header("prefer", format!("wait={seconds}"));
        }
        for (name, value) in *headers {
            request = request.header(*name, *value);
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
            Ok(error) => {
                anyhow::Error::new(error).context("the connection closed before the answer was complete")
            }
            Err(error) => error,
        })?;
        Ok(ApiResponse { status, headers, body })
    }

    fn failure(&self, error: reqwest::Error) -> anyhow::Error {
        if error.is_timeout() {
            return self.no_answer();
        }
        let hint =
            format!("{} cannot be reached (set the service's URL with --url or ORDERS_URL)", self.base);
        anyhow::Error::new(error.without_url()).context(hint)
    }

    fn check(&self, path: &str, response: &ApiResponse) -> anyhow::Result<()> {
        if response.status.is_success() {
            return Ok(());
        }
        bail!("{}", response.failure(&format!("{}{path}", self.base)))
    }

    fn decode<T: DeserializeOwned>(&self, path: &str, response: &ApiResponse) -> anyhow::Result<T> {
        self.check(path, response)?;
        let decoded = serde_json::from_slice(&response.body);
        decoded.with_context(|| {
            format!("{}{path} did not answer like the API of an order service; is the URL right?", self.base)
        })
    }
}
