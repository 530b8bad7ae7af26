//! Finds orders by a filter. Chooses the index that answers the filter, and merges the ranges of that index. The reader
//! calls these functions for lists.
//!
//! | filter | index |
//! |---|---|
//! | an update time | `by_update`, and the orders with one event in `by_status` |
//! | a customer | `customers` |
//! | an entry of the metadata | `by_metadata` |
//! | anything else | the ranges of `by_status` whose status words pass the filter |
//!
//! The other conditions of the filter are checked against each order in the ranges. Many orders may fail these
//! conditions, so the number of orders that a page reads is limited.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use api::ports::{
    FindError, MAX_ORDERS_SCANNED, OrderFilter, OrderList, OrderPosition, OrderSnapshot, OrderSort,
};
use domain::{OrderId, Reference, Timestamp};
use fjall::Iter;

use super::Reader;
use crate::embedded::store::index_keys::{Words, metadata_prefix, position_key, position_of, time_key};
use crate::embedded::store::keys;
use crate::embedded::store::keyspaces::NumberedKeyspace;
use crate::embedded::store::views::{ReadStore, View};

/// The maximum number of orders of a customer's list that are read on the thread of the request. The rest of a longer
/// page is read on the blocking pool, in turns with other reads. All orders of other lists are read on the blocking
/// pool, because those lists may consist of several ranges.
const READ_INLINE: usize = 25;

/// The part of a page that is still to be read.
struct Scan {
    view: Arc<View>,
    filter: OrderFilter,
    after: Option<OrderPosition>,
    limit: usize,
    /// The maximum number of orders that may still be read for the page.
    scanned: usize,
}

/// The rows of an index whose keys begin with one prefix.
struct IndexRange<'a> {
    keyspace: &'a NumberedKeyspace,
    prefix: Vec<u8>,
}

impl Reader {
    /// Checks that the store has the indexes that the filter needs.
    fn check_filter(&self, filter: &OrderFilter) -> Result<(), FindError> {
        if filter.metadata.keys().all(|key| self.log.searchable.contains(key)) {
            return Ok(());
        }
        Err(FindError::NotConfigured("This service has no index for that metadata key."))
    }

    pub(crate) fn order_by_reference(&self, reference: &Reference) -> anyhow::Result<Option<OrderSnapshot>> {
        let view = self.store.view();
        match self.log.reference_holder(&*view, reference)? {
            Some(order_id) => self.listed(&view, &order_id),
            None => Ok(None),
        }
    }

    pub(crate) async fn find_orders(
        self: &Arc<Self>,
        filter: &OrderFilter,
        after: Option<&OrderPosition>,
        limit: usize,
    ) -> Result<OrderList, FindError> {
        self.check_filter(filter)?;
        let mut scan = Scan {
            view: self.store.view(),
            filter: filter.clone(),
            after: after.cloned(),
            limit,
            scanned: MAX_ORDERS_SCANNED,
        };
        let mut list = OrderList::default();
        if filter.customer_id.is_some() && filter.sort() == OrderSort::NewestFirst {
            scan.scanned = READ_INLINE;
            list = self.find(&scan)?;
            if list.next.is_none() || list.orders.len() == limit {
                return Ok(list);
            }
            scan.after = list.next.take();
            scan.limit = limit - list.orders.len();
            scan.scanned = MAX_ORDERS_SCANNED - READ_INLINE;
        }
        let reader = Arc::clone(self);
        let rest = self.store.read_turns.read(move || reader.find(&scan)).await?;
        list.orders.extend(rest.orders);
        list.next = rest.next;
        Ok(list)
    }

    fn find(&self, scan: &Scan) -> anyhow::Result<OrderList> {
        let Scan { view, filter, .. } = scan;
        let bounds = Bounds::of(filter, scan.after.as_ref());
        let ranges = self.ranges(view, filter)?;
        let mut merged = Merge::of(view, &ranges, &bounds)?;
        let mut list = OrderList::default();
        let (mut latest, mut read) = (None, 0);
        while let Some(position) = merged.next()? {
            if list.orders.len() == scan.limit || read == scan.scanned {
                list.next = latest;
                break;
            }
            read += 1;
            let snapshot = self.listed(view, &position.order_id)?;
            list.orders.extend(snapshot.filter(|snapshot| filter.passes(&snapshot.order)));
            latest = Some(position);
        }
        Ok(list)
    }

    /// Reads an order from the cache, or from the store. A cached order may be newer than the view.
    fn listed(&self, view: &View, order_id: &OrderId) -> anyhow::Result<Option<OrderSnapshot>> {
        if let Some(order) = self.order_cache.get(order_id) {
            return self.snapshot(view, order).map(Some);
        }
        let Some(order) = self.log.order_in(view, order_id)? else { return Ok(None) };
        let order = order.into();
        self.order_cache.keep(&order, view.commit);
        self.snapshot(view, order).map(Some)
    }

