//! Collects the changes that are stored from time to time: the progress, rows that did not need an immediate
//! write, and the removal of rows that the cursor has passed.

use super::super::ports::Change;
use super::Deliveries;

/// The maximum number of rows that one save writes.
const MAX_ROWS: usize = 256;

impl Deliveries {
    /// Whether there are changes that must be stored.
    pub fn is_unsaved(&self) -> bool {
        let (now, stored) = (&self.progress, &self.stored);
        // Most calls end with the first comparisons, which copy nothing.
        !self.unsaved.is_empty()
            || self.window.cursor() != stored.cursor
            || now.succeeded_at != stored.succeeded_at
            || self.progress() != *stored
    }

    /// The changes to store now.
    pub fn save(&mut self) -> Vec<Change> {
        let progress = self.progress();
        let mut changes = Vec::new();
        while let Some((until, order_id)) = self.caught_up.first().cloned()
            && until <= progress.cursor
            && changes.len() < MAX_ROWS
        {
            self.remove_row(&order_id);
            self.make_ready(&order_id);
            self.tidy(&order_id);
            changes.push(Change::Release(order_id));
        }
        while changes.len() < MAX_ROWS
            && let Some(order_id) = self.unsaved.pop_first()
        {
            let row = self.orders.get(&order_id).and_then(|order| order.row.clone());
            changes.extend(row.map(|row| Change::Hold(Box::new(row))));
        }
        self.stored = progress.clone();
        changes.push(Change::Progress(progress));
        changes
    }
}
