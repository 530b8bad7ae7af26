//! Signals to processes that serve. Used by every role that runs until it is stopped.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context;
use api::auth::IssuerKeys;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGHUP, which ends a process that does not listen for it.
#[derive(Debug)]
pub(crate) struct Hangups(Signal);

impl Hangups {
    /// Listens from now on.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        signal(SignalKind::hangup()).map(Self).context("cannot listen for SIGHUP")
    }

    /// Completes when the process is asked to stop: by SIGTERM or Ctrl-C, or because its terminal is closed. Without a
    /// terminal, SIGHUP means to read again what may have changed outside: the keys of tokens.
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
        tracing::info!("SIGHUP: there is nothing to read again, going on");
        return;
    };
    // Beside what else has to be noticed meanwhile.
    tokio::spawn(async move {
        match keys.reload_now().await {
            Ok(()) => tracing::info!("SIGHUP: the keys of the issuer were read again"),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "SIGHUP: cannot read the keys of the issuer again"
                );
            }
        }
    });
}
