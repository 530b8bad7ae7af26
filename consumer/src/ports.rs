//! The ports of the consumer: the inbox of messages, the order log, the dead letters and the ledger. `infra` implements
//! these traits.
//!
//! Most methods take a batch and return one result for each element, as SQS, DynamoDB and group commit do.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    DeadLetter, Envelope, EventId, Order, OrderId, Outcome, ParkReason, Receipt, RecordedEvent, Reference,
    Repaired, Timestamp,
};

use crate::alert::Alert;
use crate::disposition::Disposition;

/// The queue, as the consumer uses it. Messages are delivered at least once. On an ordered queue, the messages of a
/// group are delivered in order. No message is delivered while an earlier message of its group is in flight.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Waits up to `wait` for messages and takes up to `max` of them. The messages are in flight until they are
    /// acknowledged, parked or retried, or until their visibility timeout passes. An empty result means that no
    /// message arrived in time.
    ///
    /// If the future is dropped, no message is lost. Messages that were being delivered become visible again at their
    /// visibility timeout.
    async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>>;

    /// Removes messages from the queue and counts their dispositions. All dispositions must be
    /// [acknowledged](Disposition::is_acknowledged).
    async fn ack(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>>;

    /// Makes messages visible again, each after its delay.
    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>>;
}

/// The store for messages that cannot be processed.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Moves messages from the queue to the dead letters, each to the end of its order's parked sequence. A message
    /// leaves the queue only if its move succeeded. A message that is already a dead letter keeps its place.
    async fn park(&self, messages: &[ParkRequest<'_>]) -> Vec<anyhow::Result<()>>;

    /// Removes dead letters, given by id, from the dead letters and from their parked sequences. Counts the
    /// dispositions of their replays, unless a [`LedgerStore`] does. A dead letter that does not exist is not an error.
    async fn release(&self, letters: &[(&str, &Disposition)]) -> Vec<anyhow::Result<()>>;
}

/// The permanent store for messages of a dead-letter queue. It keeps the raw messages and an index by order.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Keeps a dead letter permanently, adds it to the end of its order's parked sequence, and updates its event's
    /// receipt. Keeping the same dead letter again changes nothing.
    async fn keep(&self, letter: &DeadLetter) -> anyhow::Result<()>;
}

/// Notifies operators of dead letters.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// Sends the alert. An error means that no operator was notified.
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()>;
}

/// Counts dispositions, for inboxes that do not count the messages that they acknowledge.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Counts messages that are about to be acknowledged. A message that was already counted is not counted
    /// again. A message that cannot be counted must not be acknowledged, so that it is delivered and counted
    /// again. Parked messages are counted as dead letters, and not here.
    async fn count(&self, messages: &[(&Message, &Disposition)]) -> Vec<anyhow::Result<()>>;
}

/// The attribute of a replayed message that contains the id of its dead letter.
pub const DEAD_LETTER: &str = "dead_letter";
/// The attribute of a replayed message that contains how often it was replayed, including this time.
pub const REPLAYS: &str = "replays";
/// The attribute of a replayed message that contains the repairs of its dead letter, as a [`Repaired`] in JSON.
pub const REPAIRED: &str = "repaired";

/// The attribute that contains X-Ray's trace header. SQS defines the name of this attribute.
pub const TRACE_HEADER: &str = "AWSTraceHeader";

/// A message in flight.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The message id, which identifies the message in logs and dead letters.
    pub id: String,
    /// Opaque data by which the inbox identifies this delivery of the message.
    pub handle: String,
    /// The ordering group, or `None` on a queue without order.
    pub group: Option<String>,
    /// How often the message was received, including this time.
    pub receive_count: u32,
    /// When the message was sent, if the queue reports that time.
    pub sent_at: Option<Timestamp>,
    /// When the message was first received, if the queue reports that time.
    pub first_received_at: Option<Timestamp>,
    /// The message attributes, by name.
    pub attributes: BTreeMap<String, String>,
    /// The body, as it was sent.
    pub body: Vec<u8>,
    /// The decoded event, if the inbox has kept it in memory. `None` makes the consumer decode the body.
    pub event: Option<Box<Envelope>>,
}

impl Message {
    /// The id of the dead letter that this message replays, or `None` if this message is not a replay.
    pub fn replayed(&self) -> Option<&str> {
        self.attributes.get(DEAD_LETTER).map(String::as_str)
    }

    /// The id of the message's dead letter. A replay has the id of the dead letter that it replays. Any other message
    /// has its message id, which a dead letter made from the message would get.
    pub fn dead_letter_id(&self) -> &str {
        self.replayed().unwrap_or(&self.id)
    }

