//! The ports of queued deliveries: the stored state, the log of an order, and the queue. `infra` implements them on DynamoDB and
//! SQS.

use std::sync::Arc;

use async_trait::async_trait;
use domain::subscription::Stopped;
use domain::{OrderId, RecordedEvent, Subscription, SubscriptionId, SubscriptionState, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ReplayPage;
use crate::webhooks::HeldOrder;

/// One minute: the queue keeps one sweep of a subscription for each minute. The time must be shorter than the
/// five minutes for which the queue recognizes repetitions.
const MINUTE_MICROS: i64 = 60 * 1_000_000;
/// The maximum difference between the clocks of two processes. A sweep waits for this time, so that it begins
/// after all sweeps of its minute were sent.
const CLOCK_SKEW_MICROS: i64 = 5 * 1_000_000;

/// The stored state of subscriptions and their held orders.
#[async_trait]
pub trait QueuedState: Send + Sync {
    /// The subscription, in a state that may be a few seconds out of date.
    async fn subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<Arc<Subscription>>>;

    /// The current subscription, from a consistent read.
    async fn current_subscription(&self, id: SubscriptionId) -> anyhow::Result<Option<Arc<Subscription>>>;

    /// The row of an order. `None` if the order has no row.
    async fn held(&self, of: &Subscription, order_id: &OrderId) -> anyhow::Result<Option<HeldRow>>;

    /// Up to `limit` rows whose order id is greater than `after`, sorted by order id. Rows of orders that have caught up are left out.
    async fn held_after(
        &self,
        of: &Subscription,
        after: Option<&OrderId>,
        limit: usize,
    ) -> anyhow::Result<HeldPage>;

    /// Writes a row if the stored row still has the revision of `row`. Returns the row with its new revision,
    /// or `None` if another process has changed the stored row.
    async fn put_held(&self, of: &Subscription, row: &HeldRow) -> anyhow::Result<Option<HeldRow>>;

    /// The orders in the next page of the feed, which begins where `range` begins.
    async fn replay_page(&self, of: &Subscription, range: &FeedRange) -> anyhow::Result<ReplayPage>;

    /// Records that a delivery succeeded, so the receiver works. `recorded_at` is when the delivered event was recorded.
    async fn note_success(
        &self,
        id: SubscriptionId,
        at: Timestamp,
        recorded_at: Timestamp,
    ) -> anyhow::Result<()>;

    /// Records that a delivery failed. Returns the time since which every delivery has failed.
    async fn note_failure(&self, id: SubscriptionId, at: Timestamp, error: &str)
    -> anyhow::Result<Timestamp>;

    /// Stops an active subscription, unless it was changed after `seen`. Returns whether this call has stopped it.
    async fn stop(
        &self,
        seen: &Subscription,
        state: SubscriptionState,
        stopped: Stopped,
    ) -> anyhow::Result<bool>;
}

/// The row of a held order, with its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// The state of the order's deliveries.
    pub order: HeldOrder,
    /// Grows with each change. 0 if the row is not stored yet.
    pub revision: u64,
}

/// Rows of held orders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldPage {
    /// The rows, by order id.
    pub rows: Vec<HeldRow>,
    /// The order after which the next page begins. `None` on the last page. A page that is not the last one may be empty.
    pub next: Option<OrderId>,
}

/// The logs of orders.
#[async_trait]
pub trait DeliveryLog: Send + Sync {
    /// The order's event with the given version. `None` if no such event is recorded.
    async fn event(&self, order_id: &OrderId, version: u64) -> anyhow::Result<Option<RecordedEvent>>;
}

/// The queue of deliveries. Its messages are grouped by subscription and order.
#[async_trait]
pub trait DeliveryQueue: Send + Sync {
    /// Sends jobs. The jobs of a group keep their order. Returns one result for each job.
    async fn send(&self, jobs: &[Job]) -> Vec<anyhow::Result<()>>;

