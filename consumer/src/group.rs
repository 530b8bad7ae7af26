//! The plan for one ordering group of a batch: what each message comes to, decided in order, before anything is
//! written.

use std::collections::HashMap;

use domain::{DecodeError, Envelope, OrderId, Outcome, ParkReason, Receipt, Timestamp};

use crate::event::{Decision, Known, decide};
use crate::ports::{Append, Loaded, Message};

/// A message with the event in it, if it can be read.
#[derive(Debug)]
pub struct Item {
    /// The message.
    pub message: Message,
    /// The event, or why there is none.
    pub event: Result<Envelope, DecodeError>,
}

/// What is known of the orders of a batch; `Err` says why an order could not be loaded.
pub type KnownOrders = HashMap<OrderId, Result<Loaded, String>>;

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
    /// Nothing; it is a duplicate of an event with this outcome.
    Nothing(Outcome),
    /// Its move to the dead letters, for this reason.
    Park(ParkReason, String),
    /// Another time.
    Retry(String),
}

/// Plans `items`, the messages of one group in the order of the queue, and brings `orders` to where the plan leads.
/// On an ordered queue the first message that has to be retried holds back those behind it.
pub fn plan(items: &[Item], orders: &mut KnownOrders, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut appends = HashMap::new();
    let mut held_back = false;
    for item in items {
        let ordered = item.message.group.is_some();
        let step = match &item.event {
            _ if held_back => Step::Retry("an earlier event of its group has to be retried first".to_owned()),
            Err(error) => Step::Park(error.reason(), error.to_string()),
            Ok(envelope) => match orders.get_mut(&envelope.order_id) {
                Some(Ok(known)) => {
                    let index = *appends.entry(&envelope.order_id).or_insert(plan.appends.len());
                    step(envelope, known, ordered, now, &mut plan.appends, index)
                }
                Some(Err(error)) => Step::Retry(error.clone()),
                None => Step::Retry("its order was not loaded".to_owned()),
            },
        };
        held_back = held_back || (ordered && matches!(step, Step::Retry(_)));
        plan.steps.push(step);
    }
    plan
}

/// Plans one event, whose order is `known` and gets its events by the append at `index`.
fn step(
    envelope: &Envelope,
    known: &mut Loaded,
    ordered: bool,
    now: Timestamp,
    appends: &mut Vec<Append>,
    index: usize,
) -> Step {
    let outcome = known.outcomes.iter().find(|(id, _)| *id == envelope.event_id).map(|(_, outcome)| outcome);
    let about = Known { order: known.order.as_ref(), parked: known.parked, outcome, ordered };
    match decide(about, envelope, now) {
        Decision::Record(recorded) => {
            let (event, order) = *recorded;
            let version = event.version;
            known.order = Some(order.clone());
            known.outcomes.push((envelope.event_id, Outcome::Recorded { version }));
            match appends.get_mut(index) {
                Some(append) => {
                    append.events.push(event);
                    append.order = order;
                }
                None => appends.push(Append { events: vec![event], order }),
            }
            Step::Append { index, version }
        }
        Decision::Reject(refusal) => {
            let outcome = Outcome::Rejected { reason: refusal.reason, detail: refusal.detail };
            known.outcomes.push((envelope.event_id, outcome.clone()));
            Step::Settle(Receipt {
                order_id: envelope.order_id.clone(),
                event_id: envelope.event_id,
                event_type: envelope.event.event_type(),
                outcome: Some(outcome),
            })
        }
        Decision::Duplicate(outcome) => Step::Nothing(outcome),
        Decision::Park(reason, detail) => {
            known.parked += 1;
            Step::Park(reason, detail)
        }
        Decision::Retry(why) => Step::Retry(why),
    }
}
