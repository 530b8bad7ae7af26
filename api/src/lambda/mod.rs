//! Serves the router as a Lambda function, behind Amazon API Gateway (HTTP APIs with payload formats 2.0 and 1.0, and REST
//! APIs), a function URL or an Application Load Balancer.
//!
//! [`answer`] tells requests from pings, and refuses every other event in words.
//! `lambda_http` reads the events (it decodes base64 bodies) and writes the answers (text as text; the pictures of
//! `/docs` in base64, which a REST API decodes only if `binaryMediaTypes` says so). Here the request finds its place
//! among the router's paths, whatever stage or base path it came through, and gets its deadline.

mod event;
mod gateway;

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::future::BoxFuture;
use lambda_http::lambda_runtime::{self, Diagnostic};
use lambda_http::tower::ServiceExt;
use lambda_http::{Adapter, Body as Payload, LambdaEvent, Request, RequestExt, Service, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::http::Deadline;
use crate::lambda::event::Event;
use crate::lambda::gateway::Place;

/// How long before the function's own deadline a request is given up: time enough to write the answer, and to have it
/// delivered before the invocation is cut off.
const MARGIN: Duration = Duration::from_millis(500);

/// What is to be done after each request, before it is answered: then the environment may be frozen.
pub type AfterEach = fn() -> BoxFuture<'static, ()>;

/// Whether an event, which is no request, only keeps the environment warm.
pub type IsPing = fn(&str) -> bool;

/// The answer to a ping.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pong {
    status_code: u16,
}

/// The answer to an event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer<T> {
    /// To a request, as whatever it came through wants it.
    Http(T),
    /// To a ping.
    Pong(Pong),
}

/// Serves `router` to the Lambda runtime, until that ends the process.
pub async fn serve(router: Router, is_ping: IsPing, after_each: AfterEach) -> anyhow::Result<()> {
    let serve = |event: LambdaEvent<Box<RawValue>>| {
        let router = router.clone();
        async move {
            let answer = answer(router, event, is_ping).await;
            after_each().await;
            answer
        }
    };
    lambda_runtime::run(service_fn(serve))
        .await
        .map_err(anyhow::Error::from_boxed)
        .context("serving Lambda events")
}

/// What [`serve`] runs: answers requests with `router`, pings without, and nothing else.
pub async fn answer(
    router: Router,
    event: LambdaEvent<Box<RawValue>>,
    is_ping: IsPing,
) -> Result<Answer<impl Serialize>, Diagnostic> {
    let refusal = |error: event::NoRequest| Diagnostic {
        error_type: "orders::api".to_owned(),
        error_message: error.to_string(),
    };
    match Event::read(event.payload.get(), is_ping).map_err(refusal)? {
        Event::Request(request) => {
            let event = LambdaEvent::new(*request, event.context);
            match Adapter::from(service(router)).oneshot(event).await {
                Ok(response) => Ok(Answer::Http(response)),
                Err(never) => match never {},
            }
        }
        Event::Ping => Ok(Answer::Pong(Pong { status_code: 200 })),
    }
}

/// Answers the requests that events bring with `router`.
pub fn service(
    router: Router,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {
    service_fn(move |request| router.clone().oneshot(routable(request)))
}

/// The request as the router takes it. What the event tells beside it stays in its extensions.
fn routable(request: Request) -> axum::extract::Request {
    let Place { base, uri } = gateway::place(&request);
    let deadline =
        request.lambda_context_ref().map(|context| deadline(context.deadline(), SystemTime::now()));
    let mut request = request.map(|body| match body {
        Payload::Text(text) => Body::from(text),
        Payload::Binary(bytes) => Body::from(bytes),
        // The one kind that is left: no body.
        _ => Body::empty(),
    });
    *request.uri_mut() = uri;
    request.extensions_mut().insert(base);
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    request
}

/// A moment by the wall clock, less the margin, by the clock that timers go by. A moment that has passed is now.
fn deadline(at: SystemTime, now: SystemTime) -> Deadline {
    let left = at.duration_since(now).unwrap_or_default();
    Deadline(Instant::now() + left.saturating_sub(MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_keeps_the_margin_and_is_never_in_the_past() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_431_600);
        for (left_ms, given_ms) in [(29_000, 28_500), (501, 1), (500, 0), (499, 0), (0, 0)] {
            let at = now + Duration::from_millis(left_ms);
            assert_eq!(deadline(at, now), Deadline(Instant::now() + Duration::from_millis(given_ms)));
        }
        assert_eq!(deadline(SystemTime::UNIX_EPOCH, now), Deadline(Instant::now()));
    }
}
