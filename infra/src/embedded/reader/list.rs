//! Reads a page of a customer's orders. The reader's `orders_of` answers `GET /v1/orders` with it.

use std::sync::Arc;

use api::ports::{MAX_ORDERS_SCANNED, OrderFilter, OrderList, OrderPosition, OrderSnapshot};
use domain::{CustomerId, OrderId};

use super::Reader;
use crate::embedded::store::keys;
use crate::embedded::store::views::{ReadStore, View};

/// How many orders of a page are read on the thread of the request. The rest of a longer page takes turns.
const READ_INLINE: usize = 25;

/// The part of a page that is still to be read.
struct Scan {
    view: Arc<View>,
    customer_id: CustomerId,
    filter: OrderFilter,
    after: Option<OrderPosition>,
    limit: usize,
    /// The maximum number of orders to look at.
    scanned: usize,
}

impl Reader {
    pub(crate) async fn orders_of(
        self: &Arc<Self>,
        customer_id: &CustomerId,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> anyhow::Result<OrderList> {
        let (view, customer_id) = (self.store.view(), customer_id.clone());
        let mut scan =
            Scan { view, customer_id, filter: *filter, after: after.cloned(), limit, scanned: READ_INLINE };
        let mut list = self.list(&scan)?;
        if list.next.is_none() || list.orders.len() == limit {
            return Ok(list);
        }
        scan.after = list.next.take();
        scan.limit = limit - list.orders.len();
        scan.scanned = MAX_ORDERS_SCANNED - READ_INLINE;
        let reader = Arc::clone(self);
        let rest = self.store.read_turns.read(move || reader.list(&scan)).await?;
        list.orders.extend(rest.orders);
        list.next = rest.next;
        Ok(list)
    }

    fn list(&self, scan: &Scan) -> anyhow::Result<OrderList> {
        let Scan { view, customer_id, filter, .. } = scan;
        let start = match filter.created_from {
            Some(from) => keys::customer_time_key(customer_id, from.micros()),
            None => keys::customer_prefix(customer_id),
        };
        let mut end = match &scan.after {
            Some(position) => keys::customer_key(customer_id, position.created_at_micros, &position.order_id),
            None => keys::customer_time_key(customer_id, i64::MAX),
        };
        if let Some(before) = filter.created_before {
            end = end.min(keys::customer_time_key(customer_id, before.micros()));
        }
        let mut list = OrderList::default();
        if start >= end {
            return Ok(list);
        }
        let mut latest = None;
        for (looked_at, row) in view.range(&self.store.keys.customers, start..end).rev().enumerate() {
            if list.orders.len() == scan.limit || looked_at == scan.scanned {
                list.next = latest;
                break;
            }
            let position = keys::customer_key_position(&row.key()?)?;
            let snapshot = self.listed(view, &position.order_id)?;
            list.orders.extend(snapshot.filter(|snapshot| filter.passes(&snapshot.order)));
            latest = Some(position);
        }
        Ok(list)
    }

    /// The order from the cache, or from the store.
    fn listed(&self, view: &View, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        if let Some(order) = self.order_cache.get(order_id) {
            return self.snapshot(view, order).map(Some);
        }
        let Some(order) = self.log.order_in(view, order_id)? else { return Ok(None) };
        let order = order.into();
        self.order_cache.keep(&order, view.commit);
        self.snapshot(view, order).map(Some)
    }
}
