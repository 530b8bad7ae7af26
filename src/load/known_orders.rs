//! The orders that this run created: the accepted events of each, in order, and the outcome that each must have. Workers
//! add to it, and the audit compares the service with it.
//!
//! An order has at most one write in flight: it is idle only after the answer. So we know in which order the service
//! accepted its events, and the rules of `domain` give the outcome of each.

use super::life::{self, OrderState, Verdict, judge_transition};
use domain::{EventId, EventType, OrderId, OrderStatus};
use fastrand::Rng;

use super::receipt::ReceiptLocation;

/// How many idle orders are tried to find one that fits the event.
const TRIES: usize = 16;

/// The outcome that an event must have if the queue preserves order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpectedOutcome {
    Recorded,
    Rejected,
}

/// An accepted event.
#[derive(Debug, Clone)]
pub(super) struct AcceptedEvent {
    pub(super) event_id: EventId,
    /// The number of the request.
    pub(super) number: u32,
    pub(super) event_type: EventType,
    pub(super) expected: ExpectedOutcome,
    /// The location of the event's receipt.
    pub(super) receipt: ReceiptLocation,
}

/// An order that this run created.
#[derive(Debug)]
pub(super) struct KnownOrder {
    pub(super) id: OrderId,
    /// The number of the request that created the order.
    pub(super) creation: u32,
    /// The accepted events. The first is the creation.
    pub(super) events: Vec<AcceptedEvent>,
    /// Whether a request for the order got no answer, so that the service may have an event that is not in `events`.
    pub(super) is_uncertain: bool,
    state: OrderState,
}

impl KnownOrder {
    /// The next event in the life of this order; `None` at its end. Every tenth order is amended first, and every twentieth
    /// is returned.
    fn next_step(&self) -> Option<EventType> {
        let is_returned = self.creation % 20 == 7;
        match self.state {
            OrderState::Is(OrderStatus::Pending) if self.creation % 10 == 3 && self.events.len() == 1 => {
                Some(EventType::Amended)
            }
            OrderState::Is(OrderStatus::Pending) => Some(EventType::Confirmed),
            OrderState::Is(OrderStatus::Confirmed) => Some(EventType::Paid),
            OrderState::Is(OrderStatus::Paid) => Some(EventType::Shipped),
            OrderState::Is(OrderStatus::Shipped) => Some(EventType::Delivered),
            OrderState::Is(OrderStatus::Delivered) if is_returned => Some(EventType::Returned),
            OrderState::Is(OrderStatus::Returned) | OrderState::CancelledPaid => Some(EventType::Refunded),
            OrderState::None | OrderState::Is(_) => None,
        }
    }

    /// An event that the rules forbid now. With `unordered`, an event that they can never allow.
    fn illegal_event(&self, unordered: bool, rng: &mut Rng) -> Option<EventType> {
        let forbidden = |event: &EventType| match judge_transition(self.state, *event) {
            Verdict::Legal => false,
            Verdict::Early => !unordered,
            Verdict::Never => true,
        };
        let proposable = life::EVENTS.into_iter().filter(|event| *event != EventType::Created);
        rng.choice(proposable.filter(forbidden).collect::<Vec<_>>())
    }
}

/// The next write to an order. The order is not idle until the write is answered.
#[derive(Debug, Clone)]
pub(super) struct PlannedEvent {
    /// The index of the order in [`KnownOrders`].
    pub(super) place: usize,
    pub(super) order_id: OrderId,
    pub(super) creation: u32,
    pub(super) event_type: EventType,
    pub(super) expected: ExpectedOutcome,
}

/// An accepted event, to be read or sent again.
#[derive(Debug, Clone)]
pub(super) struct EarlierEvent {
    pub(super) order_id: OrderId,
    pub(super) creation: u32,
    pub(super) accepted: AcceptedEvent,
}

/// All orders of this run.
#[derive(Debug, Default)]
pub(super) struct KnownOrders {
    orders: Vec<KnownOrder>,
    /// Indexes of idle orders that have a next step.
    open: Vec<usize>,
    /// Indexes of idle orders that have no next step.
    ended: Vec<usize>,
    accepted: u64,
}

impl KnownOrders {
    /// The number of accepted events.
    pub(super) fn accepted_count(&self) -> u64 {
        self.accepted
    }

    pub(super) fn into_orders(self) -> Vec<KnownOrder> {
        self.orders
    }

    /// Plans the next step of a random idle order.
    pub(super) fn plan_step(&mut self, rng: &mut Rng) -> Option<PlannedEvent> {
        let at = random_index(&self.open, rng)?;
        let event_type = self.orders[self.open[at]].next_step()?;
        Some(self.take_open(at, event_type, ExpectedOutcome::Recorded))
    }

    /// Plans the cancellation of a random idle order that can be cancelled.
    pub(super) fn plan_cancel(&mut self, rng: &mut Rng) -> Option<PlannedEvent> {
        let at = (0..TRIES).filter_map(|_| random_index(&self.open, rng)).find(|at| {
            let state = self.orders[self.open[*at]].state;
            life::next(state, EventType::Cancelled).is_some()
        })?;
        Some(self.take_open(at, EventType::Cancelled, ExpectedOutcome::Recorded))
    }

