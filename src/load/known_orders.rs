//! The orders that this run created: the accepted events of each order, in sequence, and the outcome that each event
//! must have. Workers add to these orders, and the audit compares the service with them.
//!
//! An order has at most one write in flight, because it is not idle until the write is answered. So the run knows in
//! which sequence the service accepted the order's events, and the rules of `domain` give the outcome of each event.
//!
//! The next step of an order's life is always legal. A cancellation or an illegal event does not suit every order. So a
//! worker takes an idle order, folds its events without holding the lock, and releases the order if the event is not
//! suitable.

use domain::{EventId, EventType, Order, OrderId, Verdict};
use fastrand::Rng;

use super::lives::after_cancellation;
use super::receipt::ReceiptLocation;
use super::requests::{Creation, RequestBodies};
use super::sent::{SentEvent, SentOrder};
use super::steps::LifeStep;

/// Stands for the number of a write that is planned, but has no number yet. No write ever has this number.
const NEXT_NUMBER: u32 = u32::MAX;

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
    /// The number of the request that sent the event.
    pub(super) number: u32,
    /// Which step of the order's life the event is.
    pub(super) step: LifeStep,
    pub(super) expected: ExpectedOutcome,
    /// The location of the event's receipt.
    pub(super) receipt: ReceiptLocation,
}

impl AcceptedEvent {
    pub(super) fn event_type(&self) -> EventType {
        self.step.event_type()
    }

    pub(super) fn sent(&self) -> SentEvent {
        SentEvent { step: self.step, number: self.number }
    }
}

/// An order that this run created. A run may create millions of orders, so an order stores no data that can be computed
/// from the numbers of its requests.
#[derive(Debug)]
pub(super) struct KnownOrder {
    pub(super) id: OrderId,
    pub(super) creation: Creation,
    /// The accepted events. The first is the creation.
    pub(super) events: Vec<AcceptedEvent>,
    /// Whether a request for the order got no answer. If so, the service may have an event that is not in `events`.
    pub(super) is_uncertain: bool,
    /// The remaining steps of the order's life.
    rest: &'static [LifeStep],
}

impl KnownOrder {
    pub(super) fn sent<'a>(&'a self, requests: &'a RequestBodies) -> SentOrder<'a> {
        SentOrder { requests, id: &self.id, creation: self.creation }
    }
}

/// An order that was idle and was taken to plan a write. It is idle again when it is released.
#[derive(Debug)]
pub(super) struct IdleOrder {
    place: usize,
    id: OrderId,
    creation: Creation,
    /// The order's events that the service must record.
    recorded: Vec<SentEvent>,
    rest: &'static [LifeStep],
}

/// The next write to an order. The order is not idle until the write is answered.
#[derive(Debug, Clone)]
pub(super) struct PlannedEvent {
    /// The index of the order in [`KnownOrders`].
    pub(super) place: usize,
    pub(super) order_id: OrderId,
    pub(super) creation: Creation,
    pub(super) step: LifeStep,
    pub(super) expected: ExpectedOutcome,
    /// The remaining steps of the order's life after this write.
    pub(super) rest: &'static [LifeStep],
}

impl IdleOrder {
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// Plans the cancellation of all units that are left, if the cancellation is legal.
    pub(super) fn plan_cancel(&self, requests: &RequestBodies) -> Option<PlannedEvent> {
        let (sent, order) = self.fold(requests)?;
        let cancel = SentEvent { step: LifeStep::CancelRest, number: NEXT_NUMBER };
        let version = order.version + 1;
        let cancelled = sent.apply(Some(order), version, cancel).ok()?;
        let has_parcels = cancelled.items.iter().any(|line| line.in_transit() > 0);
        let is_legal = |step: &LifeStep| {
            let sent = sent.judge(&cancelled, SentEvent { step: *step, number: NEXT_NUMBER });
            sent.is_ok_and(|verdict| verdict == Verdict::Legal)
        };
        let refund = [LifeStep::RefundTotal, LifeStep::RefundPart].into_iter().find(is_legal);
        let rest = after_cancellation(has_parcels, refund);
        Some(self.planned(cancel.step, ExpectedOutcome::Recorded, rest))
    }

    /// Plans an event that the rules forbid now. If the queue is unordered, the event must be one that can never become
    /// legal.
    pub(super) fn plan_illegal(
        &self,
        requests: &RequestBodies,
        unordered: bool,
        rng: &mut Rng,
    ) -> Option<PlannedEvent> {
        let (sent, order) = self.fold(requests)?;
        let is_forbidden =
            |step: &LifeStep| match sent.judge(&order, SentEvent { step: *step, number: NEXT_NUMBER }) {
                Ok(Verdict::Never(_)) => true,
                Ok(Verdict::Early(_)) => !unordered,
                Ok(Verdict::Legal) | Err(_) => false,
            };
        let steps = LifeStep::ALL.into_iter().filter(|step| *step != LifeStep::Create);
        let step = rng.choice(steps.filter(is_forbidden).collect::<Vec<_>>())?;
        Some(self.planned(step, ExpectedOutcome::Rejected, self.rest))
    }

