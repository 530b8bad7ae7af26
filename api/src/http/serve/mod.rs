//! Serves the router over TCP, and lets no client hold on to what others need.
//!
//! Every connection has one of the [`slots`], of which there are [`ServeOptions::max_connections`], one of the
//! [`threads`], and its own limits of time: [`pace`] follows what the client does, [`connection`] closes it when it takes
//! too long, [`body`] ends bodies that do not arrive, and [`drain`] reads what is left of those that were answered
//! before. A request that was received in time has its [`Deadline`](crate::Deadline) to be answered.

mod body;
mod connection;
mod drain;
mod leftover;
mod pace;
mod slots;
mod threads;

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
use crate::http::network::network;
use crate::http::serve::slots::{Slot, Slots};
use crate::http::serve::threads::Threads;

/// How long a connection may be silent before the system asks whether its client is still there.
const PROBE_AFTER: Duration = Duration::from_secs(60);
/// How long no connection is taken after taking one failed: long enough to not spin, short enough to not be missed.
const PAUSE: Duration = Duration::from_millis(100);

/// What clients are granted. Times count from where they are said to, whatever happens in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeOptions {
    /// Threads that serve connections and nothing else, each those that it is given; with 0 it is the runtime of the caller
    /// that serves them.
    pub threads: usize,
    /// Connections at the same time, at least 1. If all are in use, those give way that wait for their client, of the
    /// address (of IPv6, the /64) that has the most of them; if there are none, new ones wait.
    pub max_connections: usize,
    /// Connections of one address at the same time, once only an eighth of all is free. With `max_connections` or more,
    /// an address may have all of them.
    pub max_connections_per_address: usize,
    /// Bytes of a request's line and headers; more are answered with `431`. A request has 100 headers at most.
    pub max_head_bytes: usize,
    /// From a request's first byte, or from connecting, to the end of its headers.
    pub head_timeout: Duration,
    /// From the end of a request's headers to the end of its body; longer is answered with `408`.
    pub body_timeout: Duration,
    /// From the end of a request's headers to its answer; longer is answered with `503`.
    pub request_timeout: Duration,
    /// From one request's answer to the next one's first byte.
    pub idle_timeout: Duration,
    /// How long a client may take none of its answer.
    pub write_timeout: Duration,
    /// How long requests that are under way at shutdown may take to finish.
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

/// Serves `router` on `listener` until `shutdown` completes. No connection is taken from then on, idle ones are
/// closed, and requests under way are finished, for which they have [`ServeOptions::grace`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    // Connections inherit it. Without it nothing lasts for ever either: it only ends long answers to the dead sooner.
    if let Err(error) =
        SockRef::from(&listener).set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE_AFTER))
    {
        tracing::debug!(%error, "cannot set SO_KEEPALIVE");
    }
    let server = Server {
        // Makes its routes ready now, which each request would do otherwise.
        router: router.with_state(()),
        options,
        slots: Slots::new(&options),
        threads: Threads::start(options.threads)
            .context("cannot start the threads that serve connections")?,
    };
    let _stop = StopWhenDropped(Arc::clone(&server.slots));
    tokio::select! {
        () = shutdown => {}
        never = server.accept_all(&listener) => match never {},
    }
    drop(listener);
    server.slots.stop();
    // A connection gives its slot back when it has ended.
    if timeout(options.grace, server.slots.all_free()).await.is_err() {
        let seconds = options.grace.as_secs();
        tracing::warn!(seconds, "shutting down with requests still under way");
    }
    server.threads.stop().await;
    Ok(())
}

struct Server {
    router: Router,
    options: ServeOptions,
    slots: Arc<Slots>,
    threads: Threads,
}

impl Server {
    async fn accept_all(&self, listener: &TcpListener) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(slot) = self.slots.take(network(&peer), &self.options).await {
                        self.start(stream, peer, slot);
                    }
                }
                // That connection is gone, which says nothing about the next one.
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    // Most likely too many files are open. It passes when some are closed.
                    tracing::error!(%error, "cannot take a connection");
                    self.slots.make_room();
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        let (router, options) = (self.router.clone(), self.options);
        self.threads.spawn(stream, peer, async move |stream| {
            connection::run(stream, peer, router, &options, &slot).await;
        });
    }
}

/// Stops the connections of a server that is dropped before it has ended.
struct StopWhenDropped(Arc<Slots>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
