//! Deliveries from a FIFO queue: the role `webhook-sender` on AWS. The relay sends a job for each event that
//! a subscription selects. The jobs of one order for one subscription are a message group. The poll loop or
//! the Lambda handler passes batches of jobs to [`QueuedDeliveries`].
//!
//! The queue delivers the messages of a group in order. While one message is in flight, the queue delivers no
//! further message of its group. So a retried job holds back only the later events of its order for its
//! subscription.
//!
//! A failed delivery writes the [`HeldRow`] of the order, which contains the number of attempts and the time
//! of the next attempt. The message only serves as a timer. The message is received again every few minutes,
//! so that the request of an operator takes effect after a few minutes.
//!
//! No message stays on the queue for long. When the schedule ends, when the subscription is stopped, or when
//! its receiver has failed for some minutes, the row is kept and the message is acknowledged. Later jobs of
//! the order find the row and do nothing. A sweep tries the receiver once a minute. Once the receiver works,
//! or an operator acts, a catch-up delivers the events from the row's version up to the end of the order's
//! log.

mod attempts;
mod handle;
mod order;
mod ports;
mod replay;
mod stop;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

pub use handle::QueuedDeliveries;
pub use order::held_from;
pub use ports::{DeliveryLog, DeliveryQueue, FeedRange, HeldPage, HeldRow, Job, QueuedState};
pub use replay::ReplayPage;

use super::Schedule;
use super::ports::WebhookSender;
use crate::ports::{Alerts, Clock};

/// The longest time until the message of a held order is received again. The order's row is then read again,
/// because an operator may have changed it.
pub const MAX_WAIT: Duration = Duration::from_secs(10 * 60);

/// A message that was received this often and must be received again is replaced by a new message. The queue
/// moves a message to its dead-letter queue after 1,000 receives
/// (`infra/terraform/modules/orders/webhooks.tf`). The remaining receives are for failures.
pub const MAX_RECEIVES: u32 = 500;

/// What queued deliveries need.
#[derive(Clone)]
pub struct QueuedParts {
    /// The subscriptions and held orders.
    pub state: Arc<dyn QueuedState>,
    /// The logs of orders.
    pub log: Arc<dyn DeliveryLog>,
    /// Posts events.
    pub sender: Arc<dyn WebhookSender>,
    /// The queue to which catch-ups and sweeps are sent.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Notifies operators.
    pub alerts: Arc<dyn Alerts>,
    /// The current time.
    pub clock: Clock,
    /// The settings of queued deliveries.
    pub options: QueuedOptions,
}

/// The settings of queued deliveries.
#[derive(Debug, Clone)]
pub struct QueuedOptions {
    /// The `source` of the events.
    pub source: String,
    /// When a failed delivery is tried again.
    pub schedule: Schedule,
    /// After a receiver has failed for this long, orders with failed deliveries are kept only as rows, and
    /// the receiver gets one attempt a minute.
    pub stalled_after: Duration,
    /// A subscription is disabled after all its deliveries failed for this long.
    pub disable_after: Duration,
}

impl Default for QueuedOptions {
    fn default() -> Self {
        Self {
            source: super::payload::DEFAULT_SOURCE.to_owned(),
            schedule: Schedule::default(),
            stalled_after: Duration::from_secs(5 * 60),
            disable_after: Duration::from_secs(5 * 24 * 3600),
        }
    }
}