    /// Plans an illegal event of a random idle order.
    pub(super) fn plan_illegal(&mut self, unordered: bool, rng: &mut Rng) -> Option<PlannedEvent> {
        for _ in 0..TRIES {
            let of_ended = !self.ended.is_empty() && (self.open.is_empty() || rng.bool());
            let idle = if of_ended { &mut self.ended } else { &mut self.open };
            let at = random_index(idle, rng)?;
            let place = idle[at];
            if let Some(event_type) = self.orders[place].illegal_event(unordered, rng) {
                idle.swap_remove(at);
                return Some(self.planned(place, event_type, ExpectedOutcome::Rejected));
            }
        }
        None
    }

    fn take_open(&mut self, at: usize, event_type: EventType, expected: ExpectedOutcome) -> PlannedEvent {
        let place = self.open.swap_remove(at);
        self.planned(place, event_type, expected)
    }

    fn planned(&self, place: usize, event_type: EventType, expected: ExpectedOutcome) -> PlannedEvent {
        let order = &self.orders[place];
        PlannedEvent { place, order_id: order.id.clone(), creation: order.creation, event_type, expected }
    }

    /// A random accepted event of a random order, idle or not.
    pub(super) fn random_event(&self, rng: &mut Rng) -> Option<EarlierEvent> {
        let order = &self.orders[random_index(&self.orders, rng)?];
        let accepted = order.events[random_index(&order.events, rng)?].clone();
        Some(EarlierEvent { order_id: order.id.clone(), creation: order.creation, accepted })
    }

    /// Adds a new order as idle.
    pub(super) fn add_order(&mut self, id: OrderId, accepted: AcceptedEvent) {
        self.accepted += 1;
        let (creation, state) = (accepted.number, OrderState::Is(OrderStatus::Pending));
        self.orders.push(KnownOrder { id, creation, events: vec![accepted], is_uncertain: false, state });
        self.release(self.orders.len() - 1);
    }

    /// Adds an accepted event to the order at `place`, and makes the order idle again.
    pub(super) fn add_event(&mut self, place: usize, accepted: AcceptedEvent) {
        self.accepted += 1;
        let order = &mut self.orders[place];
        if accepted.expected == ExpectedOutcome::Recorded {
            order.state = life::next(order.state, accepted.event_type).unwrap_or(order.state);
        }
        order.events.push(accepted);
        self.release(place);
    }

    /// Makes the order at `place` idle again.
    pub(super) fn release(&mut self, place: usize) {
        let has_next = self.orders[place].next_step().is_some();
        if has_next { self.open.push(place) } else { self.ended.push(place) }
    }

    /// Marks the order at `place` after a write whose outcome is unknown. It never becomes idle again.
    pub(super) fn mark_uncertain(&mut self, place: usize) {
        self.orders[place].is_uncertain = true;
    }
}

fn random_index<T>(of: &[T], rng: &mut Rng) -> Option<usize> {
    (!of.is_empty()).then(|| rng.usize(..of.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(number: u32, event_type: EventType, expected: ExpectedOutcome) -> AcceptedEvent {
        let event_id = uuid::Uuid::from_u128(number.into()).into();
        AcceptedEvent { event_id, number, event_type, expected, receipt: ReceiptLocation::Plain }
    }

    fn one_order(creation: u32) -> KnownOrders {
        let mut orders = KnownOrders::default();
        let id = OrderId::parse("o-1").unwrap();
        orders.add_order(id, accepted(creation, EventType::Created, ExpectedOutcome::Recorded));
        orders
    }

    fn live(creation: u32) -> Vec<EventType> {
        let (mut orders, mut rng) = (one_order(creation), Rng::with_seed(1));
        while let Some(planned) = orders.plan_step(&mut rng) {
            assert!(orders.plan_step(&mut rng).is_none(), "a write is in flight");
            orders.add_event(planned.place, accepted(9, planned.event_type, planned.expected));
        }
        orders.into_orders().remove(0).events.iter().map(|event| event.event_type).collect()
    }

    #[test]
    fn every_order_reaches_the_end_of_its_life() {
        use EventType as E;
        let usual = [E::Created, E::Confirmed, E::Paid, E::Shipped, E::Delivered];
        assert_eq!(live(1), usual);
        assert_eq!(live(3), [E::Created, E::Amended, E::Confirmed, E::Paid, E::Shipped, E::Delivered]);
        assert_eq!(live(7), [&usual[..], &[E::Returned, E::Refunded]].concat());
    }

    #[test]
    fn planned_illegal_events_are_illegal_and_do_not_change_the_state() {
        for unordered in [false, true] {
            let (mut orders, mut rng) = (one_order(1), Rng::with_seed(1));
            for number in 2..200 {
                if let Some(planned) = orders.plan_illegal(unordered, &mut rng) {
                    let state = orders.orders[planned.place].state;
                    match judge_transition(state, planned.event_type) {
                        Verdict::Legal => panic!("{planned:?} in {state}"),
                        Verdict::Early => assert!(!unordered),
                        Verdict::Never => {}
                    }
                    orders.add_event(planned.place, accepted(number, planned.event_type, planned.expected));
                    assert_eq!(orders.orders[planned.place].state, state);
                }
                if number % 20 == 0
                    && let Some(step) = orders.plan_step(&mut rng)
                {
                    orders.add_event(step.place, accepted(number, step.event_type, step.expected));
                }
            }
            assert_eq!(orders.orders[0].state, OrderState::Is(OrderStatus::Delivered));
        }
    }
}
