//! Serves the router behind Amazon API Gateway, as a Lambda function: for HTTP APIs (payload formats 2.0 and 1.0) and
//! REST APIs.
//!
//! `lambda_http` reads the events (it decodes base64 bodies) and writes the answers (text as text; the pictures of
//! `/docs` in base64, which a REST API decodes only if `binaryMediaTypes` says so). Here the request finds its place
//! among the router's paths, whatever stage or base path it came through, and gets its deadline.

mod gateway;

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::future::BoxFuture;
use lambda_http::tower::ServiceExt;
use lambda_http::{Body as Payload, Request, RequestExt, Service, service_fn};
use tokio::time::Instant;

use crate::correlation::Deadline;
use crate::lambda::gateway::Place;

/// How long before the function's own deadline a request is given up: time enough to write the answer, and to have it
/// delivered before the invocation is cut off.
const MARGIN: Duration = Duration::from_millis(500);

/// What is to be done after each request, before it is answered: then the environment may be frozen.
pub type AfterEach = fn() -> BoxFuture<'static, ()>;

/// Serves `router` to the Lambda runtime, until that ends the process.
pub async fn serve(router: Router, after_each: AfterEach) -> anyhow::Result<()> {
    let service = service(router);
    let serve = move |request: Request| {
        let answer = service.clone().oneshot(request);
        async move {
            let answer = answer.await;
            after_each().await;
            answer
        }
    };
    lambda_http::run(service_fn(serve))
        .await
        .map_err(anyhow::Error::from_boxed)
        .context("serving Lambda events")
}

/// What [`serve`] runs: answers API Gateway's requests with `router`.
pub fn service(
    router: Router,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static {
    service_fn(move |request| router.clone().oneshot(routable(request)))
}

/// The request as the router takes it. What API Gateway tells beside it stays in its extensions.
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
