//! Sends requests to the service: once, or until they are answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
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
/// Pauses between attempts double from the first to the last of these.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The longest `Retry-After` that is heeded.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A request to send, as often as it takes.
#[derive(Debug, Clone)]
pub(super) struct LoadRequest<'a> {
    pub(super) path: &'a str,
    /// A request with a body is a `POST`, and without one a `GET`.
    pub(super) body: Option<Bytes>,
    pub(super) key: Option<String>,
    /// Any other than JSON.
    pub(super) content_type: Option<HeaderValue>,
    /// `wait=N`.
    pub(super) prefer: Option<HeaderValue>,
}

impl<'a> LoadRequest<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self { path, body: None, key: None, content_type: None, prefer: None }
    }

    pub(super) fn post(path: &'a str, body: impl Into<Bytes>) -> Self {
        Self { body: Some(body.into()), ..Self::get(path) }
    }

    /// A `GET` of a receipt that is answered once there is an outcome, or after some time without.
    pub(super) fn wait(path: &'a str) -> Self {
        Self { prefer: Some(HeaderValue::from_static("wait=20")), ..Self::get(path) }
    }

    fn request(&self, target: &LoadTarget) -> anyhow::Result<Request<RequestBody>> {
        let method = if self.body.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::builder().method(method).uri(self.path).body(RequestBody::default())?;
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

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct LoadResponse {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// Whether it says that the request was accepted before.
    pub(super) replayed: bool,
    /// For how long the service asks to be left alone.
    retry_after: Option<Duration>,
    /// Of head and body, as far as they are known.
    pub(super) bytes: u64,
}

impl LoadResponse {
    /// Whether to ask again: the service could not do it, or was asked too often.
    pub(super) fn is_for_later(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct RequestFailure {
    pub(super) kind: RequestFailureKind,
    pub(super) error: anyhow::Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFailureKind {
    /// There was no connection: the request was not sent.
    Connect,
    /// The connection broke: nobody knows whether the request arrived.
    Broken,
    /// Nor here.
    TimedOut,
}

/// Sends requests, over the target's connections.
#[derive(Debug, Clone)]
pub(super) struct LoadClient {
    target: Arc<LoadTarget>,
    timeout: Duration,
}

impl LoadClient {
    pub(super) fn new(target: Arc<LoadTarget>, timeout: Duration) -> Self {
        Self { target, timeout }
    }

    /// Sends a request, once.
    pub(super) async fn send(&self, ask: &LoadRequest<'_>) -> Result<LoadResponse, RequestFailure> {
        // A request that is given up takes its connection with it: what comes there would be taken for the answer to
        // the next one.
        let sent = tokio::time::timeout(self.timeout, self.send_in_time(ask)).await;
        let late = || anyhow!("no answer in {} s", self.timeout.as_secs_f64());
        let sent = sent
            .unwrap_or_else(|_| Err(RequestFailure { kind: RequestFailureKind::TimedOut, error: late() }));
        self.target.silence.note(sent.as_ref().is_ok_and(|answer| !answer.status.is_server_error()));
        sent
    }

    async fn send_in_time(&self, ask: &LoadRequest<'_>) -> Result<LoadResponse, RequestFailure> {
        let connect = |error| RequestFailure { kind: RequestFailureKind::Connect, error };
        let broken =
            |error: hyper::Error| RequestFailure { kind: RequestFailureKind::Broken, error: error.into() };
        let request = ask.request(&self.target).map_err(connect)?;
        let mut sender = self.target.connection().await.map_err(connect)?;
        let (parts, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        let body = body.collect().await.map_err(broken)?.to_bytes();
        self.target.keep(sender);
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

    /// Sends a request until it is answered with something that will not change, but no longer than `patience` after
    /// the first failure. `failed` hears of every attempt that came to nothing.
    pub(super) async fn send_until_answered(
        &self,
        ask: &LoadRequest<'_>,
        patience: Duration,
        rng: &mut Rng,
        mut failed: impl FnMut(&Result<LoadResponse, RequestFailure>),
    ) -> Result<LoadResponse, RequestFailure> {
        let mut pause = PAUSES.0;
        let mut give_up: Option<Instant> = None;
        loop {
            let result = self.send(ask).await;
            let asked_to_wait = match &result {
                Ok(answer) if !answer.is_for_later() => return result,
                Ok(answer) => answer.retry_after.unwrap_or_default().min(LONGEST_PAUSE),
                Err(_) => Duration::ZERO,
            };
            failed(&result);
            let next = pause.mul_f64(0.5 + 0.5 * rng.f64()).max(asked_to_wait);
            let give_up = *give_up.get_or_insert_with(|| Instant::now() + patience);
            if Instant::now() + next > give_up {
                return result;
            }
            tokio::time::sleep(next).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

/// The status line, the headers and the body.
fn size(headers: &HeaderMap, body: &Bytes) -> u64 {
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (17 + head + 2 + body.len()) as u64
}
