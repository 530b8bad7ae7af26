//! What several tests need.

pub mod events;
pub mod service;
