//! What the consumer needs from the outside: an inbox of messages, the log of orders, and the dead letters.
//!
//! `infra` implements these. All are batch-first, with a result for each element, because SQS, DynamoDB and group
//! commit all are.

use std::time::Duration;

use async_trait::async_trait;
use domain::{EventId, Order, OrderId, Outcome, ParkReason, Receipt, RecordedEvent, Timestamp};

/// The queue, as its consumer sees it. Delivery is at least once; on an ordered queue the messages of a group arrive
/// in order, and none of them while earlier ones are in flight.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Waits up to `wait` for messages and takes up to `max` of them, which are then in flight until they are
    /// acked, parked, retried, or their visibility timeout passes. An empty answer means that none came in time.
    /// Who stops waiting early loses nothing: what was on its way becomes visible again at its timeout.
    async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>>;

    /// Removes messages for good.
    async fn ack(&self, messages: &[&Message]) -> Vec<anyhow::Result<()>>;

    /// Makes messages visible again, each after its delay.
    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>>;
}

/// Where messages go that cannot be processed.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Moves messages from the queue to the dead letters. Only when that succeeded are they gone from the queue.
    async fn park(&self, messages: &[Parking<'_>]) -> Vec<anyhow::Result<()>>;
}

/// A message in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the message in logs and dead letters.
    pub id: String,
    /// What the inbox needs to act on this delivery of it; opaque.
    pub handle: String,
    /// The queue's ordering group; `None` on a queue without order.
    pub group: Option<String>,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// The bytes that were sent.
    pub body: Vec<u8>,
}

/// A message to put aside, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parking<'a> {
    /// The message.
    pub message: &'a Message,
    /// The reason code.
    pub reason: ParkReason,
    /// What is wrong and where, in a sentence.
    pub detail: String,
}

/// The log of orders, with what follows from it.
#[async_trait]
pub trait OrderLog: Send + Sync {
    /// What is known of each order, and of the given events of it, as of now (never stale).
    async fn load(&self, wanted: &[Wanted]) -> Vec<anyhow::Result<Loaded>>;

    /// Appends to logs, each element on its own: its events are consecutive versions of one order. The append is the
    /// commit point; the projection follows it.
    async fn append(&self, appends: &[Append]) -> Vec<Result<Appended, AppendError>>;

    /// Stores outcomes that are no append: rejected and parked events.
    async fn settle(&self, receipts: &[Receipt]) -> Vec<anyhow::Result<()>>;
}

/// What to load: an order, and the events whose outcome matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The order.
    pub order_id: OrderId,
    /// Events of it that may have been handled before.
    pub event_ids: Vec<EventId>,
}

/// What is known of an order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// The order as of its latest event, whether projected or not; `None` if its log is empty.
    pub order: Option<Order>,
    /// How many of its events are in the dead letters.
    pub parked: u64,
    /// The outcomes of those of the wanted events that have one.
    pub outcomes: Vec<(EventId, Outcome)>,
}

/// Events to append to the log of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Consecutive versions, at least one.
    pub events: Vec<RecordedEvent>,
    /// The order after the last of them.
    pub order: Order,
}

/// What an append found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The events were not there and are now.
    New,
    /// The same events were there already, at the same versions: an earlier attempt had got this far.
    Already,
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Other events hold these versions: load again and judge again.
    #[error("version {version} of order {order_id} is taken by another event")]
    Conflict {
        /// The order.
        order_id: OrderId,
        /// The first version that is taken.
        version: u64,
    },
    /// The store failed; the same append may succeed later.
    #[error("the store is not available")]
    Unavailable(#[source] anyhow::Error),
}

/// The time now. The consumer stamps what it records; tests may choose the time.
pub type Clock = fn() -> Timestamp;
