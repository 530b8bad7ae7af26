//! What several tests need.

pub mod browser;
#[cfg(feature = "aws")]
pub mod counting;
pub mod emulator;
pub mod events;
pub mod flaky;
pub mod service;
pub mod venv;

use std::time::Duration;

/// How the queue of a test behaves.
#[derive(Debug, Clone, Copy)]
pub struct QueueOptions {
    pub visibility_timeout: Duration,
    pub max_receives: u32,
    pub delay: Duration,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { visibility_timeout: Duration::from_secs(30), max_receives: 5, delay: Duration::ZERO }
    }
}
