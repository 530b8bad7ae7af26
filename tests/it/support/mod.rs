//! Shared by the tests and the benchmarks: the binary, the AWS emulator, events, and waiting for conditions.

pub mod browser;
#[cfg(feature = "aws")]
pub mod counting;
pub mod emulator;
pub mod events;
pub mod eventually;
pub mod flaky;
pub mod http;
pub mod service;
pub mod venv;

use std::time::Duration;

/// The options of a test's queue.
#[derive(Debug, Clone, Copy)]
pub struct QueueOptions {
    pub visibility_timeout: Duration,
    pub max_receives: u32,
    pub delay: Duration,
    /// The keys of the metadata by which orders can be found.
    pub searchable_metadata: &'static [&'static str],
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            visibility_timeout: Duration::from_secs(30),
            max_receives: 5,
            delay: Duration::ZERO,
            searchable_metadata: &[],
        }
    }
}
