//! What the consumer needs from the outside: an inbox of messages, the log of orders, and the dead letters.
//!
//! `infra` implements these. All are batch-first, with a result for each element, because SQS, DynamoDB and group
//! commit all are.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    DeadLetter, Envelope, EventId, Order, OrderId, Outcome, ParkReason, Receipt, RecordedEvent, Repaired,
    Timestamp,
};

use crate::alert::Alert;

/// The queue, as its consumer sees it. Delivery is at least once; on an ordered queue the messages of a group arrive
/// in order, and none of them while earlier ones are in flight.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Waits up to `wait` for messages and takes up to `max` of them, which are then in flight until they are
    /// acked, parked, retried, or their visibility timeout passes. An empty answer means that none came in time.
    /// Who stops waiting early loses nothing: what was on its way becomes visible again at its timeout.
    async fn receive(&self, max: usize, wait: Duration) -> anyhow::Result<Vec<Message>>;

    /// Removes messages for good, each with the end that it came to.
    async fn ack(&self, messages: &[(&Message, End)]) -> Vec<anyhow::Result<()>>;

    /// Makes messages visible again, each after its delay.
    async fn retry(&self, messages: &[(&Message, Duration)]) -> Vec<anyhow::Result<()>>;
}

/// The end that a message on the queue came to, for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its event is in the log.
    Recorded,
    /// The rules said no.
    Rejected,
    /// Its event had its outcome already.
    Duplicate,
    /// It is in the archive of dead letters.
    Archived,
}

/// Where messages go that cannot be processed.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Moves messages from the queue to the dead letters, and adds each to the end of its order's line. Only when that
    /// succeeded are they gone from the queue. One that is there already stays in its place.
    async fn park(&self, messages: &[Parking<'_>]) -> Vec<anyhow::Result<()>>;

    /// Takes dead letters, by their ids, out of the dead letters and out of their orders' lines: the events in them have
    /// come to these ends. Those that are gone already are no error.
    async fn release(&self, letters: &[(&str, End)]) -> Vec<anyhow::Result<()>>;
}

/// Where dead letters are kept that came by a queue of their own: raw, and by their orders.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Keeps a letter for good, adds it to the end of its order's line, and tells its event's receipt. Once more, it
    /// changes nothing.
    async fn keep(&self, letter: &DeadLetter) -> anyhow::Result<()>;
}

/// Who is told of dead letters.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// Tells whoever looks after them; an error says that nobody was told.
    async fn raise(&self, alert: &Alert) -> anyhow::Result<()>;
}

/// Where the ends of messages are counted, if the inbox does not do that when it acks.
#[async_trait]
pub trait Tally: Send + Sync {
    /// Adds what became of a batch to the counts, less what was counted ahead of it: [`Append::counts`].
    async fn add(&self, counts: Counts) -> anyhow::Result<()>;
}

/// What became of a batch of messages. Replays are none of these: what becomes of them is told by who releases them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Received for the first time.
    pub received: u64,
    /// In the log.
    pub recorded: u64,
    /// Refused by the rules.
    pub rejected: u64,
    /// Of events that had their outcome already.
    pub duplicate: u64,
    /// Put aside.
    pub parked: u64,
}

/// The attribute of a replayed message that names the dead letter it was.
pub const DEAD_LETTER: &str = "dead_letter";
/// The attribute of a replayed message that says how often it was replayed, this time included.
pub const REPLAYS: &str = "replays";
/// The attribute of a replayed message that says who repaired the dead letter: a [`Repaired`] in JSON.
pub const REPAIRED: &str = "repaired";

/// The name under which X-Ray's trace header is among a message's attributes, as SQS calls it.
pub const TRACE_HEADER: &str = "AWSTraceHeader";

/// A message in flight.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Names the message in logs and dead letters.
    pub id: String,
    /// What the inbox needs to act on this delivery of it; opaque.
    pub handle: String,
    /// The queue's ordering group; `None` on a queue without order.
    pub group: Option<String>,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent, if the queue tells.
    pub sent_at: Option<Timestamp>,
    /// When it was received for the first time, if the queue tells.
    pub first_received_at: Option<Timestamp>,
    /// Texts that came with it, by name.
    pub attributes: BTreeMap<String, String>,
    /// The bytes that were sent.
    pub body: Vec<u8>,
    /// The event in the body, if the inbox knows it from whoever sent it. Otherwise it is decoded.
    pub event: Option<Box<Envelope>>,
}

impl Message {
    /// The dead letter that this message replays, if it does.
    pub fn replayed(&self) -> Option<&str> {
        self.attributes.get(DEAD_LETTER).map(String::as_str)
    }

    /// The id that it has, or would have, among the dead letters.
    pub fn letter_id(&self) -> &str {
        self.replayed().unwrap_or(&self.id)
    }

    /// Who repaired the dead letter that it replays, and what that was first. Only an attribute says so, which producers do
    /// not set; what their messages have under that name means something else.
    pub fn repaired(&self) -> Option<Box<Repaired>> {
        self.replayed()?;
        let text = self.attributes.get(REPAIRED)?;
        let unreadable = |error: &<Repaired as FromStr>::Err| {
            tracing::warn!(message_id = self.id, "who repaired it cannot be read: {error}");
        };
        let repaired: Repaired = text.parse().inspect_err(unreadable).ok()?;
        Some(Box::new(repaired))
    }

    /// How often it was replayed; 0 for a message that comes from its producer.
    pub fn replays(&self) -> u32 {
        let count = self.attributes.get(REPLAYS).and_then(|count| count.parse().ok());
        count.unwrap_or_else(|| u32::from(self.replayed().is_some()))
    }
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
    /// The event in it, if it can be read.
    pub event: Option<&'a Envelope>,
    /// The order it is about, where that can be told.
    pub order_id: Option<OrderId>,
}

impl Parking<'_> {
    /// What the event's receipt tells from now on, if there is an event.
    pub fn receipt(&self) -> Option<Receipt> {
        let outcome = Outcome::Parked { reason: self.reason, detail: self.detail.clone() };
        let receipt = Receipt::of(self.event?, Some(outcome));
        Some(Receipt { message: Some(self.message.letter_id().to_owned()), ..receipt })
    }
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
    /// The ids of its first dead letters, in line: as they were put aside. One more than events are wanted is enough, for
    /// each of these takes at most one letter out of the line.
    pub parked: Vec<String>,
    /// The outcomes of those of the wanted events that have one.
    pub outcomes: Vec<Settled>,
}

/// An event that has an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The event.
    pub event_id: EventId,
    /// Its outcome.
    pub outcome: Outcome,
    /// The message that brought it, if that is known: a copy of the event in another message is a duplicate, this one
    /// again is not.
    pub message: Option<String>,
}

/// Events to append to the log of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Consecutive versions, at least one.
    pub events: Vec<RecordedEvent>,
    /// The ids of the messages that brought them, one for each; or none, if they are not known.
    pub messages: Vec<String>,
    /// The order after the last of them.
    pub order: Order,
    /// What the messages are to be counted as when this is done: received and recorded, nothing else. A store that is a [`Tally`] too may count it along with
    /// what it writes; so this is a forecast, and what became of them in the end is added then.
    pub counts: Counts,
}

/// What an append found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The events were not there and are now.
    New,
    /// The same events, of the same messages, were there already, at the same versions: an earlier attempt had got this
    /// far.
    Already,
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Other events hold these versions, or the same from other messages: load again and judge again.
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