    /// Sends one job.
    async fn send_one(&self, job: Job) -> anyhow::Result<()> {
        self.send(&[job]).await.into_iter().collect()
    }
}

/// The task that a message of the queue contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Deliver an event.
    Deliver {
        /// The id of the subscription.
        subscription_id: SubscriptionId,
        /// The id of the order.
        order_id: OrderId,
        /// The version of the order after the event.
        version: u64,
    },
    /// Deliver the events of a held order, starting with the version in its row.
    CatchUp {
        /// The id of the subscription.
        subscription_id: SubscriptionId,
        /// The id of the order.
        order_id: OrderId,
    },
    /// Test the receiver with a held order, and let all held orders of the subscription catch up once it works.
    Sweep {
        /// The id of the subscription.
        subscription_id: SubscriptionId,
        /// The order after which the sweep continues. `None` at the beginning of a sweep.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<OrderId>,
        /// Whether the earlier parts of the sweep found no order with which to test the receiver.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        untried: bool,
        /// When the sweep begins. The queue keeps only one of the sweeps with the same time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
    },
    /// Replay the events of a part of the feed.
    Replay {
        /// The id of the subscription.
        subscription_id: SubscriptionId,
        /// The id of the replay.
        replay: Uuid,
        /// The part of the feed that is not replayed yet.
        range: FeedRange,
    },
}

/// A part of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedRange {
    /// The place in each partition after which the part begins.
    pub after: Vec<u64>,
    /// The place in each partition before which the part ends.
    pub until: Vec<u64>,
}

impl Job {
    /// The subscription.
    pub fn subscription_id(&self) -> SubscriptionId {
        match self {
            Self::Deliver { subscription_id, .. }
            | Self::CatchUp { subscription_id, .. }
            | Self::Sweep { subscription_id, .. }
            | Self::Replay { subscription_id, .. } => *subscription_id,
        }
    }

    /// The message group of the job. The jobs of an order for a subscription form a group, the sweeps of a
    /// subscription another, and its replays a third. So a replay does not wait for a sweep, which waits for
    /// the receiver.
    pub fn group(&self) -> String {
        match self {
            Self::Deliver { subscription_id, order_id, .. } | Self::CatchUp { subscription_id, order_id } => {
                format!("{subscription_id}#{order_id}")
            }
            Self::Sweep { subscription_id, .. } => subscription_id.to_string(),
            Self::Replay { subscription_id, .. } => format!("{subscription_id}@replay"),
        }
    }

    /// A sweep from the beginning, which begins immediately.
    pub fn sweep_now(subscription_id: SubscriptionId) -> Self {
        Self::Sweep { subscription_id, after: None, untried: false, not_before: None }
    }

    /// A sweep that begins after the end of the current minute. If several orders of a subscription fail in a
    /// minute, the queue keeps only the first of their sweeps. That sweep covers all of these orders, because
    /// each row was written before its sweep was sent, and the sweep reads the rows after the minute.
    pub fn sweep_next(subscription_id: SubscriptionId, now: Timestamp) -> Self {
        let minute_end = (now.micros().div_euclid(MINUTE_MICROS) + 1) * MINUTE_MICROS;
        let not_before = Timestamp::from_micros(minute_end + CLOCK_SKEW_MICROS);
        Self::Sweep { subscription_id, after: None, untried: false, not_before }
    }

    /// The job that continues this job in a new message of the same group. The row of an order contains the
    /// version to deliver next.
    #[must_use]
    pub(super) fn renewed(&self) -> Self {
        match self {
            Self::Deliver { subscription_id, order_id, .. } | Self::CatchUp { subscription_id, order_id } => {
                Self::CatchUp { subscription_id: *subscription_id, order_id: order_id.clone() }
            }
            Self::Sweep { .. } | Self::Replay { .. } => self.clone(),
        }
    }

