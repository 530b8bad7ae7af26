//! Serves the router over TCP.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long requests that are under way at shutdown may take to finish.
const GRACE: Duration = Duration::from_secs(10);

/// Serves `router` on `listener` until `shutdown` completes. No connection is taken from then on, idle ones are
/// closed, and requests under way are finished, for which they have 10 seconds.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    // An answer is one small write: waiting to fill a packet would only delay it.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        // Nobody listens only if the server is gone already.
        let _ = stopping.send(());
    });
    let out_of_time = async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = server.into_future() => served.context("serving HTTP"),
        () = out_of_time => {
            tracing::warn!(seconds = GRACE.as_secs(), "shutting down with requests still under way");
            Ok(())
        }
    }
}
