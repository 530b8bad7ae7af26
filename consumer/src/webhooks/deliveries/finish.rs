//! Applies the result of an attempt to the state of a subscription's deliveries.

use domain::{OrderId, Timestamp};

use super::super::attempt::{Finished, Verdict};
use super::super::circuit::later;
use super::super::held::{HeadEvent, HeldOrder, HeldState, PendingAlert, Place};
use super::super::ports::Change;
use super::{Deliveries, Ticket};

/// What the worker must do after an attempt has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The changes to store. Once they are durable, [`Deliveries::confirm`] must be called.
    pub changes: Vec<Change>,
    /// Whether the subscription must be paused, because the receiver wants no further events.
    pub is_gone: bool,
}

impl Deliveries {
    /// Applies the result of an attempt.
    pub fn finish(
        &mut self,
        ticket: &Ticket,
        head: HeadEvent,
        finished: &Finished,
        now: Timestamp,
        random: f64,
    ) -> Effects {
        self.landed(ticket);
        if finished.verdict == Verdict::Delivered {
            self.succeeded(now);
        } else {
            self.failed(finished, now);
        }
        let mut effects = Effects { is_gone: finished.verdict == Verdict::Gone, ..Effects::default() };
        if self.is_current(ticket) {
            match &finished.verdict {
                Verdict::Delivered => self.delivered(ticket, now),
                Verdict::Failed { .. } | Verdict::Gone => {
                    let row = self.held_again(ticket, head, finished, now, random);
                    effects.changes.push(Change::Hold(Box::new(row.clone())));
                    self.put(row);
                }
            }
        }
        self.make_ready(&ticket.order_id);
        self.tidy(&ticket.order_id);
        effects
    }

    /// Finishes an event without a delivery, because the subscription no longer selects the event.
    pub fn pass(&mut self, ticket: &Ticket, now: Timestamp) {
        self.landed(ticket);
        if self.is_current(ticket) {
            self.delivered(ticket, now);
        }
        self.make_ready(&ticket.order_id);
        self.tidy(&ticket.order_id);
    }

    /// Marks a held order as caught up, because its log has no event with the ticket's version. `end` is the end of the
    /// feed, as it was before the log was read.
    pub fn caught_up(&mut self, ticket: &Ticket, end: u64) {
        self.landed(ticket);
        if self.is_current(ticket)
            && let Some(mut row) = self.orders.get(&ticket.order_id).and_then(|order| order.row.clone())
        {
            row.state = HeldState::CaughtUp { until: end };
            self.put(row);
            self.unsaved.insert(ticket.order_id.clone());
        }
    }

    /// Lets the cursor pass the queued events of a held order. The order's row must already be durable.
    pub fn confirm(&mut self, order_id: &OrderId) {
        if let Some(order) = self.orders.get_mut(order_id)
            && order.is_held()
        {
            order.queued.drain(..).for_each(|event| self.window.finish(event.position));
        }
    }

    /// Whether the event of the ticket is still the next event of its order. A skip or a replay may have changed that.
    fn is_current(&self, ticket: &Ticket) -> bool {
        let Some(order) = self.orders.get(&ticket.order_id) else { return false };
        let is_next = match (&order.row, ticket.position) {
            (Some(row), None) => row.is_held() && row.next == ticket.version,
            (_, Some(position)) => {
                !order.is_held() && order.queued.front().is_some_and(|event| event.position == position)
            }
            (None, None) => false,
        };
        is_next && ticket.epoch == self.epoch
    }

    fn delivered(&mut self, ticket: &Ticket, now: Timestamp) {
        let Some(order) = self.orders.get_mut(&ticket.order_id) else { return };
        match order.held() {
            Some(row) => {
                let mut row = row.clone();
                row.advance(now);
                self.put(row);
                self.unsaved.insert(ticket.order_id.clone());
            }
            None => {
                if let Some(event) = order.queued.pop_front() {
                    self.window.finish(event.position);
                }
            }
        }
    }

    /// The row that holds the order after a failed attempt.
    fn held_again(
        &mut self,
        ticket: &Ticket,
        head: HeadEvent,
        finished: &Finished,
        now: Timestamp,
        random: f64,
    ) -> HeldOrder {
        let row = self.orders.get_mut(&ticket.order_id).and_then(|order| order.held().cloned());
        let mut row = row.unwrap_or_else(|| {
            let first = Place { version: ticket.version, position: ticket.position.unwrap_or(0) };
            HeldOrder::from_place(ticket.order_id.clone(), first, now)
        });
        row.attempts += 1;
        row.head = Some(head);
        row.last_attempt = Some(finished.attempt.clone());
        let retry_after = match finished.verdict {
            Verdict::Failed { retry_after } => retry_after,
            // The subscription is about to be paused. The delivery is tried again once the subscription is active again.
            Verdict::Gone => return row,
            Verdict::Delivered => None,
        };
        if ticket.counts {
            row.failures += 1;
            row.state = match self.options.schedule.delay(row.failures, retry_after, random) {
                Some(delay) => HeldState::Retrying { due: later(now, delay) },
                None => HeldState::GaveUp,
            };
        }
        if row.state == HeldState::GaveUp {
            let order_id = Some(row.order_id.clone());
            self.progress.alert.merge(PendingAlert { stopped: None, gave_up: 1, order_id });
        }
        row
    }

    fn succeeded(&mut self, now: Timestamp) {
        self.progress.succeeded_at = Some(now);
        self.progress.failing_since = None;
        if self.circuit.is_open() {
            self.all_due(now);
        }
        self.circuit.succeeded();
    }

    /// Makes all retries due, because the receiver works again.
    fn all_due(&mut self, now: Timestamp) {
        for (due, order_id) in std::mem::take(&mut self.due) {
            let due = due.min(now);
            if let Some(row) = self.orders.get_mut(&order_id).and_then(|order| order.row.as_mut()) {
                row.state = HeldState::Retrying { due };
            }
            self.due.insert((due, order_id));
        }
    }

    fn failed(&mut self, finished: &Finished, now: Timestamp) {
        self.progress.failing_since.get_or_insert(finished.attempt.at);
        self.progress.last_error.clone_from(&finished.attempt.error);
        self.circuit.failed(finished.attempt.at, now);
    }
}
