//! Adapters: what the ports of `api` and `consumer` run on. Each implements ports and knows no other adapter.
//!
//! - [`embedded`]: queue and store in one data folder on this machine (feature `embedded`).

#[cfg(feature = "embedded")]
pub mod embedded;

/// The time by this machine's clock.
pub fn now() -> domain::Timestamp {
    domain::Timestamp::new(std::time::SystemTime::now().into())
}
