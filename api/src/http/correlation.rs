//! The outermost middleware, which `lib.rs` adds around every route. It assigns the correlation id and the trace,
//! enforces the deadline, and writes every error as a problem.

use std::any::Any;
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use domain::CorrelationId;
use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};
use tower::Service;
use tracing::Instrument;
use uuid::Uuid;

use crate::http::attempt::ChangeAttempt;
use crate::http::headers::{self, CORRELATION_ID};
use crate::http::links::{BasePath, LinkBuilder};
use crate::http::request_timer::RequestTimer;
use crate::http::spans;
use crate::http::trace::{self, TraceContext};
use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A request extension: the time by which the request must be answered. A handler that has not finished by then is
/// dropped, and the client gets a 503. Without this extension, a request has no time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// How long before the deadline of its request a handler must stop waiting. This time is reserved for writing the
/// answer.
const MARGIN: Duration = Duration::from_millis(500);

impl Deadline {
    /// The time at which a handler must stop waiting, so that enough time is left to answer.
    pub(crate) fn to_answer(self) -> Instant {
        self.0.checked_sub(MARGIN).unwrap_or(self.0)
    }
}

tokio::task_local! {
    static CURRENT: CurrentRequest;
}

/// What identifies the request that this task is answering.
struct CurrentRequest {
    id: CorrelationId,
    /// The id of its trace, if it has one.
    trace_id: Option<String>,
    /// The change that the handler has begun and may already have made. `None` if the handler has not begun a change.
    attempt: RefCell<Option<ChangeAttempt>>,
}

impl CurrentRequest {
    fn new(id: CorrelationId, trace_id: Option<String>) -> Self {
        Self { id, trace_id, attempt: RefCell::default() }
    }
}

/// Calls `with` with the correlation id of the request that this task is answering. Returns `None` in any other task,
/// because spawned tasks do not inherit the id. The logger calls this to add the id to every log line.
pub fn with_correlation_id<R>(with: impl FnOnce(&CorrelationId) -> R) -> Option<R> {
    CURRENT.try_with(|current| with(&current.id)).ok()
}

/// Calls `with` with the id of the trace of the request that this task is answering. Returns `None` if there is no trace,
/// and in any other task. The logger calls this, too.
pub fn with_trace_id<R>(with: impl FnOnce(&str) -> R) -> Option<R> {
    CURRENT.try_with(|current| current.trace_id.as_deref().map(with)).ok().flatten()
}

/// Records what the current request is about to change. If the request's handler panics or runs out of time afterwards,
/// the answer is that the outcome is unknown.
pub(crate) fn begin_change(attempt: ChangeAttempt) {
    // An error means that this task is not answering a request, so there is nothing to record.
    let _ = CURRENT.try_with(|current| current.attempt.replace(Some(attempt)));
}

/// Answers a request: with the problem `refused` or, if there is none, by calling `route`. Adds the correlation id to
/// the request's extensions and to the response's headers. `sees_queued` is the result of
/// [`OrderReader::sees_queued`](crate::ports::OrderReader::sees_queued).
pub(crate) async fn correlate(
    new_id: fn() -> Uuid,
    sees_queued: bool,
    mut request: Request,
    mut route: Route,
    refused: Option<Box<Problem>>,
) -> Result<Response, Infallible> {
    let answering = RequestTimer::of(request.method(), request.extensions());
    let id = given(request.headers()).unwrap_or_else(|| new_id().into());
    request.extensions_mut().insert(id.clone());
    let uri = request.uri().clone();
    let base = request.extensions().get::<BasePath>().cloned().unwrap_or_default();
    let deadline = request.extensions().get().copied();
    let span = spans::of_request(&id);
    let trace = spans::join(&span, &request, TraceContext::of(request.headers()));
    let trace_id = trace.as_ref().and_then(TraceContext::trace_id);

    // `AssertUnwindSafe` is correct here, because a future that panicked is dropped and never polled again. The future
    // is pinned here, so that the futures around it hold only a pointer.
    let answer = async {
        match refused {
            Some(problem) => Ok(problem.into_response()),
            None => route.call(request).await,
        }
    };
    let answer = pin!(AssertUnwindSafe(answer).catch_unwind());
    let mut answer =
        pin!(CURRENT.scope(CurrentRequest::new(id.clone(), trace_id.clone()), trace::within(trace, answer)));
    let mut response = match in_time(deadline, answer.as_mut().instrument(span.clone())).await {
        Some(Ok(Ok(response))) => response,
        unfinished => {
            let panic = unfinished.and_then(Result::err);
            let attempt = answer.take_value().and_then(|current| current.attempt.into_inner());
            unanswered(panic, attempt, &LinkBuilder::under(base.clone(), sees_queued)).into_response()
        }
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        let _entered = span.enter();
        let path = format!("{}{}", base.as_str(), uri.path());
        response =
            CURRENT.sync_scope(CurrentRequest::new(id.clone(), trace_id), || written(response, &id, &path));
    }
    let header = HeaderValue::from_str(id.as_str()).expect("a correlation id is visible ASCII");
    response.headers_mut().insert(CORRELATION_ID, header);
    headers::protect(uri.path(), response.headers_mut());
    answering.answered(response.status());
    spans::answered(&span, response.status().as_u16());
    Ok(response)
}

/// The problem for a request whose handler panicked. If `panic` is `None`, the handler ran out of time.
fn unanswered(
    panic: Option<Box<dyn Any + Send>>,
    attempt: Option<ChangeAttempt>,
    links: &LinkBuilder,
) -> Problem {
    let cause = panic.map(|panic| anyhow::anyhow!("panic: {}", message(panic.as_ref())));
    match (attempt, cause) {
        (Some(attempt), cause) => {
            let late = || anyhow::anyhow!("the deadline has passed");
            attempt.problem(links, cause.unwrap_or_else(late))
        }
        (None, Some(cause)) => cause.into(),
        (None, None) => Problem::out_of_time(),
    }
}

/// The correlation id that the client has sent. An invalid id is ignored, and the request is handled as if it had no
/// id.
fn given(headers: &HeaderMap) -> Option<CorrelationId> {
    [CORRELATION_ID, REQUEST_ID]
        .iter()
        .find_map(|name| CorrelationId::parse(headers.get(name)?.to_str().ok()?).ok())
}

/// Replaces the body of an error response with the problem as JSON.
fn written(response: Response, id: &CorrelationId, path: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    let problem = parts.extensions.remove::<Problem>().unwrap_or_else(|| Problem::of_status(parts.status));
    problem.log(id.as_str(), path);
    parts.status = problem.status();
    parts.headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(problem.to_json(id.as_str(), path)))
}

/// The output of `future`, or `None` if the deadline passes first. If the future is ready when it is first polled, its
/// output is returned even after the deadline.
async fn in_time<F: Future>(deadline: Option<Deadline>, future: F) -> Option<F::Output> {
    match deadline {
        Some(Deadline(at)) => timeout_at(at, future).await.ok(),
        None => Some(future.await),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
