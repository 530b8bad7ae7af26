//! Sends requests to the service under load, once or until they are answered. The workers, the samples and the audit
//! use it. `docs/decisions/load-generator-http-client.md` explains why the client does not use reqwest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use fastrand::Rng;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::{Method, Request, StatusCode};

use super::target::{LoadTarget, RequestBody};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("orders-load/", env!("CARGO_PKG_VERSION")));
/// The first and the maximum pause between two attempts. Each pause is twice the previous one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The maximum `Retry-After` that we follow.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A request that can be sent repeatedly.
#[derive(Debug, Clone)]
pub(super) struct LoadRequest<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) body: Option<Bytes>,
    pub(super) key: Option<String>,
    /// The content type, if it is not JSON.
    pub(super) content_type: Option<HeaderValue>,
    /// The value of `Prefer`, such as `wait=20`.
    pub(super) prefer: Option<HeaderValue>,
}

impl<'a> LoadRequest<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, key: None, content_type: None, prefer: None }
    }

    pub(super) fn post(path: &'a str, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, body: Some(body.into()), ..Self::get(path) }
    }

    pub(super) fn delete(path: &'a str) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// A `GET` of a receipt. The service answers when the event has an outcome, or after 20 s.
    pub(super) fn wait(path: &'a str) -> Self {
        Self { prefer: Some(HeaderValue::from_static("wait=20")), ..Self::get(path) }
    }

    fn to_http(&self, target: &LoadTarget) -> anyhow::Result<Request<RequestBody>> {
        let mut request =
            Request::builder().method(self.method.clone()).uri(self.path).body(RequestBody::default())?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, target.host.clone());
        headers.insert(header::USER_AGENT, AGENT);
        if let Some(authorization) = &target.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        if let Some(prefer) = &self.prefer {
            headers.insert(PREFER, prefer.clone());
        }
        if let Some(key) = &self.key {
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key)?);
        }
        if let Some(body) = &self.body {
            headers.insert(header::CONTENT_TYPE, self.content_type.clone().unwrap_or(JSON));
            *request.body_mut() = RequestBody::new(body.clone());
        }
        Ok(request)
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct LoadResponse {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// Whether the service recognised the idempotency key and replayed an earlier answer.
    pub(super) replayed: bool,
    /// The value of `Retry-After`.
    retry_after: Option<Duration>,
    /// The size of the answer in bytes: status line, headers and body.
    pub(super) bytes: u64,
}

impl LoadResponse {
    /// Whether the request should be sent again: the service failed, or refused it by its rate limit.
    pub(super) fn is_retryable(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }
}

/// Why a request got no answer.
#[derive(Debug)]
pub(super) struct RequestFailure {
    pub(super) kind: RequestFailureKind,
    pub(super) error: anyhow::Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFailureKind {
    /// There was no connection, so the request was not sent.
    Connect,
    /// The connection broke. The request may have arrived.
    Broken,
    /// The request timed out. It may have arrived.
    TimedOut,
}

/// Sends requests over the target's connections.
#[derive(Debug, Clone)]
pub(super) struct LoadClient {
    target: Arc<LoadTarget>,
    timeout: Duration,
}

impl LoadClient {
    pub(super) fn new(target: Arc<LoadTarget>, timeout: Duration) -> Self {
        Self { target, timeout }
    }

    /// Sends a request once.
    pub(super) async fn send(&self, request: &LoadRequest<'_>) -> Result<LoadResponse, RequestFailure> {
        // A timeout drops the connection. Otherwise a late answer would be read as the answer to the next request.
        let sent = tokio::time::timeout(self.timeout, self.send_without_timeout(request)).await;
        let late = || anyhow!("no answer within {} s", self.timeout.as_secs_f64());
        let sent = sent
            .unwrap_or_else(|_| Err(RequestFailure { kind: RequestFailureKind::TimedOut, error: late() }));
        self.target.outage.note(sent.as_ref().is_ok_and(|answer| !answer.status.is_server_error()));
        sent
    }

    async fn send_without_timeout(&self, request: &LoadRequest<'_>) -> Result<LoadResponse, RequestFailure> {
        let connect = |error| RequestFailure { kind: RequestFailureKind::Connect, error };
        let broken =
            |error: hyper::Error| RequestFailure { kind: RequestFailureKind::Broken, error: error.into() };
        let request = request.to_http(&self.target).map_err(connect)?;
        let mut sender = self.target.connection().await.map_err(connect)?;
        let (parts, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = body.collect().await.map_err(broken)?.to_bytes();
        self.target.give_back(sender);
        let retry_after =
            parts.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(LoadResponse {
            status: parts.status,
            replayed: parts.headers.get(REPLAYED).is_some_and(|value| value == "true"),
            retry_after: retry_after.map(Duration::from_secs),
            bytes: size(&parts.headers, &body),
            body,
        })
    }

    /// Checks, before any load, that the target is this service and accepts our token.
    pub(super) async fn check_service(&self) -> anyhow::Result<()> {
        let url = &self.target.url;
        let path = url.path("/v1/orders?customer_id=orders-load&limit=1");
        let answer = self.send(&LoadRequest::get(&path)).await;
        let answer = answer.map_err(|failure| failure.error.context(format!("no answer from {url}")))?;
        let text = String::from_utf8_lossy(&answer.body);
        let is_page = || {
            let json = serde_json::from_slice::<serde_json::Value>(&answer.body);
            json.is_ok_and(|page| page.get("items").is_some())
        };
        match answer.status.as_u16() {
            200 if is_page() => Ok(()),
            401 | 403 => bail!(
                "{url} refuses access ({}): pass a token that may read and write orders in ORDERS_TOKEN or \
                 --token-file. {text}",
                answer.status
            ),
            _ => {
                bail!(
                    "the server at {url} is not this service: {} in answer to GET {path}: {text:.300}",
                    answer.status
                )
            }
        }
    }

    /// Sends a request until it gets an answer that is not retryable, or until `patience` has passed since the first
    /// failure. Calls `failed` for every failed attempt.
    pub(super) async fn send_until_answered(
        &self,
        request: &LoadRequest<'_>,
        patience: Duration,
        rng: &mut Rng,
        mut failed: impl FnMut(&Result<LoadResponse, RequestFailure>),
    ) -> Result<LoadResponse, RequestFailure> {
        let mut pause = PAUSES.0;
        let mut give_up: Option<Instant> = None;
        loop {
            let result = self.send(request).await;
            let retry_after = match &result {
                Ok(answer) if !answer.is_retryable() => return result,
                Ok(answer) => answer.retry_after.unwrap_or_default().min(LONGEST_PAUSE),
                Err(_) => Duration::ZERO,
            };
            failed(&result);
            let next = pause.mul_f64(0.5 + 0.5 * rng.f64()).max(retry_after);
            let give_up = *give_up.get_or_insert_with(|| Instant::now() + patience);
            if Instant::now() + next > give_up {
                return result;
            }
            tokio::time::sleep(next).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

/// The size of the status line, the headers and the body in bytes.
fn size(headers: &HeaderMap, body: &Bytes) -> u64 {
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (17 + head + 2 + body.len()) as u64
}