    /// Folds the events that the service must record. Returns `None` if the service may cancel the order at any time,
    /// because the outcomes of further events are then unknown.
    fn fold<'a>(&'a self, requests: &'a RequestBodies) -> Option<(SentOrder<'a>, Order)> {
        let sent = SentOrder { requests, id: &self.id, creation: self.creation };
        if sent.expires_soon().is_some() {
            return None;
        }
        let order = sent.fold(self.recorded.iter().copied()).ok()??;
        Some((sent, order))
    }

    fn planned(&self, step: LifeStep, expected: ExpectedOutcome, rest: &'static [LifeStep]) -> PlannedEvent {
        let (place, order_id, creation) = (self.place, self.id.clone(), self.creation);
        PlannedEvent { place, order_id, creation, step, expected, rest }
    }
}

/// An accepted event whose receipt can be read, or which can be sent again.
#[derive(Debug, Clone)]
pub(super) struct EarlierEvent {
    pub(super) order_id: OrderId,
    pub(super) creation: Creation,
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

    /// Plans the next step of a random idle order. A step of an order's life is always legal.
    pub(super) fn plan_step(&mut self, rng: &mut Rng) -> Option<PlannedEvent> {
        let at = random_index(&self.open, rng)?;
        let order = &self.orders[self.open[at]];
        let (step, rest) = order.rest.split_first()?;
        let place = self.open.swap_remove(at);
        let (order_id, creation) = (order.id.clone(), order.creation);
        Some(PlannedEvent {
            place,
            order_id,
            creation,
            step: *step,
            expected: ExpectedOutcome::Recorded,
            rest,
        })
    }

    /// Takes a random idle order that has a next step.
    pub(super) fn take_open(&mut self, rng: &mut Rng) -> Option<IdleOrder> {
        let at = random_index(&self.open, rng)?;
        let place = self.open.swap_remove(at);
        Some(self.idle(place))
    }

    /// Takes a random idle order.
    pub(super) fn take_idle(&mut self, rng: &mut Rng) -> Option<IdleOrder> {
        let of_ended = !self.ended.is_empty() && (self.open.is_empty() || rng.bool());
        let idle = if of_ended { &mut self.ended } else { &mut self.open };
        let at = random_index(idle, rng)?;
        let place = idle.swap_remove(at);
        Some(self.idle(place))
    }

    fn idle(&self, place: usize) -> IdleOrder {
        let KnownOrder { id, creation, events, rest, .. } = &self.orders[place];
        let recorded = events.iter().filter(|event| event.expected == ExpectedOutcome::Recorded);
        let recorded = recorded.map(AcceptedEvent::sent).collect();
        IdleOrder { place, id: id.clone(), creation: *creation, recorded, rest }
    }

    /// A random accepted event of a random order. The order need not be idle.
    pub(super) fn random_event(&self, rng: &mut Rng) -> Option<EarlierEvent> {
        let order = &self.orders[random_index(&self.orders, rng)?];
        let accepted = order.events[random_index(&order.events, rng)?].clone();
        Some(EarlierEvent { order_id: order.id.clone(), creation: order.creation, accepted })
    }

    /// Adds a new idle order with the steps of its life.
    pub(super) fn add_order(
        &mut self,
        id: OrderId,
        creation: Creation,
        rest: &'static [LifeStep],
        accepted: AcceptedEvent,
    ) {
        self.accepted += 1;
        self.orders.push(KnownOrder { id, creation, events: vec![accepted], is_uncertain: false, rest });
        self.release(self.orders.len() - 1);
    }

    /// Adds an accepted event to the order at `place`, sets the remaining steps of its life, and makes the order idle
    /// again.
    pub(super) fn add_event(&mut self, place: usize, rest: &'static [LifeStep], accepted: AcceptedEvent) {
        self.accepted += 1;
        let order = &mut self.orders[place];
        order.rest = rest;
        order.events.push(accepted);
        self.release(place);
    }

    /// Makes the order at `place` idle again.
    pub(super) fn release(&mut self, place: usize) {
        let has_next = !self.orders[place].rest.is_empty();
        if has_next { self.open.push(place) } else { self.ended.push(place) }
    }

    /// Marks the order at `place` after a write whose outcome is unknown. The order never becomes idle again.
    pub(super) fn mark_uncertain(&mut self, place: usize) {
        self.orders[place].is_uncertain = true;
    }
}

fn random_index<T>(of: &[T], rng: &mut Rng) -> Option<usize> {
    (!of.is_empty()).then(|| rng.usize(..of.len()))
}

#[cfg(test)]
mod tests;
