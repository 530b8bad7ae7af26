//! Plans one ordering group of a batch before anything is written: decides about each message in order, and
//! collects the events to append. `execute` calls these pure functions.

use std::collections::HashMap;

use domain::{EventId, Order, OrderId, Outcome, ParkReason, RecordedEvent, Timestamp};
use foldhash::fast::RandomState;

use crate::decide::{OrderContext, Plan, decide, log_entry};
use crate::group::DecodedMessage;
use crate::ports::{Append, EventOutcome, LoadedOrder, Message};

/// The orders of a group. `Err` contains the reason why an order could not be loaded.
pub(crate) type LoadedOrders = HashMap<OrderId, Result<LoadedOrder, String>, RandomState>;

/// What the consumer does with the messages of a group.
#[derive(Debug, Default)]
pub(crate) struct GroupPlan {
    /// The events to append, one [`Append`] for each order that gets events.
    pub(crate) appends: Vec<Append>,
    /// The plans, one for each message, in order.
    pub(crate) plans: Vec<Plan>,
}

/// Plans the messages of one group in the order of the queue. Updates `orders` to the state after the planned
/// events.
///
/// On an ordered queue, all messages after the first message to retry are retried too. On a queue without order, early
/// events are planned again after all other events, because their predecessors may come later in the same batch. A new
/// plan for an early event has the same effect as a new delivery of the event. It never changes the plans of other
/// messages.
pub(crate) fn plan_group(
    messages: &[DecodedMessage],
    orders: &mut LoadedOrders,
    now: Timestamp,
) -> GroupPlan {
    let mut planner = GroupPlanner { orders, now, appends: Vec::new() };
    let mut plans = Vec::with_capacity(messages.len());
    let mut is_held_back = false;
    for decoded in messages {
        let plan = if is_held_back {
            Plan::Retry("an earlier event of the same group must be retried first".to_owned())
        } else {
            planner.plan(decoded)
        };
        is_held_back = is_held_back || (decoded.message.group.is_some() && matches!(plan, Plan::Retry(_)));
        plans.push(plan);
    }
    while replan_retries(messages, &mut plans, &mut planner) {}
    GroupPlan { appends: planner.appends, plans }
}

/// Decides again about the messages that are to be retried and have no ordering group. Returns true if an event is to
/// be recorded after all, because that may make another early event legal.
fn replan_retries(messages: &[DecodedMessage], plans: &mut [Plan], planner: &mut GroupPlanner<'_>) -> bool {
    let mut has_recorded = false;
    for (decoded, plan) in messages.iter().zip(plans) {
        if decoded.message.group.is_none() && matches!(plan, Plan::Retry(_)) {
            *plan = planner.plan(decoded);
            has_recorded = has_recorded || matches!(plan, Plan::Record { .. });
        }
    }
    has_recorded
}

struct GroupPlanner<'a> {
    /// The orders in their state after the messages that are already planned.
    orders: &'a mut LoadedOrders,
    /// The time at which all events of the group are recorded.
    now: Timestamp,
    /// One element for each order that gets events. A linear search is enough, because a group contains one
    /// order or a small batch.
    appends: Vec<Append>,
}

impl GroupPlanner<'_> {
    /// Decides about one message and applies the decision to its order.
    fn plan(&mut self, decoded: &DecodedMessage) -> Plan {
        let envelope = match &decoded.event {
            Ok(envelope) => envelope,
            Err(error) => return self.park(decoded, error.reason(), error.to_string()),
        };
        let loaded = match self.orders.get_mut(&envelope.order_id) {
            Some(Ok(loaded)) => loaded,
            Some(Err(error)) => return Plan::Retry(error.clone()),
            None => return Plan::Retry("the order of this event was not loaded".to_owned()),
        };
        let message = &decoded.message;
        match decide(OrderContext::of(loaded, envelope), message, envelope) {
            Plan::Record { version } => match log_entry(loaded.order.as_ref(), message, envelope, self.now) {
                Ok((event, order)) => {
                    let previous = loaded.order.replace(order.clone());
                    set_outcome(loaded, message, envelope.event_id, Outcome::Recorded { version });
                    self.append(event, message, order, previous);
                    Plan::Record { version }
                }
                Err(error) => self.park(decoded, ParkReason::Invalid, error.to_string()),
            },
            Plan::Reject(outcome) => {
                set_outcome(loaded, message, envelope.event_id, outcome.clone());
                Plan::Reject(outcome)
            }
            Plan::Park(reason, detail) => self.park(decoded, reason, detail),
            plan @ (Plan::AlreadyHandled(_) | Plan::Duplicate | Plan::Retry(_)) => plan,
        }
    }

    /// Parks a message at the end of its order's parked sequence, so that later events of the order are parked after it.
    fn park(&mut self, decoded: &DecodedMessage, reason: ParkReason, detail: String) -> Plan {
        let id = decoded.message.dead_letter_id();
        let loaded = decoded.order_id.as_ref().and_then(|order_id| self.orders.get_mut(order_id));
        if let Some(Ok(loaded)) = loaded
            && !loaded.parked.iter().any(|parked| parked == id)
        {
            loaded.parked.push(id.to_owned());
        }
        Plan::Park(reason, detail)
    }

    /// Adds an event to the append of its order, or begins the append. `previous` is the order before the event.
    fn append(&mut self, event: RecordedEvent, message: &Message, order: Order, previous: Option<Order>) {
        let place = self.appends.iter().position(|append| append.order.order_id == order.order_id);
        let place = match place {
            Some(place) => {
                self.appends[place].order = order;
                place
            }
            None => {
                let (events, messages) = Default::default();
                self.appends.push(Append { events, messages, order, previous });
                self.appends.len() - 1
            }
        };
        let append = &mut self.appends[place];
        append.events.push(event);
        append.messages.push(message.dead_letter_id().to_owned());
    }
}

/// Stores the outcome of the message's event in `loaded`, and removes the message from the parked sequence in
/// `loaded`.
fn set_outcome(loaded: &mut LoadedOrder, message: &Message, event_id: EventId, outcome: Outcome) {
    let id = message.dead_letter_id();
    loaded.outcomes.retain(|known| known.event_id != event_id);
    loaded.outcomes.push(EventOutcome { event_id, outcome, message: Some(id.to_owned()) });
    loaded.parked.retain(|parked| parked != id);
}
