//! The plan for one ordering group of a batch: what each message comes to, decided in order, before anything is
//! written.

use std::collections::HashMap;

use domain::judge::Refusal;
use domain::{
    Currency, DecodeError, Envelope, Order, OrderId, Outcome, ParkReason, Receipt, RecordedEvent, Timestamp,
    identify,
};
use foldhash::fast::RandomState;
use tracing::Span;

use crate::decide::{Decision, Known, decide};
use crate::ports::{Append, Counts, Loaded, Message, Settled};
use crate::spans;

/// A message with the event in it, if it can be read.
#[derive(Debug)]
pub struct Item {
    /// The message.
    pub message: Message,
    /// The event, or why there is none.
    pub event: Result<Envelope, DecodeError>,
    /// The order it is about, where that can be told.
    pub order_id: Option<OrderId>,
    /// While it is handled.
    pub(crate) span: Span,
}

impl Item {
    /// Reads a message.
    pub fn read(mut message: Message, default_currency: Currency) -> Self {
        let event = match message.event.take() {
            Some(event) => Ok(*event),
            None => Envelope::decode(&message.body, default_currency),
        };
        let order_id = match &event {
            Ok(envelope) => Some(envelope.order_id.clone()),
            Err(_) => identify(&message.body).order_id,
        };
        let span = spans::of_event(&message, event.as_ref().ok());
        Self { message, event, order_id, span }
    }
}

/// What is known of the orders of a batch; `Err` says why an order could not be loaded.
pub type KnownOrders = HashMap<OrderId, Result<Loaded, String>, RandomState>;

/// What is to be written for a group, and what each message waits for.
#[derive(Debug, Default)]
pub struct Plan {
    /// One for each order that gets events.
    pub appends: Vec<Append>,
    /// One for each message, in order.
    pub steps: Vec<Step>,
}

/// What one message waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The append with this index in the plan; the event becomes this version.
    Append {
        /// Into [`Plan::appends`].
        index: usize,
        /// The event's.
        version: u64,
    },
    /// Its outcome being stored.
    Settle(Receipt),
    /// Nothing; it came to this outcome before.
    Again(Outcome),
    /// Nothing; it is a duplicate of an event with this outcome.
    Duplicate(Outcome),
    /// Its move to the dead letters, for this reason.
    Park(ParkReason, String),
    /// Another time.
    Retry(String),
}

/// Plans `items`, the messages of one group in the order of the queue, and brings `orders` to where the plan leads.
///
/// On an ordered queue the first message that has to be retried holds back those behind it. On a queue without order
/// what was early is decided again once the rest is: its predecessors may have come behind it in the same batch. It
/// goes last, as if it had been received again, so it never changes what becomes of the others.
pub fn plan(items: &[Item], orders: &mut KnownOrders, now: Timestamp) -> Plan {
    let mut draft = Draft { orders, now, appends: Vec::new() };
    let mut steps = Vec::with_capacity(items.len());
    let mut held_back = false;
    for item in items {
        let step = if held_back {
            Step::Retry("an earlier event of its group has to be retried first".to_owned())
        } else {
            draft.step(item)
        };
        held_back = held_back || (item.message.group.is_some() && matches!(step, Step::Retry(_)));
        steps.push(step);
    }
    while decide_again(items, &mut steps, &mut draft) {}
    Plan { appends: draft.appends, steps }
}

/// Decides once more on what has to be retried and keeps no order. True if that recorded an event, which may be what
/// another one was waiting for.
fn decide_again(items: &[Item], steps: &mut [Step], draft: &mut Draft<'_>) -> bool {
    let mut recorded = false;
    for (item, step) in items.iter().zip(steps) {
        if item.message.group.is_none() && matches!(step, Step::Retry(_)) {
            *step = draft.step(item);
            recorded = recorded || matches!(step, Step::Append { .. });
        }
    }
    recorded
}

/// A plan in the making.
struct Draft<'a> {
    /// Where the plan so far leads.
    orders: &'a mut KnownOrders,
    /// What is recorded is recorded as of this time.
    now: Timestamp,
    /// At most one for an order. They are few, mostly one: a group is an order's, or a small batch's.
    appends: Vec<Append>,
}

impl Draft<'_> {
    /// Decides on one message, and takes its order along.
    fn step(&mut self, item: &Item) -> Step {
        let envelope = match &item.event {
            Ok(envelope) => envelope,
            Err(error) => {
                self.line_up(item);
                return Step::Park(error.reason(), error.to_string());
            }
        };
        let known = match self.orders.get_mut(&envelope.order_id) {
            Some(Ok(known)) => known,
            Some(Err(error)) => return Step::Retry(error.clone()),
            None => return Step::Retry("its order was not loaded".to_owned()),
        };
        let settled = known.outcomes.iter().find(|settled| settled.event_id == envelope.event_id);
        let about = Known { order: known.order.as_ref(), parked: &known.parked, settled };
        let decision = decide(about, &item.message, envelope, self.now);
        let settle = |outcome| {
            let message = Some(item.message.letter_id().to_owned());
            Settled { event_id: envelope.event_id, outcome, message }
        };
        match decision {
            Decision::Record(recorded) => {
                let (event, order) = *recorded;
                let version = event.version;
                known.order = Some(order.clone());
                known.outcomes.retain(|settled| settled.event_id != envelope.event_id);
                known.outcomes.push(settle(Outcome::Recorded { version }));
                known.parked.retain(|id| id != item.message.letter_id());
                Step::Append { index: self.append(event, &item.message, order), version }
            }
            Decision::Reject(refusal) => {
                let at_version = Some(known.order.as_ref().map_or(0, |order| order.version));
                let Refusal { reason, detail } = refusal;
                let outcome = Outcome::Rejected { reason, detail, at_version };
                known.outcomes.retain(|settled| settled.event_id != envelope.event_id);
                known.outcomes.push(settle(outcome.clone()));
                known.parked.retain(|id| id != item.message.letter_id());
                let message = Some(item.message.letter_id().to_owned());
                Step::Settle(Receipt { message, ..Receipt::of(envelope, Some(outcome)) })
            }
            Decision::Again(outcome) => Step::Again(outcome),
            Decision::Duplicate(outcome) => Step::Duplicate(outcome),
            Decision::Park(reason, detail) => {
                self.line_up(item);
                Step::Park(reason, detail)
            }
            Decision::Retry(why) => Step::Retry(why),
        }
    }

    /// What is put aside is the last of its order's line, for those behind it.
    fn line_up(&mut self, item: &Item) {
        let known = item.order_id.as_ref().and_then(|order_id| self.orders.get_mut(order_id));
        if let Some(Ok(known)) = known
            && !known.parked.iter().any(|id| id == item.message.letter_id())
        {
            known.parked.push(item.message.letter_id().to_owned());
        }
    }

    /// Adds an event to its order's append, and tells which one that is.
    fn append(&mut self, event: RecordedEvent, message: &Message, order: Order) -> usize {
        let (version, id) = (event.version, message.letter_id().to_owned());
        let index = match self.appends.iter().position(|append| append.order.order_id == order.order_id) {
            Some(index) => {
                self.appends[index].events.push(event);
                self.appends[index].messages.push(id);
                self.appends[index].order = order;
                index
            }
            None => {
                let counts = Counts::default();
                self.appends.push(Append { events: vec![event], messages: vec![id], order, counts });
                self.appends.len() - 1
            }
        };
        self.appends[index].counts.add(message, &crate::Outcome::Recorded(version));
        index
    }
}
