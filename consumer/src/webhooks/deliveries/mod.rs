//! Decides which events of a subscription are delivered next, and what is stored. This module does no I/O: the worker
//! reads the feed, makes the attempts and writes the changes that these functions return.
//!
//! An order is in one of three states:
//!
//! | state | row | its events come from |
//! |---|---|---|
//! | usual | none | the feed, in a queue of the order |
//! | held | [`HeldState::Retrying`], [`HeldState::GaveUp`] | its own log, from the version `next` on |
//! | caught up | [`HeldState::CaughtUp`] | the feed, after the position `until` |
//!
//! In each state, at most one event of the order is in flight.
//!
//! No event is lost. The cursor passes an event only when the event is delivered, or when the row of its held
//! order is durable. While an order is held, its events in the feed are ignored, because its log contains
//! them. The order has caught up when its log has no event with the version `next`. Every event of the order
//! up to the current end of the feed has then been delivered, and `until` is set to that end. Its events
//! after `until` are delivered from the feed.

mod finish;
mod next;
mod operate;
mod save;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};

use domain::{OrderId, Timestamp};
use foldhash::fast::RandomState;

use super::circuit::Circuit;
use super::held::{HeldOrder, HeldState, PendingAlert, Progress};
use super::options::DeliveryOptions;
use super::ports::{SourceEntry, StoredDeliveries};
use super::window::Window;

pub use finish::Effects;
pub use next::Ticket;

/// The state of a subscription's deliveries.
#[derive(Debug)]
pub struct Deliveries {
    options: DeliveryOptions,
    /// The progress. The member `cursor` is out of date, because the window contains the current cursor.
    progress: Progress,
    /// The progress as it was last stored.
    stored: Progress,
    window: Window,
    /// The orders with queued events, with an event in flight or with a row.
    orders: HashMap<OrderId, OrderState, RandomState>,
    /// Orders whose next queued event may be delivered. Each order is checked again when it is taken from the list.
    ready: VecDeque<OrderId>,
    /// Held orders without an attempt in flight, by the time of their next attempt.
    due: BTreeSet<(Timestamp, OrderId)>,
    /// The orders that have caught up, sorted by the position `until`.
    caught_up: BTreeSet<(u64, OrderId)>,
    /// Held orders whose stored row is out of date.
    unsaved: BTreeSet<OrderId>,
    held: usize,
    in_flight: usize,
    held_in_flight: usize,
    circuit: Circuit,
    /// Grows with each replay, so that the results of attempts that began before the replay are ignored.
    epoch: u64,
    /// The alert that is being sent to operators. The alert stays stored until it is sent.
    reporting: PendingAlert,
}

#[derive(Debug, Default)]
struct OrderState {
    /// The events that were read from the feed and are not delivered yet.
    queued: VecDeque<QueuedEvent>,
    in_flight: bool,
    is_ready: bool,
    row: Option<HeldOrder>,
}

#[derive(Debug, Clone, Copy)]
struct QueuedEvent {
    position: u64,
    version: u64,
}

impl OrderState {
    fn is_held(&self) -> bool {
        self.row.as_ref().is_some_and(HeldOrder::is_held)
    }

    fn held(&mut self) -> Option<&mut HeldOrder> {
        self.row.as_mut().filter(|row| row.is_held())
    }
}

impl Deliveries {
    /// Restores the stored state. The subscription was changed at `changed_at`, so the schedule begins again for each
    /// order whose last attempt was before that time.
    pub fn new(
        options: DeliveryOptions,
        stored: StoredDeliveries,
        changed_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        let StoredDeliveries { progress, held } = stored;
        let mut deliveries = Self {
            options,
            window: Window::starting_at(progress.cursor),
            stored: progress.clone(),
            progress,
            orders: HashMap::default(),
            ready: VecDeque::new(),
            due: BTreeSet::new(),
            caught_up: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            held: 0,
            in_flight: 0,
            held_in_flight: 0,
            circuit: Circuit::default(),
            epoch: 0,
            reporting: PendingAlert::default(),
        };
        deliveries.progress.failing_since = deliveries.progress.failing_since.filter(|at| *at >= changed_at);
        for mut row in held {
            if row.last_attempt.as_ref().is_some_and(|attempt| attempt.at < changed_at) {
                row.renew(now);
            }
            deliveries.put(row);
        }
        deliveries
    }

    /// The position up to which the events of the feed were read.
    pub fn read_to(&self) -> u64 {
        self.window.read_to
    }

