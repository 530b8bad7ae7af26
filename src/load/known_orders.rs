//! What this run knows of its orders: which events were accepted of each, in which order, and what must become of them.
//!
//! An order has at most one write on its way: it is not idle until the answer is there. So the order in which its events
//! were accepted is known, and with it, by the rules of `domain`, the outcome of each.

use domain::judge::{Verdict, judge_transition};
use domain::lifecycle::{self, OrderState, OrderStatus};
use domain::{EventId, EventType, OrderId};
use fastrand::Rng;

use super::receipt::ReceiptLocation;

/// How many idle orders are looked at for one that an event fits.
const LOOKS: usize = 16;

/// What must become of an event, if the queue keeps the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpectedOutcome {
    Recorded,
    Rejected,
}

/// An accepted event.
#[derive(Debug, Clone)]
pub(super) struct AcceptedEvent {
    pub(super) event_id: EventId,
    /// Of the request.
    pub(super) number: u32,
    pub(super) event_type: EventType,
    pub(super) expected: ExpectedOutcome,
    /// To its receipt.
    pub(super) link: ReceiptLocation,
}

/// An order, as far as this run made it.
#[derive(Debug)]
pub(super) struct KnownOrder {
    pub(super) id: OrderId,
    /// The number of the request that created it.
    pub(super) creation: u32,
    /// The first is its creation.
    pub(super) events: Vec<AcceptedEvent>,
    /// Whether a request about it was never answered, so that there may be an event that nobody here knows of.
    pub(super) is_uncertain: bool,
    state: OrderState,
}

impl KnownOrder {
    /// What comes next in the life of this order, if it is not at its end. Every tenth is amended first, and every
    /// twentieth comes back.
    fn next_step(&self) -> Option<EventType> {
        let comes_back = self.creation % 20 == 7;
        match self.state {
            OrderState::Is(OrderStatus::Pending) if self.creation % 10 == 3 && self.events.len() == 1 => {
                Some(EventType::Amended)
            }
            OrderState::Is(OrderStatus::Pending) => Some(EventType::Confirmed),
            OrderState::Is(OrderStatus::Confirmed) => Some(EventType::Paid),
            OrderState::Is(OrderStatus::Paid) => Some(EventType::Shipped),
            OrderState::Is(OrderStatus::Shipped) => Some(EventType::Delivered),
            OrderState::Is(OrderStatus::Delivered) if comes_back => Some(EventType::Returned),
            OrderState::Is(OrderStatus::Returned) | OrderState::CancelledPaid => Some(EventType::Refunded),
            OrderState::None | OrderState::Is(_) => None,
        }
    }

    /// An event that the rules forbid now; on a queue without order one that they forbid for ever.
    fn illegal_event(&self, unordered: bool, rng: &mut Rng) -> Option<EventType> {
        let forbidden = |event: &EventType| match judge_transition(self.state, *event) {
            Verdict::Legal => false,
            Verdict::Early(_) => !unordered,
            Verdict::Never(_) => true,
        };
        let proposable = EventType::ALL.into_iter().filter(|event| *event != EventType::Created);
        rng.choice(proposable.filter(forbidden).collect::<Vec<_>>())
    }
}

/// A write to an order that is nobody else's meanwhile.
#[derive(Debug, Clone)]
pub(super) struct PlannedEvent {
    /// Its place in the book.
    pub(super) place: usize,
    pub(super) order_id: OrderId,
    pub(super) creation: u32,
    pub(super) event_type: EventType,
    pub(super) expected: ExpectedOutcome,
}

/// An event accepted earlier, to be sent again.
#[derive(Debug, Clone)]
pub(super) struct EarlierEvent {
    pub(super) order_id: OrderId,
    pub(super) creation: u32,
    pub(super) accepted: AcceptedEvent,
}

/// Every order of this run.
#[derive(Debug, Default)]
pub(super) struct KnownOrders {
    orders: Vec<KnownOrder>,
    /// Places of idle orders that have a next step.
    open: Vec<usize>,
    /// Places of idle orders at the end of their lives.
    ended: Vec<usize>,
    accepted: u64,
}

