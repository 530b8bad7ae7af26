//! Serves the router as a Lambda function, behind Amazon API Gateway (HTTP APIs with payload formats 2.0 and 1.0, and
//! REST APIs), a function URL or an Application Load Balancer. The command for Lambda calls [`serve`].
//!
//! [`answer`] handles requests and pings, and refuses every other event with an explanation. `lambda_http` parses the
//! events, decodes their base64 bodies and writes the answers. The pictures of `/docs` are written in base64. A REST
//! API decodes them only if its `binaryMediaTypes` list them. This module sets the deadline and removes the stage or
//! base path from the request's path (`gateway`).

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
use crate::lambda::event::Invocation;
use crate::lambda::gateway::RoutedPath;

/// How long before the deadline of its invocation a request must be answered. The time is enough to write and deliver
/// an answer.
const MARGIN: Duration = Duration::from_millis(500);

/// Runs after each request, before its answer is returned. When the answer is returned, the environment may be frozen.
pub type AfterEach = fn() -> BoxFuture<'static, ()>;

/// Whether an event that is not a request is a ping, which only keeps the environment warm.
pub type IsPing = fn(&str) -> bool;

/// The answer to a ping.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pong {
    status_code: u16,
}

/// The answer to an event: an HTTP response, or the answer to a ping.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum LambdaAnswer<T> {
    /// The answer to a request, in the format of its event source.
    Http(T),
    /// The answer to a ping.
    Pong(Pong),
}

/// Serves `router` until the Lambda runtime ends the process.
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

/// Answers one event. `router` answers a request. A ping gets a fixed answer. Any other event is an error. [`serve`]
/// calls this function.
pub async fn answer(
    router: Router,
    event: LambdaEvent<Box<RawValue>>,
    is_ping: IsPing,
) -> Result<LambdaAnswer<impl Serialize>, Diagnostic> {
    let refusal = |error: event::UnsupportedEvent| Diagnostic {
        error_type: "orders::api".to_owned(),
        error_message: error.to_string(),
    };
    match Invocation::read(event.payload.get(), is_ping).map_err(refusal)? {
        Invocation::Request(request) => {
            let event = LambdaEvent::new(*request, event.context);
            match Adapter::from(service(router)).oneshot(event).await {
                Ok(response) => Ok(LambdaAnswer::Http(response)),
                Err(never) => match never {},
            }
        }
        Invocation::Ping => Ok(LambdaAnswer::Pong(Pong { status_code: 200 })),
    }
}

/// A service that answers parsed requests with `router`.
pub fn service(
    router: Router,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {
    service_fn(move |request| router.clone().oneshot(routable(request)))
}

/// Converts the request to the form that the router expects. Its extensions keep the other contents of the event.
fn routable(request: Request) -> axum::extract::Request {
    let RoutedPath { base, uri } = gateway::routed_path(&request);
    let deadline =
        request.lambda_context_ref().map(|context| deadline(context.deadline(), SystemTime::now()));
    let mut request = request.map(|body| match body {
        Payload::Text(text) => Body::from(text),
        Payload::Binary(bytes) => Body::from(bytes),
        // All other kinds of payload are empty.
        _ => Body::empty(),
    });
    *request.uri_mut() = uri;
    request.extensions_mut().insert(base);
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    request
}

/// Converts a wall-clock time to the clock of the timers, and subtracts the margin. A time in the past becomes the
/// current time.
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
