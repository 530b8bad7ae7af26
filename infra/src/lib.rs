//! Adapters: what the ports of `api` and `consumer` run on. Each implements ports and knows no other adapter.
//!
//! - [`embedded`]: queue and store in one data folder on this machine (feature `embedded`); with it [`webhook`], which
//!   tells of dead letters.
//! - [`sqs`], [`dynamodb`], [`s3`] and [`sns`]: queue, table, archive and alerts on AWS (feature `aws`). [`aws`] makes
//!   their clients, and has the ports that take more than one of them.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "aws")]
pub mod dynamodb;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod repaired;
#[cfg(feature = "aws")]
pub mod s3;
#[cfg(feature = "aws")]
pub mod sns;
#[cfg(feature = "aws")]
pub mod sqs;
#[cfg(feature = "embedded")]
pub mod webhook;

/// Whether a store has a projection of the order: as long as it has one event, its entry of the log tells all of it.
#[cfg(any(feature = "aws", feature = "embedded"))]
fn is_projected(order: &domain::Order) -> bool {
    order.version > 1
}

/// The time by this machine's clock.
pub fn now() -> domain::Timestamp {
    domain::Timestamp::new(std::time::SystemTime::now().into())
}