    /// The id by which the queue drops a repeated job within five minutes. Only repeated deliveries and the
    /// sweeps of a minute are dropped. A repeated request of an operator is carried out again.
    pub fn deduplication_id(&self) -> Option<String> {
        match self {
            Self::Deliver { version, .. } => Some(format!("{}#{version}", self.group())),
            Self::Sweep { not_before: Some(at), .. } => {
                Some(format!("{}@{}", self.group(), at.micros() / 1_000_000))
            }
            Self::CatchUp { .. } | Self::Sweep { .. } | Self::Replay { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_written_as_the_first_version_wrote_them() {
        let subscription_id = SubscriptionId::from(uuid::Uuid::from_u128(7));
        let order_id = OrderId::parse("o-1").unwrap();
        let id = "00000000-0000-0000-0000-000000000007";
        let jobs = [
            (
                Job::Deliver { subscription_id, order_id: order_id.clone(), version: 3 },
                format!(r#"{{"job":"deliver","subscription_id":"{id}","order_id":"o-1","version":3}}"#),
            ),
            (
                Job::CatchUp { subscription_id, order_id: order_id.clone() },
                format!(r#"{{"job":"catch_up","subscription_id":"{id}","order_id":"o-1"}}"#),
            ),
            (Job::sweep_now(subscription_id), format!(r#"{{"job":"sweep","subscription_id":"{id}"}}"#)),
            (
                Job::Sweep { subscription_id, after: Some(order_id), untried: false, not_before: None },
                format!(r#"{{"job":"sweep","subscription_id":"{id}","after":"o-1"}}"#),
            ),
            (
                Job::Replay {
                    subscription_id,
                    replay: uuid::Uuid::from_u128(7),
                    range: FeedRange { after: vec![0, 7], until: vec![3, 9] },
                },
                format!(
                    r#"{{"job":"replay","subscription_id":"{id}","replay":"{id}","range":{{"after":[0,7],"until":[3,9]}}}}"#
                ),
            ),
        ];
        for (job, json) in jobs {
            assert_eq!(serde_json::to_string(&job).unwrap(), json);
            assert_eq!(serde_json::from_str::<Job>(&json).unwrap(), job);
        }
    }

    #[test]
    fn a_sweep_says_when_it_begins_and_whether_it_has_tried_an_order() {
        let subscription_id = SubscriptionId::from(uuid::Uuid::from_u128(7));
        let not_before = Timestamp::parse("2026-11-30T10:01:05Z").ok();
        let job = Job::Sweep { subscription_id, after: None, untried: true, not_before };
        let json = r#"{"job":"sweep","subscription_id":"00000000-0000-0000-0000-000000000007","untried":true,"not_before":"2026-11-30T10:01:05Z"}"#;
        assert_eq!(serde_json::to_string(&job).unwrap(), json);
        assert_eq!(serde_json::from_str::<Job>(json).unwrap(), job);
    }

    #[test]
    fn the_sweeps_of_a_minute_are_one_that_begins_after_it() {
        let id = SubscriptionId::from(uuid::Uuid::from_u128(7));
        let at = |text| Timestamp::parse(text).unwrap();
        let first = Job::sweep_next(id, at("2026-11-30T10:00:00Z"));
        assert_eq!(first, Job::sweep_next(id, at("2026-11-30T10:00:59.999Z")));
        assert_ne!(
            first.deduplication_id(),
            Job::sweep_next(id, at("2026-11-30T10:01:00Z")).deduplication_id()
        );
        let Job::Sweep { not_before, .. } = first else { panic!("{first:?}") };
        assert_eq!(not_before, Some(at("2026-11-30T10:01:05Z")));
        assert_eq!(Job::sweep_now(id).deduplication_id(), None);
    }

    #[test]
    fn groups_and_deduplication_ids_fit_into_128_characters() {
        let subscription_id = SubscriptionId::from(uuid::Uuid::from_u128(u128::MAX));
        let order_id = OrderId::parse(&"x".repeat(64)).unwrap();
        let job = Job::Deliver { subscription_id, order_id, version: 9_999_999_999 };
        assert!(job.group().len() <= 128 && job.deduplication_id().unwrap().len() <= 128);
    }
}
