//! Records which commit last changed an order, so that the reader's cache can determine whether a cached order is
//! current. A [`Stage`](super::stage::Stage) collects its [`ChangedOrders`], and the committer records them in
//! [`OrderChanges`].

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::OrderId;
use foldhash::fast::FixedState;

use super::{keys, keyspaces};

/// The number of slots in which [`OrderChanges`] records changed orders. Several orders share a slot, so a change of
/// one order makes the cached copies of the other orders in the slot look outdated. At 10,000 changes a second, a
/// cached order looks outdated about every 26 seconds.
const SLOTS: usize = 1 << 18;

/// The orders that one commit changes, as hashes of the order ids.
#[derive(Default)]
pub(crate) struct ChangedOrders(Vec<u64>);

impl ChangedOrders {
    /// Adds the order of a row, if the row changes what readers see of an existing order. A projection and a log entry
    /// of a later version do. The first log entry of an order does not, because it creates the order and is never
    /// replaced.
    pub(crate) fn add(&mut self, keyspace: u64, key: &[u8]) {
        match keyspace {
            keyspaces::ORDERS => self.0.push(hash(key)),
            keyspaces::LOG => {
                if let Some((order_id, version)) = keys::split_log_key(key)
                    && version > 1
                {
                    self.0.push(hash(order_id));
                }
            }
            _ => {}
        }
    }
}

/// For each slot of orders, the number of the latest commit that changed an order of the slot.
pub(crate) struct OrderChanges(Box<[AtomicU64]>);

impl Default for OrderChanges {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl OrderChanges {
    /// Records the orders that a commit changes. Must be called before readers get a view with the commit.
    pub(crate) fn record(&self, changed: &ChangedOrders, commit: u64) {
        changed.0.iter().for_each(|hash| self.slot(*hash).store(commit, Ordering::Release));
    }

    /// Whether the order is unchanged since commit `as_of`, at which a reader read it. If so, the cached order may be
    /// shown: no view that a reader has now contains a later event of the order.
    pub(crate) fn is_current(&self, order_id: &OrderId, as_of: u64) -> bool {
        self.slot(hash(order_id.as_str().as_bytes())).load(Ordering::Acquire) <= as_of
    }

    fn slot(&self, hash: u64) -> &AtomicU64 {
        &self.0[hash as usize % SLOTS]
    }
}

fn hash(order_id: &[u8]) -> u64 {
    FixedState::default().hash_one(order_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_events_and_projections_change_an_order_and_its_first_event_does_not() {
        let [created, paid, projected] = ["a", "b", "c"].map(|id| OrderId::parse(id).unwrap());
        let (mut changed, changes) = (ChangedOrders::default(), OrderChanges::default());
        changed.add(keyspaces::LOG, &keys::log_key(&created, 1));
        changed.add(keyspaces::LOG, &keys::log_key(&paid, 2));
        changed.add(keyspaces::ORDERS, projected.as_str().as_bytes());
        changed.add(keyspaces::RECEIPTS, &keys::log_key(&created, 2));
        changes.record(&changed, 7);
        assert!(changes.is_current(&created, 6));
        for order in [&paid, &projected] {
            assert!(!changes.is_current(order, 6) && changes.is_current(order, 7));
        }
    }
}
