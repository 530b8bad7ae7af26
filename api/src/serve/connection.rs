//! One connection, from its first byte to its last.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::Service;

use super::ServeOptions;
use super::body::TimedBody;
use super::pace::{Answering, Pace, TooSlow, Watched};
use crate::correlation::Deadline;

/// The most bytes that are buffered each way. hyper allows no less than 8 KiB.
const MAX_BUFFER: usize = 64 << 10;

/// What the server tells its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Go on.
    Serve,
    /// Others need the slots of those who do not.
    CloseIdle,
    /// Finish the request under way, and take no other.
    Stop,
}

/// Serves requests until the client closes the connection, is too slow, or the orders say so.
pub(super) async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    options: &ServeOptions,
    mut orders: watch::Receiver<Order>,
) {
    // An answer is one small write: waiting to fill a packet would only delay it.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let pace = Pace::new(options);
    let service = service_fn(|request| {
        let answering = pace.answering();
        let answer = router.clone().call(arrived(request, peer, options));
        async { answer.await.map(|response| response.map(|body| Answer { body, _answering: answering })) }
    });
    let stream = TokioIo::new(Watched { stream, pace: pace.clone() });
    let mut http = http1::Builder::new();
    http.max_buf_size(MAX_BUFFER.max(options.max_head_bytes)).max_header_size(options.max_head_bytes);
    // The pace has its own limit for headers, which takes no timer per request.
    http.header_read_timeout(None);
    let mut serving = pin!(http.serve_connection(stream, service));
    let mut too_slow = pin!(TooSlow::new(pace.clone()));
    loop {
        tokio::select! {
            biased;
            served = serving.as_mut() => {
                if let Err(error) = served {
                    tracing::debug!(%peer, %error, "a connection broke");
                }
                return;
            }
            () = too_slow.as_mut() => {
                tracing::debug!(%peer, "closing a connection whose client is too slow");
                return;
            }
            told = orders.changed() => match told.map(|()| *orders.borrow_and_update()) {
                Ok(Order::Serve) => {}
                Ok(Order::CloseIdle) if !pace.is_idle() => {}
                // A server that is gone means to stop, too.
                Ok(Order::CloseIdle | Order::Stop) | Err(_) => break,
            },
        }
    }
    serving.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        _ = serving => {}
        () = too_slow => {}
    }
}

/// The request as the router takes it: who sent it, until when it is to be answered, and its body.
fn arrived(request: Request<Incoming>, peer: SocketAddr, options: &ServeOptions) -> Request<Body> {
    let now = Instant::now();
    let mut request = request.map(|body| Body::new(TimedBody::new(body, now + options.body_timeout)));
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(Deadline(now + options.request_timeout));
    request
}

/// The body of an answer: the request is answered when this is gone.
struct Answer {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answer {
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
