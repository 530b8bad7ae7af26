//! Serves the router over TCP, and lets no client hold on to what others need.
//!
//! Every connection has a slot, of which there are [`ServeOptions::max_connections`], one of the [`threads`], and its own
//! limits of time: [`pace`] follows what the client does, [`connection`] closes it when it takes too long, and [`body`] ends
//! bodies that do not arrive. A request that was received in time has its [`Deadline`](crate::Deadline) to be answered.

pub(crate) mod body;
mod connection;
mod pace;
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::serve::connection::Order;
use crate::serve::threads::Threads;

/// How long a connection may be silent before the system asks whether its client is still there.
const PROBE_AFTER: Duration = Duration::from_secs(60);
/// How long no connection is taken after taking one failed: long enough to not spin, short enough to not be missed.
const PAUSE: Duration = Duration::from_millis(100);
/// How often idle connections are asked to make room while somebody waits for a slot.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What clients are granted. Times count from where they are said to, whatever happens in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeOptions {
    /// Threads that serve connections and nothing else, each those that it is given; with 0 it is the runtime of the caller
    /// that serves them.
    pub threads: usize,
    /// Connections at the same time, at least 1. If all are in use, idle ones are closed, and new ones wait.
    pub max_connections: usize,
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
    // All slots are acquired at once in the end, and their count there is a u32.
    let most = u32::try_from(options.max_connections.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
    let server = Server {
        // Makes its routes ready now, which each request would do otherwise.
        router: router.with_state(()),
        options,
        slots: Arc::new(Semaphore::new(most as usize)),
        orders: watch::Sender::new(Order::Serve),
        threads: Threads::start(options.threads)
            .context("cannot start the threads that serve connections")?,
    };
    tokio::select! {
        () = shutdown => {}
        never = server.accept_all(&listener) => match never {},
    }
    drop(listener);
    server.orders.send_replace(Order::Stop);
    // A connection gives its slot back when it has ended.
    if timeout(options.grace, server.slots.acquire_many(most)).await.is_err() {
        let seconds = options.grace.as_secs();
        tracing::warn!(seconds, "shutting down with requests still under way");
    }
    server.threads.stop().await;
    Ok(())
}

struct Server {
    router: Router,
    options: ServeOptions,
    slots: Arc<Semaphore>,
    orders: watch::Sender<Order>,
    threads: Threads,
}

impl Server {
    async fn accept_all(&self, listener: &TcpListener) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let slot = self.slot().await;
                    self.start(stream, peer, slot);
                }
                // That connection is gone, which says nothing about the next one.
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    // Most likely too many files are open. It passes when some are closed.
                    tracing::error!(%error, "cannot take a connection");
                    self.orders.send_replace(Order::CloseIdle);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// A slot for a connection; if there is none, the idle ones are to go.
    async fn slot(&self) -> OwnedSemaphorePermit {
        const NEVER_CLOSED: &str = "nobody closes the semaphore of the slots";
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return slot;
        }
        loop {
            self.orders.send_replace(Order::CloseIdle);
            match timeout(ASK_AGAIN, Arc::clone(&self.slots).acquire_owned()).await {
                Ok(slot) => return slot.expect(NEVER_CLOSED),
                Err(_) => {
                    let connections = self.options.max_connections;
                    tracing::warn!(connections, "all connections are in use, and none is idle");
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        let (router, options, orders) = (self.router.clone(), self.options, self.orders.subscribe());
        self.threads.spawn(stream, peer, async move |stream| {
            connection::run(stream, peer, router, &options, orders).await;
            drop(slot);
        });
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
