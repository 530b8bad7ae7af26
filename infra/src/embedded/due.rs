//! Lists the orders that may be past their deadline, for the role of the service that proposes to cancel them. The list
//! is read from two indexes, which [`append`](super::log::append) keeps up to date. `due` contains the orders with an
//! `expires_at`. `by_status` sorts the unpaid orders by age, so the configured age needs no separate index.

use std::ops::Bound;
use std::sync::Arc;

use anyhow::Context;
use api::expiry::{DueOrders, DuePage, DuePosition, DueQuery};
use async_trait::async_trait;
use domain::{FulfilmentStatus, OrderStatus, PaymentStatus};

use super::Embedded;
use super::store::Store;
use super::store::index_keys::{Words, position_of, time_key};
use super::store::keyspaces::{Keyspaces, NumberedKeyspace};
use super::store::views::ReadStore;

#[cfg(test)]
mod tests;

#[async_trait]
impl DueOrders for Embedded {
    async fn due(
        &self,
        query: &DueQuery,
        after: Option<&DuePosition>,
        limit: usize,
    ) -> anyhow::Result<DuePage> {
        let (store, query, after) = (Arc::clone(&self.0.store), *query, after.cloned());
        self.0.store.read_turns.read(move || page(&store, &query, after.as_ref(), limit)).await
    }
}

/// A part of an index: the rows whose keys begin with `prefix` and whose time is at most `until`.
struct DueRange<'a> {
    keyspace: &'a NumberedKeyspace,
    prefix: Vec<u8>,
    /// The latest time in the range, in microseconds since 1970.
    until: i64,
}

/// Index ranges that together contain every order that is due. The number and the order of the ranges depend only on
/// whether an age for unpaid orders is configured.
fn ranges<'a>(keys: &'a Keyspaces, query: &DueQuery) -> Vec<DueRange<'a>> {
    let now = query.now.micros();
    let mut ranges = vec![DueRange { keyspace: &keys.due, prefix: Vec::new(), until: now }];
    let Some(age) = query.unpaid_age_micros else { return ranges };
    // An order that is unpaid and not shipped is pending or confirmed.
    for status in [OrderStatus::Pending, OrderStatus::Confirmed] {
        for has_one_event in [true, false] {
            let (payment, fulfilment) = (PaymentStatus::Unpaid, FulfilmentStatus::Unfulfilled);
            let prefix = Words { status, payment, fulfilment, has_one_event }.prefix().to_vec();
            ranges.push(DueRange { keyspace: &keys.by_status, prefix, until: now.saturating_sub(age) });
        }
    }
    ranges
}

/// Reads a page of orders. The page ends where its range ends, or when it is full. Pages begin at a position, which
/// consists of the number of a range and the key after which the page begins. The key is empty at the beginning of a
/// range.
fn page(
    store: &Store,
    query: &DueQuery,
    after: Option<&DuePosition>,
    limit: usize,
) -> anyhow::Result<DuePage> {
    let (number, key) = match after {
        Some(DuePosition(bytes)) => bytes.split_first().context("an empty position")?,
        None => (&0, [].as_slice()),
    };
    let ranges = ranges(&store.keys, query);
    let range = ranges
        .get(usize::from(*number))
        .context("the position belongs to a service with another configuration")?;
    let start =
        if key.is_empty() { Bound::Included(range.prefix.clone()) } else { Bound::Excluded(key.to_vec()) };
    let end = time_key(&range.prefix, range.until.saturating_add(1));
    let next_range = number + 1;
    let mut page = DuePage::default();
    if usize::from(next_range) < ranges.len() {
        page.next = Some(DuePosition(vec![next_range]));
    }
    // If the clock was set back since the previous page, the page may begin after the end of its range.
    if key >= end.as_slice() {
        return Ok(page);
    }
    let mut latest = None;
    for row in store.view().range(range.keyspace, (start, Bound::Excluded(end))) {
        if page.orders.len() == limit {
            page.next = latest;
            break;
        }
        let key = row.key()?;
        page.orders.push(position_of(&key, range.prefix.len())?.order_id);
        latest = Some(DuePosition([&[*number], &*key].concat()));
    }
    Ok(page)
}
