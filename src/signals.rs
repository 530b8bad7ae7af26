//! Handles SIGTERM, Ctrl-C and SIGHUP for every role that runs until it is stopped.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context;
use api::auth::IssuerKeys;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for SIGHUP, which would otherwise end the process.
#[derive(Debug)]
pub(crate) struct Hangups(Signal);

impl Hangups {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        signal(SignalKind::hangup()).map(Self).context("cannot listen for SIGHUP")
    }

    /// Completes when SIGTERM or Ctrl-C asks the process to stop, or when its terminal closes and sends SIGHUP. Without
    /// a terminal, SIGHUP reloads the issuer's keys instead.
    pub(crate) async fn until_stopped(mut self, keys: Option<&Arc<IssuerKeys>>) -> io::Result<()> {
        let mut stop = pin!(crate::asked_to_stop());
        loop {
            tokio::select! {
                asked = &mut stop => return asked,
                Some(()) = self.0.recv() => {
                    if io::stderr().is_terminal() {
                        return Ok(());
                    }
                    reload(keys);
                }
            }
        }
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
