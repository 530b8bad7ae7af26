//! Handles SIGTERM, Ctrl-C and SIGHUP for every role that runs until it is stopped.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context;
use api::auth::IssuerKeys;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::service_manager::{self, Watchdog};

/// Listens for SIGHUP, which would otherwise end the process.
#[derive(Debug)]
pub(crate) struct Hangups(Signal);

impl Hangups {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        signal(SignalKind::hangup()).map(Self).context("cannot listen for SIGHUP")
    }

    /// Completes when SIGTERM or Ctrl-C asks the process to stop, or when its terminal closes and sends SIGHUP. Without
    /// a terminal, SIGHUP reloads the issuer's keys instead.
    ///
    /// Call it once the process serves: it reports that to the service manager, and then that the process is alive.
    pub(crate) async fn until_stopped(mut self, keys: Option<&Arc<IssuerKeys>>) -> io::Result<()> {
        service_manager::ready();
        let (mut stop, mut watchdog) = (pin!(crate::asked_to_stop()), Watchdog::of_process());
        let asked = loop {
            tokio::select! {
                asked = &mut stop => break asked,
                Some(()) = self.0.recv() => {
                    if io::stderr().is_terminal() {
                        break Ok(());
                    }
                    reload(keys);
                }
                () = watchdog.ping() => {}
            }
        };
        service_manager::stopping();
        asked
    }
}

fn reload(keys: Option<&Arc<IssuerKeys>>) {
    let Some(keys) = keys.cloned() else {
        tracing::info!("SIGHUP ignored: there are no keys to reload");
        return;
    };
    // The keys load in a separate task, so that the caller can handle further signals while they load.
    tokio::spawn(async move {
        match keys.reload_now().await {
            Ok(()) => tracing::info!("SIGHUP: reloaded the issuer's keys"),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "SIGHUP: cannot reload the issuer's keys");
            }
        }
    });
}
