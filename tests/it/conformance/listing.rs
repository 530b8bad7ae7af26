//! A customer's orders. A list may lag behind, so every case waits for what it expects.

use std::time::{Duration, Instant};

use api::ports::{ListPosition, OrderSnapshot};
use consumer::ports::Append;
use domain::{CustomerId, Envelope, OrderId};

use super::{Backend, QueueOptions};
use crate::support::events::{at, confirmed, created_for, fold, new_order_id, recorded};

pub fn options(_case: &str) -> QueueOptions {
    QueueOptions::default()
}

async fn record(backend: &dyn Backend, envelopes: &[Envelope]) {
    let events = recorded(1, envelopes);
    let append = Append { order: fold(&events), events };
    backend.log().append(&[append]).await.remove(0).unwrap();
}

/// Reads the whole list in pages of two.
async fn list(backend: &dyn Backend, customer: &CustomerId) -> Vec<OrderSnapshot> {
    let mut all: Vec<OrderSnapshot> = Vec::new();
    loop {
        let after = all.last().map(|last| ListPosition {
            created_at_micros: last.order.created_at.micros(),
            order_id: last.order.order_id.clone(),
        });
        let page = backend.reader().orders_of(customer, after.as_ref(), 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Waits until the customer's list is exactly `expected`.
pub async fn eventually_lists(backend: &dyn Backend, customer: &CustomerId, expected: &[OrderId]) {
    let start = Instant::now();
    loop {
        let found: Vec<_> =
            list(backend, customer).await.into_iter().map(|listed| listed.order.order_id).collect();
        if found == expected {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{found:?} is not {expected:?}");
        tokio::task::yield_now().await;
    }
}

pub async fn a_customers_orders_come_newest_first(backend: &dyn Backend) {
    let ids: Vec<_> = (0..5).map(|_| new_order_id()).collect();
    // Written in another order than they were created in.
    for i in [3, 0, 4, 1, 2] {
        let mut event = created_for(&ids[i], "mia");
        event.timestamp = at(i as u32);
        record(backend, &[event]).await;
    }
    record(backend, &[created_for(&new_order_id(), "mia2")]).await;
    record(backend, &[created_for(&new_order_id(), "mi")]).await;

    let newest_first: Vec<_> = ids.into_iter().rev().collect();
    eventually_lists(backend, &CustomerId::parse("mia").unwrap(), &newest_first).await;
    eventually_lists(backend, &CustomerId::parse("nobody").unwrap(), &[]).await;
}

pub async fn orders_of_the_same_moment_are_neither_lost_nor_doubled(backend: &dyn Backend) {
    let mut ids: Vec<_> = (0..5).map(|_| new_order_id()).collect();
    for id in &ids {
        record(backend, &[created_for(id, "tom")]).await;
    }
    ids.sort_by(|a, b| b.cmp(a));
    eventually_lists(backend, &CustomerId::parse("tom").unwrap(), &ids).await;
}

pub async fn a_list_shows_orders_as_they_are_now(backend: &dyn Backend) {
    let id = new_order_id();
    record(backend, &[created_for(&id, "eve"), confirmed(&id)]).await;
    let eve = CustomerId::parse("eve").unwrap();
    eventually_lists(backend, &eve, std::slice::from_ref(&id)).await;
    let listed = list(backend, &eve).await.remove(0);
    assert_eq!((listed.order.version, listed.order.status.as_str(), listed.parked), (2, "confirmed", 0));
}
