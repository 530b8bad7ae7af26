//! Caches orders that were listed recently, both decoded and encoded as in answers. So the next list need not read,
//! fold and encode these orders again. The reader uses the cache. [`changes`](crate::embedded::store::changes)
//! describes how the cache notices that an order has changed.

use std::sync::Arc;

use api::ports::SharedOrder;
use domain::OrderId;
use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::embedded::store::changes::OrderChanges;

/// The maximum size of all cached orders, in bytes.
const CAPACITY_BYTES: u64 = 128 << 20;
/// The approximate size of a cache entry for an order with two lines, in bytes.
const USUAL_ORDER_BYTES: u64 = 2048;
/// The approximate size of a cache entry without its order, in bytes.
const ENTRY_BYTES: u64 = 128;

pub(crate) struct OrderCache {
    kept: Cache<OrderId, KeptOrder, ByBytes, RandomState>,
    changes: Arc<OrderChanges>,
}

#[derive(Clone)]
struct KeptOrder {
    order: SharedOrder,
    /// The number of the commit as of which the order was read.
    as_of: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<OrderId, KeptOrder> for ByBytes {
    fn weight(&self, _: &OrderId, kept: &KeptOrder) -> u64 {
        ENTRY_BYTES + kept.order.approximate_bytes() as u64
    }
}

impl OrderCache {
    pub(crate) fn new(changes: &Arc<OrderChanges>) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity((CAPACITY_BYTES / USUAL_ORDER_BYTES) as usize)
            .weight_capacity(CAPACITY_BYTES)
            .build()
            .expect("both capacities are given");
        let kept = Cache::with_options(options, ByBytes, RandomState::default(), DefaultLifecycle::default());
        Self { kept, changes: Arc::clone(changes) }
    }

    /// The cached order, unless the order has changed since it was read. The cached order may be newer than the
    /// caller's view, but is synced.
    pub(crate) fn get(&self, order_id: &OrderId) -> Option<SharedOrder> {
        let kept = self.kept.get(order_id)?;
        self.changes.is_current(order_id, kept.as_of).then_some(kept.order)
    }

    /// Caches an order that was read in the view of commit `as_of`.
    pub(crate) fn keep(&self, order: &SharedOrder, as_of: u64) {
        // An order that has changed since the read is not cached, because it would never be shown.
        if self.changes.is_current(&order.order_id, as_of) {
            self.kept.insert(order.order_id.clone(), KeptOrder { order: order.clone(), as_of });
        }
    }
}
