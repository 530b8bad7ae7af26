//! Applies what operators change: replays, skips, and changes of the subscription. Each function returns the changes to
//! store. Once the changes are durable, the worker calls [`Deliveries::confirm`] for held orders.

use domain::{EventId, OrderId, Timestamp};

use super::super::circuit::Circuit;
use super::super::held::{HeldOrder, PendingAlert, Place, SkipRequest};
use super::super::ports::Change;
use super::super::window::Window;
use super::Deliveries;

impl Deliveries {
    /// Delivers all events after `position` again. If the cursor is before `position`, the replay begins at
    /// the cursor, because it must not leave out events.
    pub fn replay(&mut self, position: u64, now: Timestamp) -> Vec<Change> {
        self.epoch += 1;
        let position = position.min(self.window.cursor());
        self.window = Window::starting_at(position);
        self.ready.clear();
        let mut changes = Vec::new();
        for order in self.orders.values_mut() {
            order.queued.clear();
            order.is_ready = false;
        }
        let rows: Vec<_> = self.orders.values().filter_map(|order| order.row.clone()).collect();
        for row in rows {
            if row.is_held() && row.first.position <= position {
                // The order was already held at `position` or before, so all of its events after `position`
                // are delivered from its log.
                let row = HeldOrder::from_place(row.order_id, row.first, now);
                changes.push(Change::Hold(Box::new(row.clone())));
                self.put(row);
            } else {
                // The feed contains all events of the order that must be delivered, so the row is no longer needed.
                changes.push(Change::Release(row.order_id.clone()));
                self.remove_row(&row.order_id);
                self.tidy(&row.order_id);
            }
        }
        self.orders.retain(|_, order| order.in_flight || order.row.is_some());
        self.circuit = Circuit::default();
        self.stored = self.progress();
        changes.push(Change::Progress(self.stored.clone()));
        changes
    }

    /// Delivers all events of an order again.
    pub fn replay_order(&mut self, order_id: &OrderId, now: Timestamp) -> Vec<Change> {
        let row = HeldOrder::from_place(order_id.clone(), Place { version: 1, position: 0 }, now);
        self.put(row.clone());
        vec![Change::Hold(Box::new(row))]
    }

    /// Skips a delivery that failed. Returns `None` if the given event does not hold its order.
    pub fn skip(&mut self, event_id: EventId, skip: SkipRequest) -> Option<Vec<Change>> {
        let is_head = |row: &&HeldOrder| row.head.as_ref().is_some_and(|head| head.event_id == event_id);
        let mut rows = self.orders.values().filter_map(|order| order.row.as_ref());
        let mut row = rows.find(|row| row.is_held() && is_head(row))?.clone();
        let at = skip.at;
        let skipped = row.skipped(skip)?;
        row.advance(at);
        self.put(row.clone());
        Some(vec![Change::Skip(Box::new(skipped)), Change::Hold(Box::new(row))])
    }

    /// Makes all held deliveries due with a new schedule, because the subscription was changed.
    pub fn renew(&mut self, now: Timestamp) {
        let rows: Vec<_> = self.orders.values().filter_map(|order| order.row.clone()).collect();
        for mut row in rows {
            row.renew(now);
            self.put(row);
        }
        self.circuit = Circuit::default();
        self.progress.failing_since = None;
    }

    /// Whether all deliveries have failed for so long that the subscription must be disabled.
    pub fn is_dead(&self, now: Timestamp) -> bool {
        let micros = i64::try_from(self.options.disable_after.as_micros()).unwrap_or(i64::MAX);
        self.progress.failing_since.is_some_and(|since| now.micros().saturating_sub(since.micros()) >= micros)
    }

    /// Adds the stop of the subscription to the next alert.
    pub fn report_stop(&mut self, reason: &str) {
        let stopped = Some(reason.to_owned());
        self.progress.alert.merge(PendingAlert { stopped, ..PendingAlert::default() });
    }

    /// The alert that must be sent to operators now. The caller must then call [`Deliveries::reported`].
    pub fn begin_report(&mut self) -> Option<PendingAlert> {
        if !self.reporting.is_empty() || self.progress.alert.is_empty() {
            return None;
        }
        self.reporting = std::mem::take(&mut self.progress.alert);
        Some(self.reporting.clone())
    }

    /// Records whether the alert was sent.
    pub fn reported(&mut self, has_succeeded: bool) {
        let reporting = std::mem::take(&mut self.reporting);
        if !has_succeeded {
            self.progress.alert.merge(reporting);
        }
    }

    /// The state of the order's row. `None` if the order has no row.
    #[cfg(test)]
    pub(super) fn state_of(&self, order_id: &OrderId) -> Option<super::super::held::HeldState> {
        self.orders.get(order_id)?.row.as_ref().map(|row| row.state)
    }
}
