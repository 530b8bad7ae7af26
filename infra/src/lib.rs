//! Adapters: implementations of the ports of `api` and `consumer`. No adapter depends on another.
//!
//! - [`embedded`]: queue and store in one data folder on this machine (feature `embedded`). The feature includes
//!   [`webhook`], which sends alerts about dead letters.
//! - [`sqs`], [`dynamodb`], [`s3`] and [`sns`]: queue, table, archive and alerts on AWS (feature `aws`). [`aws`]
//!   constructs these adapters and implements the ports that need several of them. `sdk` configures the SDK.

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
mod sdk;
#[cfg(feature = "aws")]
pub mod sns;
#[cfg(feature = "aws")]
pub mod sqs;
#[cfg(feature = "embedded")]
pub mod webhook;

/// Whether stores keep a projection of the order. An order with one event needs none, because its log entry is enough.
#[cfg(any(feature = "aws", feature = "embedded"))]
fn is_projected(order: &domain::Order) -> bool {
    order.version > 1
}

/// The current time by this machine's clock.
pub fn now() -> domain::Timestamp {
    domain::Timestamp::new(std::time::SystemTime::now().into())
}
