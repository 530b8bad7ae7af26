//! Support for the tests and the benchmarks: the binary, the AWS emulator, events, and waiting for conditions.

pub mod browser;
pub mod consumers;
#[cfg(feature = "aws")]
pub mod counting;
pub mod emulator;
pub mod events;
pub mod eventually;
#[cfg(feature = "aws")]
pub mod faults;
pub mod flaky;
#[cfg(feature = "aws")]
pub mod forward;
pub mod http;
pub mod npm;
pub mod receiver;
pub mod recorded;
pub mod service;
pub mod venv;
pub mod writers;

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub struct QueueOptions {
    pub visibility_timeout: Duration,
    pub max_receives: u32,
    pub delay: Duration,
    /// The metadata keys by which orders can be found.
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
