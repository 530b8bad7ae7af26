//! Adapters: implementations of the ports of `api` and `consumer`. No adapter depends on another, except `aws::fill`.
//!
//! - [`embedded`]: queue and store in one data folder on the local machine (feature `embedded`). The feature includes
//!   [`webhook`], which sends alerts.
//! - [`backup`]: the format of backups, and the folders and buckets that hold them (feature `embedded`).
//! - [`sqs`], [`dynamodb`], [`s3`] and [`sns`]: queue, table, archive and alerts on AWS (feature `aws`). [`streams`]
//!   reads the change stream of the table, and [`outbound`] is the table with the feed. [`eventbridge`] and [`sns`]
//!   publish recorded events. [`aws`] constructs these adapters and implements the ports that need several of them.
//!   With both features, its module `fill` copies a data folder to AWS. `sdk` configures the SDK.
//! - [`webhook_sender`]: posts recorded events to the URLs of subscriptions (both features). `signing` signs these posts
//!   and the alerts.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "embedded")]
pub mod backup;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod deliveries;
#[cfg(feature = "aws")]
pub mod dynamodb;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "aws")]
pub mod eventbridge;
#[cfg(feature = "embedded")]
mod folders;
#[cfg(feature = "aws")]
pub mod outbound;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod repaired;
#[cfg(feature = "aws")]
pub mod s3;
#[cfg(feature = "aws")]
mod sdk;
#[cfg(any(feature = "aws", feature = "embedded"))]
mod signing;
#[cfg(feature = "aws")]
pub mod sns;
#[cfg(feature = "aws")]
pub mod sqs;
#[cfg(feature = "aws")]
pub mod streams;
#[cfg(feature = "embedded")]
pub mod webhook;
#[cfg(any(feature = "aws", feature = "embedded"))]
pub mod webhook_sender;

/// Whether the embedded store keeps a projection of the order. An order with one event needs none, because its log entry is
/// enough.
#[cfg(feature = "embedded")]
fn is_projected(order: &domain::Order) -> bool {
    order.version > 1
}

/// The current time by the machine's clock.
pub fn now() -> domain::Timestamp {
    domain::Timestamp::new(std::time::SystemTime::now().into())
}
