//! The threads that serve connections, each with its own single-threaded runtime. The accept loop in the parent assigns
//! each connection to one of them, and the connection stays there.
//!
//! The threads do not steal work from each other. Many requests wait for the same disk sync and continue at the same
//! time. A work-stealing runtime would then wake many idle threads, each for only a few requests.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};

pub(super) struct ServingThreads {
    all: Vec<ServingThread>,
    /// Keeps the runtimes running. Dropping this sender ends the runtimes.
    run: watch::Sender<()>,
    /// A channel that closes when the last thread has ended, so that a shutdown can wait for all threads.
    ended: mpsc::Receiver<()>,
}

struct ServingThread {
    runtime: Handle,
    /// Each connection of the thread holds a clone of this `Arc`. The reference count gives the number of connections.
    connections: Arc<()>,
}

impl ServingThreads {
    /// Starts `count` threads. With 0, the caller's runtime serves the connections.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let (run, running) = watch::channel(());
        let (alive, ended) = mpsc::channel(1);
        let start = |_| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let (mut running, alive) = (running.clone(), alive.clone());
            let serve = move || {
                // No value is ever sent on this channel. The wait ends with an error when the sender is dropped.
                let _ = runtime.block_on(running.changed());
                drop(runtime);
                drop(alive);
            };
            thread::Builder::new().name("http".to_owned()).spawn(serve)?;
            Ok(ServingThread { runtime: handle, connections: Arc::default() })
        };
        let all = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self { all, run, ended })
    }

    /// Serves a connection on the thread that has the fewest connections.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) {
        let Some(thread) = self.all.iter().min_by_key(|thread| Arc::strong_count(&thread.connections)) else {
            tokio::spawn(serve(stream));
            return;
        };
        let connection = Arc::clone(&thread.connections);
        let moved = stream.into_std();
        thread.runtime.spawn(async move {
            match moved.and_then(TcpStream::from_std) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::error!(%peer, %error, "cannot serve a connection"),
            }
            drop(connection);
        });
    }

    /// Ends the threads and all of their connections.
    pub(super) async fn stop(self) {
        let Self { all, run, mut ended } = self;
        drop((all, run));
        // Each thread holds a sender until it ends, so the channel closes when all threads have ended.
        let _ = ended.recv().await;
    }
}
