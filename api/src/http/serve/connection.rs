//! Runs one connection, from its acceptance to its end. The accept loop in the parent starts [`run`] for each
//! connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service;

use super::ServeOptions;
use super::body::TimedBody;
use super::drain::{BodyDrain, linger};
use super::pace::{AnswerGuard, ClientPace, SlowClient};
use super::slots::{ConnectionCommand, ConnectionSlot};
use super::watched_stream::WatchedStream;
use crate::http::correlation::Deadline;

const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// The maximum number of bytes that are buffered in each direction. hyper requires at least 8 KiB.
const MAX_BUFFER: usize = 64 << 10;

/// Serves requests until the client closes the connection or is too slow, or the server sends a command to stop.
pub(super) async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    options: &ServeOptions,
    slot: &ConnectionSlot,
) {
    // Nagle's algorithm would only delay the answer, because an answer is one small write.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let handle = &slot.handle;
    let pace = &handle.pace;
    let service = service_fn(|request: Request<Incoming>| {
        let answering = pace.answering();
        let expects_continue = !request.body().is_end_stream() && request.headers().contains_key(EXPECT);
        let answer = router.clone().call(arrived(request, peer, pace, options));
        async move {
            let Ok(mut response) = answer.await;
            if pace.leftover.give_up_if_hopeless(expects_continue) {
                response.headers_mut().insert(CONNECTION, CLOSE);
            }
            Ok::<_, Infallible>(response.map(|body| ResponseBody { body, _answering: answering }))
        }
    });
    let stream = TokioIo::new(WatchedStream { stream, pace: pace.clone() });
    let mut http = http1::Builder::new();
    http.max_buf_size(MAX_BUFFER.max(options.max_head_bytes)).max_header_size(options.max_head_bytes);
    // `ClientPace` limits the time for headers. hyper's own limit is turned off, because hyper sets a timer for each
    // request.
    http.header_read_timeout(None);
    let mut serving = http.serve_connection(stream, service);
    let mut drain = BodyDrain::new(pace.clone());
    let mut too_slow = SlowClient::new(pace.clone());
    let is_broken = loop {
        tokio::select! {
            biased;
            served = &mut serving => {
                if let Err(error) = &served {
                    tracing::debug!(%peer, %error, "a connection broke");
                }
                break served.is_err();
            }
            never = &mut drain => match never {},
            () = &mut too_slow => {
                tracing::debug!(%peer, "closing a connection whose client is too slow");
                return;
            }
            command = handle.command() => match command {
                ConnectionCommand::Stop => Pin::new(&mut serving).graceful_shutdown(),
                ConnectionCommand::GiveWay if pace.is_idle() => Pin::new(&mut serving).graceful_shutdown(),
                ConnectionCommand::GiveWay if pace.waits_since().is_some() => return,
                ConnectionCommand::GiveWay => slot.keep(),
            },
        }
    };
    if is_broken || pace.leftover.is_given_up() {
        let stream = serving.into_parts().io.into_inner().stream;
        tokio::select! {
            () = Box::pin(linger(stream)) => {}
            _ = handle.command() => {}
        }
    }
}

/// Converts a request to the form that the router expects: with the client's address, a deadline and a body with a time
/// limit.
fn arrived(
    request: Request<Incoming>,
    peer: SocketAddr,
    pace: &Arc<ClientPace>,
    options: &ServeOptions,
) -> Request<Body> {
    let now = Instant::now();
    let mut request = request.map(|body| match body.is_end_stream() {
        true => Body::empty(),
        false => Body::new(TimedBody::new(body, now + options.body_timeout, Arc::clone(pace))),
    });
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(Deadline(now + options.request_timeout));
    request
}

/// The body of an answer. Once this value is dropped, the request counts as answered.
struct ResponseBody {
    body: Body,
    _answering: AnswerGuard,
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
