//! What several tests need.

#[cfg(feature = "aws")]
pub mod counting;
pub mod emulator;
pub mod events;
pub mod service;
