//! The conformance cases for lists of a customer's orders. Lists are eventually consistent, so every case waits for the
//! list that it expects.

use std::time::Duration;

use api::ports::{OrderFilter, OrderSnapshot};
use domain::{CustomerId, Envelope, OrderId, OrderStatus};

use super::{Backend, QueueOptions};
use crate::support::events::{append_of, at, confirmed, created_for, new_order_id, recorded};
use crate::support::eventually::{check, eventually_within};

pub fn options(_case: &str) -> QueueOptions {
    QueueOptions::default()
}

async fn record(backend: &dyn Backend, envelopes: &[Envelope]) {
    let events = recorded(1, envelopes);
    backend.log().append(&[append_of(&events, events.len())]).await.remove(0).unwrap();
}

/// Reads the whole list in pages of two.
async fn list(backend: &dyn Backend, filter: &OrderFilter) -> Vec<OrderSnapshot> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = backend.reader().find_orders(filter, after.as_ref(), 2).await.unwrap();
        assert!(page.orders.len() <= 2);
        all.extend(page.orders);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn of_customer(name: &str) -> OrderFilter {
    OrderFilter::of_customer(CustomerId::parse(name).unwrap())
}

/// Waits until the list is exactly `expected`.
pub async fn eventually_lists(backend: &dyn Backend, filter: &OrderFilter, expected: &[OrderId]) {
    let patience = Duration::from_secs(20);
    eventually_within(patience, &format!("the list is {expected:?}"), async || {
        let found: Vec<_> =
            list(backend, filter).await.into_iter().map(|listed| listed.order.order_id.clone()).collect();
        check(found == expected, found)
    })
    .await;
}

pub async fn a_customers_orders_are_listed_newest_first(backend: &dyn Backend) {
    let ids: Vec<_> = (0..5).map(|_| new_order_id()).collect();
    // The sequence in which the orders are recorded differs from their creation times.
    for i in [3, 0, 4, 1, 2] {
        let mut event = created_for(&ids[i], "mia");
        event.timestamp = at(i as u32);
        record(backend, &[event]).await;
    }
    record(backend, &[created_for(&new_order_id(), "mia2")]).await;
    record(backend, &[created_for(&new_order_id(), "mi")]).await;

    let newest_first: Vec<_> = ids.into_iter().rev().collect();
    eventually_lists(backend, &of_customer("mia"), &newest_first).await;
    eventually_lists(backend, &of_customer("nobody"), &[]).await;
}

pub async fn orders_of_the_same_moment_are_listed_once_each(backend: &dyn Backend) {
    let mut ids: Vec<_> = (0..5).map(|_| new_order_id()).collect();
    for id in &ids {
        record(backend, &[created_for(id, "tom")]).await;
    }
    ids.sort_by(|a, b| b.cmp(a));
    eventually_lists(backend, &of_customer("tom"), &ids).await;
}

pub async fn a_list_shows_the_current_orders(backend: &dyn Backend) {
    let id = new_order_id();
    record(backend, &[created_for(&id, "eve"), confirmed(&id)]).await;
    let eve = of_customer("eve");
    eventually_lists(backend, &eve, std::slice::from_ref(&id)).await;
    let listed = list(backend, &eve).await.remove(0);
    assert_eq!((listed.order.version, listed.order.status.as_str(), listed.parked), (2, "confirmed", 0));
}

pub async fn a_list_shows_only_orders_that_pass_the_filter(backend: &dyn Backend) {
    let ids: Vec<_> = (0..7).map(|_| new_order_id()).collect();
    for (second, id) in (0..).zip(&ids) {
        let created = Envelope { timestamp: at(second), ..created_for(id, "ann") };
        let events = if second % 3 == 0 { vec![created, confirmed(id)] } else { vec![created] };
        record(backend, &events).await;
    }
    let ann = of_customer("ann");
    let all: Vec<_> = ids.iter().rev().cloned().collect();
    eventually_lists(backend, &ann, &all).await;

    let only = |indexes: &[usize]| indexes.iter().map(|i| ids[*i].clone()).collect::<Vec<_>>();
    let status = |status| OrderFilter { status: Some(status), ..ann.clone() };
    eventually_lists(backend, &status(OrderStatus::Confirmed), &only(&[6, 3, 0])).await;
    eventually_lists(backend, &status(OrderStatus::Paid), &[]).await;
    let from = OrderFilter { created_from: Some(at(4)), ..ann.clone() };
    eventually_lists(backend, &from, &only(&[6, 5, 4])).await;
    let before = OrderFilter { created_before: Some(at(2)), ..ann.clone() };
    eventually_lists(backend, &before, &only(&[1, 0])).await;
    let both = OrderFilter {
        created_from: Some(at(1)),
        created_before: Some(at(6)),
        status: Some(OrderStatus::Pending),
        ..ann.clone()
    };
    eventually_lists(backend, &both, &only(&[5, 4, 2, 1])).await;
    let never = OrderFilter { created_from: Some(at(6)), created_before: Some(at(1)), ..ann.clone() };
    eventually_lists(backend, &never, &[]).await;
}

pub async fn paging_continues_in_place_while_orders_are_added(backend: &dyn Backend) {
    let ids: Vec<_> = (0..6).map(|_| new_order_id()).collect();
    for (second, id) in (10..).zip(&ids) {
        record(backend, &[Envelope { timestamp: at(second), ..created_for(id, "joe") }]).await;
    }
    let joe = of_customer("joe");
    eventually_lists(backend, &joe, &ids.iter().rev().cloned().collect::<Vec<_>>()).await;
    let first = backend.reader().find_orders(&joe, None, 3).await.unwrap();
    // Creates two orders that are newer than the first page, and one between the orders of the first page.
    for second in [11, 40, 50] {
        record(backend, &[Envelope { timestamp: at(second), ..created_for(&new_order_id(), "joe") }]).await;
    }
    let second = backend.reader().find_orders(&joe, first.next.as_ref(), 2).await.unwrap();
    let found: Vec<_> =
        first.orders.iter().chain(&second.orders).map(|it| it.order.order_id.clone()).collect();
    let expected: Vec<_> = ids[1..].iter().rev().cloned().collect();
    assert_eq!(found[..4], expected[..4], "each once");
}
