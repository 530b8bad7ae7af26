//! The settings of the role that proposes to cancel unpaid orders. The commands and the doctor read them.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use infra::aws::SdkConfig;

use super::{CommonSettings, ConfigErrors, common};
use crate::aws::args::ExpiryArgs;

/// The settings of `orders expiry`.
#[derive(Debug)]
pub(crate) struct ExpirySettings {
    pub(crate) common: CommonSettings,
    /// Whether a standard queue is shared fairly.
    pub(crate) fair_queue: bool,
    /// The age at which unpaid orders expire.
    pub(crate) unpaid_age: Option<Duration>,
    /// The role proposes no cancellations while at least this many messages are queued. `None` means no limit.
    pub(crate) max_queue_depth: Option<NonZeroU64>,
    /// The address that serves metrics, or `None` to serve none.
    pub(crate) metrics: Option<SocketAddr>,
}

pub(crate) fn of_expiry(
    mut errors: ConfigErrors,
    args: &ExpiryArgs,
    sdk: &SdkConfig,
) -> anyhow::Result<ExpirySettings> {
    let common = common(&mut errors, &args.aws, sdk);
    let unpaid_age = errors.unpaid_age(&args.unpaid);
    let depth = errors.depth(&args.max_queue_depth);
    let metrics = errors.check(args.metrics.read());
    let settings = (|| {
        let (common, max_queue_depth, metrics) = (common?, depth?, metrics?);
        let fair_queue = args.fair.fair_queue;
        Some(ExpirySettings { common, fair_queue, unpaid_age, max_queue_depth, metrics })
    })();
    errors.finish(settings)
}