    /// The repairs of the dead letter that this message replays, and its original body. They are read only
    /// from the attribute of a replay. An attribute of the same name in a producer's message is ignored.
    pub fn repaired(&self) -> Option<Box<Repaired>> {
        self.replayed()?;
        let text = self.attributes.get(REPAIRED)?;
        let warn = |error: &<Repaired as FromStr>::Err| {
            tracing::warn!(message_id = self.id, "cannot read the repairs of a replay: {error}");
        };
        let repaired: Repaired = text.parse().inspect_err(warn).ok()?;
        Some(Box::new(repaired))
    }

    /// How often the dead letter in the message was redriven, including this time. 0 if the message is not a
    /// replay.
    pub fn replays(&self) -> u32 {
        let count = self.attributes.get(REPLAYS).and_then(|count| count.parse().ok());
        count.unwrap_or_else(|| u32::from(self.replayed().is_some()))
    }
}

/// A message to park, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkRequest<'a> {
    /// The message.
    pub message: &'a Message,
    /// The code of the reason.
    pub reason: ParkReason,
    /// Describes what is wrong and where, in one sentence.
    pub detail: String,
    /// The event in the message, if it can be read.
    pub event: Option<&'a Envelope>,
    /// The order of the event, if known.
    pub order_id: Option<OrderId>,
}

impl ParkRequest<'_> {
    /// The event's receipt after the message is parked. `None` if the event cannot be read.
    pub fn receipt(&self) -> Option<Receipt> {
        let outcome = Outcome::Parked { reason: self.reason, detail: self.detail.clone() };
        let receipt = Receipt::of(self.event?, Some(outcome));
        Some(Receipt { message: Some(self.message.dead_letter_id().to_owned()), ..receipt })
    }
}

/// The order logs, with their derived writes.
#[async_trait]
pub trait OrderLog: Send + Sync {
    /// Loads orders, with the outcomes of the given events. The result is never stale.
    async fn load(&self, requests: &[LoadRequest]) -> Vec<anyhow::Result<LoadedOrder>>;

    /// Appends to logs. Each append is independent of the others, and contains consecutive versions of one
    /// order. The append is the commit point; the derived writes may follow later.
    async fn append(&self, appends: &[Append]) -> Vec<Result<Appended, AppendError>>;

    /// Stores the outcomes of events that are not appended, because they are rejected or parked.
    async fn settle(&self, receipts: &[Receipt]) -> Vec<anyhow::Result<()>>;
}

/// An order to load, with the events whose outcomes are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// The id of the order.
    pub order_id: OrderId,
    /// The ids of the events whose outcomes are needed. Each event may already have been handled.
    pub event_ids: Vec<EventId>,
    /// The references that the events would give to the order. Most events give no reference.
    pub references: Vec<Reference>,
}

/// The parts of an order's state on which decisions about its events depend.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadedOrder {
    /// The order after its latest event, even if that event is not projected yet. `None` if the order's log is empty.
    pub order: Option<Order>,
    /// The ids of the first dead letters in the order's parked sequence: one more than the number of
    /// requested events, or all if there are fewer. More ids are not needed, because each event removes at
    /// most one dead letter.
    pub parked: Vec<String>,
    /// The outcomes of those requested events that already have one.
    pub outcomes: Vec<EventOutcome>,
    /// Those requested references that an order already has, each with the order that has it.
    pub reference_holders: Vec<(Reference, OrderId)>,
}

/// An event with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOutcome {
    /// The id of the event.
    pub event_id: EventId,
    /// The outcome of the event.
    pub outcome: Outcome,
    /// The id of the message that carried the event, if known. If another message carries the same event, that message
    /// is a duplicate. A second delivery of the same message is not a duplicate.
    pub message: Option<String>,
}

/// Events to append to the log of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The events of the append, at least one. Their versions are consecutive.
    pub events: Vec<RecordedEvent>,
    /// The ids of the messages that carried the events, one for each event. Empty if the ids are not known.
    pub messages: Vec<String>,
    /// The order after the last event.
    pub order: Order,
    /// The order before the first event, or `None` if the first event creates the order.
    pub previous: Option<Order>,
}

/// The result of a successful append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The events were new and are now appended.
    New,
    /// An earlier attempt appended the same events, from the same messages, at the same versions.
    Already,
}

/// Why an append failed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log already contains other events with the versions of this append, or the same events from other messages.
    /// The caller must load the order and decide again.
    #[error("version {version} of order {order_id} is taken by another event")]
    Conflict {
        /// The id of the order.
        order_id: OrderId,
        /// The first version that the append needs but that another event already has.
        version: u64,
    },
    /// Another order already has the reference that an event gives to this order. Nothing was appended. The caller
    /// must load the orders and decide again.
    #[error("order {by} has the reference {reference:?}")]
    ReferenceTaken {
        /// The reference.
        reference: Reference,
        /// The order that already has the reference.
        by: OrderId,
    },
    /// The store failed. The same append may succeed later.
    #[error("the store is not available")]
    Unavailable(#[source] anyhow::Error),
}

/// Returns the current time. The consumer records events at this time, and tests supply a clock of their own.
pub type Clock = fn() -> Timestamp;