impl KnownOrders {
    /// Accepted events.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    pub(super) fn into_orders(self) -> Vec<KnownOrder> {
        self.orders
    }

    /// The next step of some idle order.
    pub(super) fn plan_step(&mut self, rng: &mut Rng) -> Option<PlannedEvent> {
        let at = some_place(&self.open, rng)?;
        let event_type = self.orders[self.open[at]].next_step()?;
        Some(self.take_open(at, event_type, ExpectedOutcome::Recorded))
    }

    /// The cancellation of some idle order that can be cancelled.
    pub(super) fn plan_cancel(&mut self, rng: &mut Rng) -> Option<PlannedEvent> {
        let at = (0..LOOKS).filter_map(|_| some_place(&self.open, rng)).find(|at| {
            let state = self.orders[self.open[*at]].state;
            lifecycle::next(state, EventType::Cancelled).is_some()
        })?;
        Some(self.take_open(at, EventType::Cancelled, ExpectedOutcome::Recorded))
    }

    /// An illegal event of some idle order.
    pub(super) fn plan_illegal(&mut self, unordered: bool, rng: &mut Rng) -> Option<PlannedEvent> {
        for _ in 0..LOOKS {
            let of_ended = !self.ended.is_empty() && (self.open.is_empty() || rng.bool());
            let idle = if of_ended { &mut self.ended } else { &mut self.open };
            let at = some_place(idle, rng)?;
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

    /// Some accepted event of some order, whatever happens to it now.
    pub(super) fn some_event(&self, rng: &mut Rng) -> Option<EarlierEvent> {
        let order = &self.orders[some_place(&self.orders, rng)?];
        let accepted = order.events[some_place(&order.events, rng)?].clone();
        Some(EarlierEvent { order_id: order.id.clone(), creation: order.creation, accepted })
    }

    /// Notes that an order was created.
    pub(super) fn created(&mut self, id: OrderId, accepted: AcceptedEvent) {
        self.accepted += 1;
        let (creation, state) = (accepted.number, OrderState::Is(OrderStatus::Pending));
        self.orders.push(KnownOrder { id, creation, events: vec![accepted], is_uncertain: false, state });
        self.release(self.orders.len() - 1);
    }

    /// Notes that an event of the order at `place` was accepted; the order is idle again.
    pub(super) fn accepted_event(&mut self, place: usize, accepted: AcceptedEvent) {
        self.accepted += 1;
        let order = &mut self.orders[place];
        if accepted.expected == ExpectedOutcome::Recorded {
            order.state = lifecycle::next(order.state, accepted.event_type).unwrap_or(order.state);
        }
        order.events.push(accepted);
        self.release(place);
    }

    /// The order at `place` is idle again.
    pub(super) fn release(&mut self, place: usize) {
        let has_next = self.orders[place].next_step().is_some();
        if has_next { self.open.push(place) } else { self.ended.push(place) }
    }

    /// Nobody knows whether an event of the order at `place` was accepted: it is left alone from now on.
    pub(super) fn uncertain(&mut self, place: usize) {
        self.orders[place].is_uncertain = true;
    }
}

fn some_place<T>(of: &[T], rng: &mut Rng) -> Option<usize> {
    (!of.is_empty()).then(|| rng.usize(..of.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(number: u32, event_type: EventType, expected: ExpectedOutcome) -> AcceptedEvent {
        let event_id = uuid::Uuid::from_u128(number.into()).into();
        AcceptedEvent { event_id, number, event_type, expected, link: ReceiptLocation::Plain }
    }

    fn book_with_order(creation: u32) -> KnownOrders {
        let mut book = KnownOrders::default();
        let id = OrderId::parse("o-1").unwrap();
        book.created(id, accepted(creation, EventType::Created, ExpectedOutcome::Recorded));
        book
    }

    fn live(creation: u32) -> Vec<EventType> {
        let (mut book, mut rng) = (book_with_order(creation), Rng::with_seed(1));
        while let Some(planned) = book.plan_step(&mut rng) {
            assert!(book.plan_step(&mut rng).is_none(), "it is on its way");
            book.accepted_event(planned.place, accepted(9, planned.event_type, planned.expected));
        }
        book.into_orders().remove(0).events.iter().map(|event| event.event_type).collect()
    }

    #[test]
    fn orders_live_to_their_ends() {
        use EventType as E;
        let usual = [E::Created, E::Confirmed, E::Paid, E::Shipped, E::Delivered];
        assert_eq!(live(1), usual);
        assert_eq!(live(3), [E::Created, E::Amended, E::Confirmed, E::Paid, E::Shipped, E::Delivered]);
        assert_eq!(live(7), [&usual[..], &[E::Returned, E::Refunded]].concat());
    }

    #[test]
    fn what_is_illegal_changes_nothing_and_the_rules_agree() {
        for unordered in [false, true] {
            let (mut book, mut rng) = (book_with_order(1), Rng::with_seed(1));
            for number in 2..200 {
                if let Some(planned) = book.plan_illegal(unordered, &mut rng) {
                    let state = book.orders[planned.place].state;
                    match judge_transition(state, planned.event_type) {
                        Verdict::Legal => panic!("{planned:?} in {state}"),
                        Verdict::Early(_) => assert!(!unordered),
                        Verdict::Never(_) => {}
                    }
                    book.accepted_event(
                        planned.place,
                        accepted(number, planned.event_type, planned.expected),
                    );
                    assert_eq!(book.orders[planned.place].state, state);
                }
                if number % 20 == 0
                    && let Some(step) = book.plan_step(&mut rng)
                {
                    book.accepted_event(step.place, accepted(number, step.event_type, step.expected));
                }
            }
            assert_eq!(book.orders[0].state, OrderState::Is(OrderStatus::Delivered));
        }
    }
}