    /// Whether further events should be read from the feed.
    pub fn wants_events(&self) -> bool {
        let has_room = self.window.len() < self.options.window && !self.is_full();
        // While the circuit is open, one event is enough to test the receiver.
        let is_needed = !self.circuit.is_open() || (self.ready.is_empty() && self.due.is_empty());
        has_room && is_needed && self.in_flight < self.options.concurrency
    }

    /// Whether so many orders are held that no further events are read.
    pub fn is_full(&self) -> bool {
        self.held >= self.options.max_held
    }

    /// Adds the next events of the feed. The flag of each event states whether the subscription selects it. `entries`
    /// must contain every event up to the position `next` that the subscription selects.
    pub fn read(&mut self, entries: Vec<(SourceEntry, bool)>, next: u64) {
        for (SourceEntry { position, order_id, version, .. }, is_selected) in entries {
            debug_assert!(position > self.window.read_to, "events are read in the order of their positions");
            self.window.read_to = position;
            let row = self.orders.get(&order_id).and_then(|order| order.row.as_ref());
            let is_passed_over = match row.map(|row| row.state) {
                Some(HeldState::CaughtUp { until }) => position <= until,
                Some(_) => true,
                None => false,
            };
            if is_selected && !is_passed_over {
                self.window.add(position);
                let order = self.orders.entry(order_id.clone()).or_default();
                order.queued.push_back(QueuedEvent { position, version });
                self.make_ready(&order_id);
            }
        }
        self.window.read_to = self.window.read_to.max(next);
    }

    /// Whether the receiver has failed so often that only single attempts are made.
    pub fn is_circuit_open(&self) -> bool {
        self.circuit.is_open()
    }

    /// The number of held orders.
    pub fn held_orders(&self) -> usize {
        self.held
    }

    /// The progress with the current cursor, as it is stored.
    pub fn progress(&self) -> Progress {
        let mut progress = Progress { cursor: self.window.cursor(), ..self.progress.clone() };
        progress.alert.merge(self.reporting.clone());
        progress
    }

    /// The number of earlier attempts to deliver the ticket's event.
    pub fn attempts_before(&self, ticket: &Ticket) -> u32 {
        let row = self.orders.get(&ticket.order_id).and_then(|order| order.row.as_ref());
        row.filter(|row| row.is_held() && row.next == ticket.version).map_or(0, |row| row.attempts)
    }

    /// When the oldest event whose failed delivery holds an order was recorded.
    pub fn oldest_held(&self) -> Option<Timestamp> {
        let heads = self.orders.values().filter(|order| order.is_held());
        heads.filter_map(|order| Some(order.row.as_ref()?.head.as_ref()?.recorded_at)).min()
    }

    /// Replaces the row of an order in memory, and updates the sets of orders accordingly.
    fn put(&mut self, row: HeldOrder) {
        let order_id = row.order_id.clone();
        self.remove_row(&order_id);
        let order = self.orders.entry(order_id.clone()).or_default();
        match row.state {
            HeldState::Retrying { due } if !order.in_flight => drop(self.due.insert((due, order_id))),
            HeldState::CaughtUp { until } => drop(self.caught_up.insert((until, order_id))),
            HeldState::Retrying { .. } | HeldState::GaveUp => {}
        }
        self.held += usize::from(row.is_held());
        order.row = Some(row);
    }

    fn remove_row(&mut self, order_id: &OrderId) {
        self.unsaved.remove(order_id);
        let Some(row) = self.orders.get_mut(order_id).and_then(|order| order.row.take()) else { return };
        self.held -= usize::from(row.is_held());
        match row.state {
            HeldState::Retrying { due } => drop(self.due.remove(&(due, row.order_id))),
            HeldState::CaughtUp { until } => drop(self.caught_up.remove(&(until, row.order_id))),
            HeldState::GaveUp => {}
        }
    }

    fn make_ready(&mut self, order_id: &OrderId) {
        if let Some(order) = self.orders.get_mut(order_id)
            && !order.is_ready
            && !order.in_flight
            && !order.is_held()
            && !order.queued.is_empty()
        {
            order.is_ready = true;
            self.ready.push_back(order_id.clone());
        }
    }

    /// Forgets the order if it has no queued event, no event in flight and no row.
    fn tidy(&mut self, order_id: &OrderId) {
        if let Some(order) = self.orders.get(order_id)
            && !order.in_flight
            && !order.is_ready
            && order.queued.is_empty()
            && order.row.is_none()
        {
            self.orders.remove(order_id);
        }
    }
}
