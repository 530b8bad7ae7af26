//! The durable state of a subscription's deliveries: its progress, its held orders and its skipped deliveries. The
//! worker changes this state. Stores keep these types as JSON, so a change to a type needs an upgrade of the stored
//! data.

use domain::{EventId, EventType, OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::attempt::Attempt;

/// The progress of a subscription's deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Progress {
    /// Every event up to this position is delivered, skipped, not selected, or belongs to a held order.
    pub cursor: u64,
    /// When a delivery last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<Timestamp>,
    /// The time since which every delivery has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// The latest failure, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What operators must still be alerted about.
    #[serde(default, skip_serializing_if = "PendingAlert::is_empty")]
    pub alert: PendingAlert,
}

/// What operators must be alerted about. It is stored until the alert is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct PendingAlert {
    /// Why the subscription was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The number of orders whose delivery was given up.
    #[serde(default)]
    pub gave_up: u64,
    /// The id of one order whose delivery was given up, as an example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
}

impl PendingAlert {
    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.stopped.is_none() && self.gave_up == 0
    }

    /// Adds the content of another alert.
    pub(crate) fn merge(&mut self, other: Self) {
        self.stopped = self.stopped.take().or(other.stopped);
        self.gave_up += other.gave_up;
        self.order_id = self.order_id.take().or(other.order_id);
    }
}

/// An event of an order with its place in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The version of the order after the event.
    pub version: u64,
    /// The position of the event. 0 if it is unknown.
    pub position: u64,
}

/// The row of an order whose events are or were delivered from its log instead of the feed. A failed delivery or a
/// replay of the order creates the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOrder {
    /// The id of the order.
    pub order_id: OrderId,
    /// The first event to deliver from the log. It stays the same while the order is held.
    pub first: Place,
    /// The version to deliver next. All earlier versions are delivered, skipped or not selected.
    pub next: u64,
    /// The state of the order's deliveries.
    pub state: HeldState,
    /// The number of attempts to deliver the next event.
    #[serde(default)]
    pub attempts: u32,
    /// The number of failures that the schedule counts: those since the subscription was last changed.
    #[serde(default)]
    pub failures: u32,
    /// The event with the version `next`, whose delivery failed. `None` if that event was not tried yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<HeadEvent>,
    /// The latest attempt to deliver the next event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<Attempt>,
    /// The latest replay of the feed that moved the row back to the first event. Only used on AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Uuid>,
}

/// The state of the deliveries of an order that has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HeldState {
    /// The next event is delivered or tried again at the time `due`.
    Retrying {
        /// When the next attempt is due.
        due: Timestamp,
    },
    /// The delivery was given up. No event of the order is delivered until an operator acts.
    GaveUp,
    /// Every event of the order up to the position `until` is delivered. Later events are delivered from the
    /// feed.
    CaughtUp {
        /// The position.
        until: u64,
    },
}

/// The first event of a held order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadEvent {
    /// The id of the event.
    pub event_id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// When the event was recorded.
    pub recorded_at: Timestamp,
}

/// A delivery that an operator skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedDelivery {
    /// The id of the order.
    pub order_id: OrderId,
    /// The version of the order after the event.
    pub version: u64,
    /// The event.
    pub event: HeadEvent,
    /// The number of attempts before the skip.
    pub attempts: u32,
    /// The latest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<Attempt>,
    /// The reason, in free text.
    pub reason: String,
    /// When the delivery was skipped.
    pub at: Timestamp,
    /// Who skipped the delivery, if requests are authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Who skips a delivery, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkipRequest {
    /// The reason, in free text.
    pub reason: String,
    /// When the delivery was skipped.
    pub at: Timestamp,
    /// Who skips the delivery, if requests are authenticated.
    pub by: Option<String>,
}

impl HeldOrder {
    /// Creates a row that holds the order from the event at `first` on, so that the order's events are
    /// delivered from its log.
    pub fn from_place(order_id: OrderId, first: Place, now: Timestamp) -> Self {
        let state = HeldState::Retrying { due: now };
        let next = first.version;
        Self {
            order_id,
            first,
            next,
            state,
            attempts: 0,
            failures: 0,
            head: None,
            last_attempt: None,
            replay: None,
        }
    }

    /// Whether the order's events are delivered from its log.
    pub fn is_held(&self) -> bool {
        !matches!(self.state, HeldState::CaughtUp { .. })
    }

    /// A record that the order's next event was skipped. Returns `None` if that event was not tried yet.
    pub fn skipped(&self, skip: SkipRequest) -> Option<SkippedDelivery> {
        let SkipRequest { reason, at, by } = skip;
        Some(SkippedDelivery {
            order_id: self.order_id.clone(),
            version: self.next,
            event: self.head.clone()?,
            attempts: self.attempts,
            last_attempt: self.last_attempt.clone(),
            reason,
            at,
            by,
        })
    }

    /// Moves the row to the next event of the order, which is due immediately.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        let (first, replay) = (self.first, self.replay);
        *self = Self {
            first,
            next: self.next + 1,
            replay,
            ..Self::from_place(self.order_id.clone(), first, now)
        };
    }

    /// Begins the schedule of a held order again, because the subscription was changed.
    pub(crate) fn renew(&mut self, now: Timestamp) {
        if self.is_held() {
            self.failures = 0;
            self.state = HeldState::Retrying { due: now };
        }
    }
}