    /// The index ranges that together contain all orders that pass the filter.
    fn ranges(&self, view: &View, filter: &OrderFilter) -> anyhow::Result<Vec<IndexRange<'_>>> {
        let keys = &self.store.keys;
        if filter.sort() == OrderSort::LeastRecentlyUpdatedFirst {
            let mut ranges =
                self.status_ranges(view, |words| words.has_one_event && may_pass(filter, words))?;
            ranges.push(IndexRange { keyspace: &keys.by_update, prefix: Vec::new() });
            return Ok(ranges);
        }
        if let Some(customer_id) = &filter.customer_id {
            let prefix = keys::customer_prefix(customer_id);
            return Ok(vec![IndexRange { keyspace: &keys.customers, prefix }]);
        }
        if let Some((key, value)) = filter.metadata.first_key_value() {
            let prefix = metadata_prefix(key, value);
            return Ok(vec![IndexRange { keyspace: &keys.by_metadata, prefix }]);
        }
        self.status_ranges(view, |words| may_pass(filter, words))
    }

    /// The ranges of `by_status` whose status words pass the filter. The search jumps from each combination of words to
    /// the next combination in the index, without reading the rows between.
    fn status_ranges(
        &self,
        view: &View,
        passes: impl Fn(Words) -> bool,
    ) -> anyhow::Result<Vec<IndexRange<'_>>> {
        let keyspace = &self.store.keys.by_status;
        let mut ranges = Vec::new();
        let mut from = Vec::new();
        while let Some(row) = view.range(keyspace, from.clone()..).next() {
            let key = row.key()?;
            let words = Words::of_key(&key)?;
            if passes(words) {
                ranges.push(IndexRange { keyspace, prefix: words.prefix().to_vec() });
            }
            let next = u16::from_be_bytes(words.prefix()) + 1;
            from = next.to_be_bytes().to_vec();
        }
        Ok(ranges)
    }
}

fn may_pass(filter: &OrderFilter, words: Words) -> bool {
    filter.status.is_none_or(|status| status == words.status)
        && filter.payment_status.is_none_or(|status| status == words.payment)
        && filter.fulfilment_status.is_none_or(|status| status == words.fulfilment)
}

/// The times and the position that limit which orders of a list a page may contain.
struct Bounds<'a> {
    sort: OrderSort,
    from: Option<Timestamp>,
    before: Option<Timestamp>,
    after: Option<&'a OrderPosition>,
}

impl<'a> Bounds<'a> {
    fn of(filter: &OrderFilter, after: Option<&'a OrderPosition>) -> Self {
        let (from, before) = filter.sorted_times();
        Self { sort: filter.sort(), from, before, after }
    }

    /// Among the keys with the given prefix: the first key within the bounds, and the first key after the bounds.
    fn keys(&self, prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let time = |time: Timestamp| time_key(prefix, time.micros());
        let mut start = self.from.map_or_else(|| prefix.to_vec(), time);
        let mut end = self.before.map_or_else(|| time_key(prefix, i64::MAX), time);
        if let Some(OrderPosition { at_micros, order_id }) = self.after {
            let mut place = position_key(prefix, *at_micros, order_id);
            match self.sort {
                OrderSort::NewestFirst => end = end.min(place),
                OrderSort::LeastRecentlyUpdatedFirst => {
                    // The order at `place` ended the previous page, so the range begins with the next possible key.
                    place.push(0);
                    start = start.max(place);
                }
            }
        }
        (start, end)
    }
}

/// Merges the positions of several ranges into the order of the list.
struct Merge {
    sort: OrderSort,
    ranges: Vec<(Iter, usize)>,
    heads: BinaryHeap<Head>,
}

/// The position that a range returns next.
struct Head {
    position: OrderPosition,
    sort: OrderSort,
    range: usize,
}

impl Merge {
    fn of(view: &View, ranges: &[IndexRange<'_>], bounds: &Bounds<'_>) -> anyhow::Result<Self> {
        let mut merge = Self { sort: bounds.sort, ranges: Vec::new(), heads: BinaryHeap::new() };
        for IndexRange { keyspace, prefix } in ranges {
            let (start, end) = bounds.keys(prefix);
            if start < end {
                merge.ranges.push((view.range(keyspace, start..end), prefix.len()));
                merge.advance(merge.ranges.len() - 1)?;
            }
        }
        Ok(merge)
    }

    fn next(&mut self) -> anyhow::Result<Option<OrderPosition>> {
        let Some(Head { position, range, .. }) = self.heads.pop() else { return Ok(None) };
        self.advance(range)?;
        Ok(Some(position))
    }

    fn advance(&mut self, range: usize) -> anyhow::Result<()> {
        let (rows, prefix_bytes) = &mut self.ranges[range];
        let row = match self.sort {
            OrderSort::NewestFirst => rows.next_back(),
            OrderSort::LeastRecentlyUpdatedFirst => rows.next(),
        };
        if let Some(row) = row {
            let position = position_of(&row.key()?, *prefix_bytes)?;
            self.heads.push(Head { position, sort: self.sort, range });
        }
        Ok(())
    }
}

impl Ord for Head {
    /// The heap returns its greatest element first. So the position that is next in the list must compare as the
    /// greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.position, &other.position);
        let by_time = (one.at_micros, &one.order_id).cmp(&(two.at_micros, &two.order_id));
        match self.sort {
            OrderSort::NewestFirst => by_time,
            OrderSort::LeastRecentlyUpdatedFirst => by_time.reverse(),
        }
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}
