//! Notifies the service manager (systemd) that the process is ready, alive, or stopping, as `Type=notify` and `WatchdogSec`
//! expect (<https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>). `signals` calls it for every role that
//! runs until it is stopped. Without a service manager, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The pings that the service manager expects. If they stop, it restarts the process.
#[derive(Debug)]
pub(crate) struct Watchdog(Option<Interval>);

impl Watchdog {
    /// Pings at half of the interval that the service manager sets, as its documentation recommends.
    pub(crate) fn of_process() -> Self {
        // An interval of 0 would be invalid.
        let every =
            sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|every| *every > Duration::ZERO);
        Self(every.map(|every| {
            let mut interval = interval(every);
            // After a pause, one ping is enough.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    /// Pings until it is dropped. A runtime that does not come round to this stops the pings.
    pub(crate) async fn ping(&mut self) {
        let Some(interval) = &mut self.0 else { return std::future::pending().await };
        loop {
            interval.tick().await;
            notify(NotifyState::Watchdog);
        }
    }
}

/// The process serves.
pub(crate) fn ready() {
    notify(NotifyState::Ready);
}

/// The process finishes its work, and ends.
pub(crate) fn stopping() {
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
