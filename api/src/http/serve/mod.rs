//! Serves the router over TCP, so that no client can starve the others. The command `serve` calls [`serve`].
//!
//! Every connection holds one of [`ServeOptions::max_connections`] [`slots`] and runs on one of the [`threads`]. Every
//! step of a connection has a time limit. [`pace`] tracks what the client does, and [`connection`] closes the
//! connection of a client that is too slow. [`body`] ends bodies that do not arrive in time. [`drain`] reads the rest
//! of bodies whose requests were answered early. A request that arrived in time gets a [`Deadline`](crate::Deadline)
//! for its answer.

mod body;
mod connection;
mod drain;
mod leftover;
mod pace;
mod slots;
mod threads;
mod watched_stream;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

pub(crate) use self::body::BodyTimeout;
use crate::http::network::client_network;
use crate::http::serve::slots::{ConnectionSlot, ConnectionSlots};
use crate::http::serve::threads::ServingThreads;

/// How long a connection may be silent before TCP probes whether the client still exists.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// The pause after a failed `accept`, so that the accept loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The limits of the server. Activity of the client does not extend a time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeOptions {
    /// The number of threads that only serve connections. If it is 0, the caller's runtime serves them.
    pub threads: usize,
    /// The maximum number of open connections, at least 1. If all are in use, the server closes an idle or slow
    /// connection of the address (for IPv6, the /64) with the most connections. If no connection can be closed, new
    /// connections wait.
    pub max_connections: usize,
    /// The maximum number of connections of one address while less than an eighth of all connections is free. With a
    /// value of `max_connections` or more, one address may use all connections.
    pub max_connections_per_address: usize,
    /// The maximum size of a request's line and headers, in bytes. A larger request is answered with `431`. A request
    /// may have at most 100 headers.
    pub max_head_bytes: usize,
    /// The time from a request's first byte, or from connecting, to the end of its headers.
    pub head_timeout: Duration,
    /// The time from the end of a request's headers to the end of its body. A slower body is answered with `408`.
    pub body_timeout: Duration,
    /// The time from the end of a request's headers to its answer. After that time, the answer is `503`.
    pub request_timeout: Duration,
    /// The time from one answer to the first byte of the next request.
    pub idle_timeout: Duration,
    /// How long a client may pause in reading its answer.
    pub write_timeout: Duration,
    /// How long requests that are in progress at shutdown may take to finish.
    pub grace: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            max_connections: 10_000,
            max_connections_per_address: 5_000,
            max_head_bytes: 16 << 10,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}

/// Serves `router` on `listener` until `shutdown` completes. After that, the server accepts no more connections and
/// closes idle connections. Requests in progress have [`ServeOptions::grace`] to finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    // Every connection inherits TCP keepalive from the listener. If a client vanishes during a long answer, TCP keepalive
    // closes the connection earlier than our time limits do. In all other cases, our limits act first.
    if let Err(error) =
        SockRef::from(&listener).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER))
    {
        tracing::debug!(%error, "cannot set SO_KEEPALIVE");
    }
    let server = HttpServer {
        // The routes are prepared once, here. Otherwise axum would prepare them again for each request.
        router: router.with_state(()),
        options,
        slots: ConnectionSlots::new(&options),
        threads: ServingThreads::start(options.threads)
            .context("cannot start the threads that serve connections")?,
    };
    let _stop = StopWhenDropped(Arc::clone(&server.slots));
    tokio::select! {
        () = shutdown => {}
        never = server.accept_all(&listener) => match never {},
    }
    drop(listener);
    server.slots.stop();
    // A connection frees its slot when it ends. So when all slots are free, all connections have ended.
    if timeout(options.grace, server.slots.all_free()).await.is_err() {
        let seconds = options.grace.as_secs();
        tracing::warn!(seconds, "shutting down with requests still in progress");
    }
    server.threads.stop().await;
    Ok(())
}

struct HttpServer {
    router: Router,
    options: ServeOptions,
    slots: Arc<ConnectionSlots>,
    threads: ServingThreads,
}

impl HttpServer {
    async fn accept_all(&self, listener: &TcpListener) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(slot) = self.slots.take(client_network(&peer), &self.options).await {
                        self.start(stream, peer, slot);
                    }
                }
                // The error concerns only the connection that was to be accepted, so the next one is accepted
                // immediately.
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    // Most likely, the process has too many open files. Closing connections frees some of them.
                    tracing::error!(%error, "cannot accept a connection");
                    self.slots.make_room();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, slot: ConnectionSlot) {
        let (router, options) = (self.router.clone(), self.options);
        self.threads.spawn(stream, peer, async move |stream| {
            connection::run(stream, peer, router, &options, &slot).await;
        });
    }
}

/// Stops all connections if the future of [`serve`] is dropped before it completes.
struct StopWhenDropped(Arc<ConnectionSlots>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
