//! The threads that serve connections, each with a runtime of its own. A connection stays with the thread it is given to, and
//! whatever its requests wait for wakes that thread alone.
//!
//! A runtime that shares its work among threads wakes one of them to see whether there is something to take off another.
//! Where requests wait for the disk and go on together, that is a thread woken for each handful of them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};

pub(super) struct Threads {
    all: Vec<Thread>,
    /// Their runtimes run for as long as this is there.
    run: watch::Sender<()>,
    /// Ends when the last of them has ended.
    ended: mpsc::Receiver<()>,
}

struct Thread {
    runtime: Handle,
    /// Each of its connections has a part in it.
    connections: Arc<()>,
}

impl Threads {
    /// Starts so many threads. With none, the runtime of the caller does their work.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let (run, running) = watch::channel(());
        let (alive, ended) = mpsc::channel(1);
        let start = |_| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let (mut running, alive) = (running.clone(), alive.clone());
            let serve = move || {
                // An error is what ends it: nothing is ever sent.
                let _ = runtime.block_on(running.changed());
                drop(runtime);
                drop(alive);
            };
            thread::Builder::new().name("http".to_owned()).spawn(serve)?;
            Ok(Thread { runtime: handle, connections: Arc::default() })
        };
        let all = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self { all, run, ended })
    }

    /// Has a connection served by the thread that has the fewest.
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

    /// Ends the threads. Connections that are left are cut off.
    pub(super) async fn stop(self) {
        let Self { all, run, mut ended } = self;
        drop((all, run));
        // Nothing is ever sent.
        let _ = ended.recv().await;
    }
}
