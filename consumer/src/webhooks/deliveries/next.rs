//! Chooses the next attempt: due retries first, then the events that were read from the feed. Retries use at most half of
//! the concurrent attempts.

use domain::{OrderId, Timestamp};

use super::super::circuit::Permit;
use super::super::held::HeldState;
use super::Deliveries;

/// The task to deliver one event. Until the worker has applied the result, no other event of the same order is in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The id of the order.
    pub order_id: OrderId,
    /// The version of the event.
    pub version: u64,
    /// The position of the event, if it was read from the feed.
    pub(super) position: Option<u64>,
    /// Whether a failure counts for the schedule. An attempt that is made before it is due, only to test the
    /// receiver, does not count.
    pub(super) counts: bool,
    pub(super) epoch: u64,
}

impl Ticket {
    /// Whether the event comes from the log of a held order.
    pub fn is_held(&self) -> bool {
        self.position.is_none()
    }
}

impl Deliveries {
    /// The next event to deliver, if one may be delivered now.
    pub fn next(&mut self, now: Timestamp) -> Option<Ticket> {
        if self.in_flight >= self.options.concurrency {
            return None;
        }
        match self.circuit.permit(now) {
            Permit::Any => {
                let retry = if self.has_retry_slot() { self.next_due(now) } else { None };
                retry.or_else(|| self.next_ready())
            }
            // If no retry is due, a held order is tried early to test the receiver. So the worker soon notices that the receiver
            // works again.
            Permit::Probe if self.in_flight == 0 => {
                self.next_due(now).or_else(|| self.probe()).or_else(|| self.next_ready())
            }
            Permit::Probe | Permit::WaitUntil(_) => None,
        }
    }

    /// When [`Deliveries::next`] can return a ticket, unless an event or a result arrives earlier.
    pub fn next_at(&self) -> Option<Timestamp> {
        if self.in_flight >= self.options.concurrency {
            return None;
        }
        let due = self.due.first().map(|(due, _)| *due);
        match self.circuit.probe_at() {
            Some(at) => Some(at).filter(|_| self.in_flight == 0 && (due.is_some() || !self.ready.is_empty())),
            None => due.filter(|_| self.has_retry_slot()),
        }
    }

    fn has_retry_slot(&self) -> bool {
        self.held_in_flight < (self.options.concurrency / 2).max(1)
    }

    fn next_due(&mut self, now: Timestamp) -> Option<Ticket> {
        let (due, _) = self.due.first()?;
        if *due > now { None } else { self.take_due(true) }
    }

    fn probe(&mut self) -> Option<Ticket> {
        self.take_due(false)
    }

    fn take_due(&mut self, counts: bool) -> Option<Ticket> {
        let (_, order_id) = self.due.pop_first()?;
        let order = self.orders.get_mut(&order_id)?;
        let version = order.row.as_ref()?.next;
        order.in_flight = true;
        self.in_flight += 1;
        self.held_in_flight += 1;
        Some(Ticket { order_id, version, position: None, counts, epoch: self.epoch })
    }

    fn next_ready(&mut self) -> Option<Ticket> {
        while let Some(order_id) = self.ready.pop_front() {
            let Some(order) = self.orders.get_mut(&order_id) else { continue };
            order.is_ready = false;
            if order.in_flight || order.is_held() {
                continue;
            }
            let Some(event) = order.queued.front().copied() else { continue };
            order.in_flight = true;
            self.in_flight += 1;
            let position = Some(event.position);
            return Some(Ticket {
                order_id,
                version: event.version,
                position,
                counts: true,
                epoch: self.epoch,
            });
        }
        None
    }

    /// Marks the event of the ticket as no longer in flight.
    pub(super) fn landed(&mut self, ticket: &Ticket) {
        self.in_flight -= 1;
        self.held_in_flight -= usize::from(ticket.is_held());
        if let Some(order) = self.orders.get_mut(&ticket.order_id) {
            order.in_flight = false;
            if let Some(HeldState::Retrying { due }) = order.row.as_ref().map(|row| row.state) {
                self.due.insert((due, ticket.order_id.clone()));
            }
        }
    }
}
