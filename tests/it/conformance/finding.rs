//! The conformance cases for finding orders of all customers, by reference and by metadata. The metadata key
//! `channel` is searchable.

use std::collections::BTreeMap;

use api::ports::{OrderFilter, OrderPosition};
use consumer::ports::{AppendError, LoadRequest};
use domain::event::{Amended, Created};
use domain::{Envelope, Event, FulfilmentStatus, Metadata, OrderId, OrderStatus, PaymentStatus, Reference};

use super::listing::eventually_lists;
use super::{Backend, QueueOptions};
use crate::support::events::{
    append_of, at, confirmed, created_for, envelope, fold, new_order_id, paid, recorded,
};

pub fn options(_case: &str) -> QueueOptions {
    QueueOptions { searchable_metadata: &["channel"], ..QueueOptions::default() }
}

/// The `order_created` event of an order. Its timestamp is `at(second)`, and `change` may change its data.
fn created_at(id: &OrderId, second: u32, change: impl FnOnce(&mut Created)) -> Envelope {
    let mut envelope = Envelope { timestamp: at(second), ..created_for(id, &format!("c-{}", second % 2)) };
    if let Event::Created(created) = &mut envelope.event {
        change(created);
    }
    envelope
}

fn with_reference(id: &OrderId, second: u32, reference: &str) -> Envelope {
    created_at(id, second, |created| created.reference = Some(Reference::parse(reference).unwrap()))
}

fn with_channel(id: &OrderId, second: u32, channel: &str) -> Envelope {
    let entries =
        [("channel", channel), ("colour", "red")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    created_at(id, second, |created| created.metadata = Metadata::parse(BTreeMap::from(entries)).unwrap())
}

/// Records a whole log with one append.
async fn record(backend: &dyn Backend, envelopes: &[Envelope]) {
    append(backend, envelopes, envelopes.len()).await.unwrap();
}

/// Appends the last `last` events of a log with one append.
async fn append(backend: &dyn Backend, envelopes: &[Envelope], last: usize) -> Result<(), AppendError> {
    let append = append_of(&recorded(1, envelopes), last);
    backend.log().append(&[append]).await.remove(0).map(drop)
}

fn reference_to(reference: &str) -> Reference {
    Reference::parse(reference).unwrap()
}

async fn holder(backend: &dyn Backend, reference: &str) -> Option<OrderId> {
    let found = backend.reader().order_by_reference(&reference_to(reference)).await.unwrap();
    found.map(|snapshot| snapshot.order.order_id.clone())
}

/// All orders that pass the filter, read in pages of the given length.
async fn in_pages(backend: &dyn Backend, filter: &OrderFilter, limit: usize) -> Vec<OrderId> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = backend.reader().find_orders(filter, after.as_ref(), limit).await.unwrap();
        found.extend(page.orders.into_iter().map(|snapshot| snapshot.order.order_id.clone()));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// Eight orders of two customers, created one second apart. Orders 0 and 4 are pending, 1 and 5 are confirmed, 2 and
/// 6 are paid, and 3 and 7 are paid but not confirmed. Each event was appended separately.
async fn eight_orders(backend: &dyn Backend) -> Vec<OrderId> {
    let ids: Vec<_> = (0..8).map(|_| new_order_id()).collect();
    for (second, id) in (0..).zip(&ids) {
        let mut log = vec![created_at(id, second, |_| ())];
        if [1, 2].contains(&(second % 4)) {
            log.push(Envelope { timestamp: at(20 + second), ..confirmed(id) });
        }
        if second % 4 >= 2 {
            log.push(Envelope { timestamp: at(40 + second), ..paid(id) });
        }
        for version in 1..=log.len() {
            append(backend, &log[..version], 1).await.unwrap();
        }
    }
    ids
}

pub async fn orders_of_all_customers_are_found_by_each_of_their_words(backend: &dyn Backend) {
    let ids = eight_orders(backend).await;
    let only = |indexes: &[usize]| indexes.iter().map(|i| ids[*i].clone()).collect::<Vec<_>>();
    let all = OrderFilter::default();
    eventually_lists(backend, &all, &only(&[7, 6, 5, 4, 3, 2, 1, 0])).await;
    for (status, expected) in [
        (OrderStatus::Pending, only(&[7, 4, 3, 0])),
        (OrderStatus::Confirmed, only(&[5, 1])),
        (OrderStatus::Paid, only(&[6, 2])),
        (OrderStatus::Refunded, vec![]),
    ] {
        eventually_lists(backend, &OrderFilter { status: Some(status), ..all.clone() }, &expected).await;
    }
    let paid = OrderFilter { payment_status: Some(PaymentStatus::Paid), ..all.clone() };
    eventually_lists(backend, &paid, &only(&[7, 6, 3, 2])).await;
    let both = OrderFilter { status: Some(OrderStatus::Pending), ..paid.clone() };
    eventually_lists(backend, &both, &only(&[7, 3])).await;
    let unfulfilled = OrderFilter {
        fulfilment_status: Some(FulfilmentStatus::Unfulfilled),
        created_from: Some(at(2)),
        created_before: Some(at(5)),
        ..all.clone()
    };
    eventually_lists(backend, &unfulfilled, &only(&[4, 3, 2])).await;
    let shipped = OrderFilter { fulfilment_status: Some(FulfilmentStatus::Shipped), ..all.clone() };
    eventually_lists(backend, &shipped, &[]).await;
    let of_customer = OrderFilter { customer_id: Some("c-1".parse().unwrap()), ..paid };
    eventually_lists(backend, &of_customer, &only(&[7, 3])).await;
    for limit in 1..9 {
        assert_eq!(in_pages(backend, &all, limit).await, only(&[7, 6, 5, 4, 3, 2, 1, 0]));
    }
}

pub async fn updated_orders_are_listed_from_the_least_recently_updated_one(backend: &dyn Backend) {
    let ids = eight_orders(backend).await;
    let only = |indexes: &[usize]| indexes.iter().map(|i| ids[*i].clone()).collect::<Vec<_>>();
    let all = OrderFilter { updated_from: Some(at(0)), ..OrderFilter::default() };
    // Orders with only one event are sorted by the time of their creation.
    let sorted = only(&[0, 4, 1, 5, 2, 3, 6, 7]);
    eventually_lists(backend, &all, &sorted).await;
    for limit in 1..9 {
        assert_eq!(in_pages(backend, &all, limit).await, sorted);
    }
    let some = OrderFilter { updated_from: Some(at(4)), updated_before: Some(at(43)), ..all.clone() };
    eventually_lists(backend, &some, &only(&[4, 1, 5, 2])).await;
    let paid = OrderFilter { status: Some(OrderStatus::Paid), ..all.clone() };
    eventually_lists(backend, &paid, &only(&[2, 6])).await;

    // An order that is updated while a client reads page by page moves to the end of the list, so the client sees it
    // again.
    let first = backend.reader().find_orders(&all, None, 3).await.unwrap();
    let log = [created_at(&ids[0], 0, |_| ()), Envelope { timestamp: at(60), ..confirmed(&ids[0]) }];
    append(backend, &log, 1).await.unwrap();
    let mut after = first.next;
    let mut rest = Vec::new();
    while let Some(position) = after {
        let page = backend.reader().find_orders(&all, Some(&position), 3).await.unwrap();
        rest.extend(page.orders.into_iter().map(|snapshot| snapshot.order.order_id.clone()));
        after = page.next;
    }
    assert_eq!(rest, only(&[5, 2, 3, 6, 7, 0]));
}

pub async fn a_list_of_all_orders_continues_in_place_while_orders_change(backend: &dyn Backend) {
    let ids: Vec<_> = (0..6).map(|_| new_order_id()).collect();
    let log = |i: usize| [created_at(&ids[i], 10 + i as u32, |_| ()), confirmed(&ids[i])];
    for i in 0..6 {
        append(backend, &log(i)[..1], 1).await.unwrap();
    }
    let all = OrderFilter::default();
    eventually_lists(backend, &all, &ids.iter().rev().cloned().collect::<Vec<_>>()).await;
    let first = backend.reader().find_orders(&all, None, 3).await.unwrap();
    assert_eq!(first.next, Some(OrderPosition { at_micros: at(13).micros(), order_id: ids[3].clone() }));
    // Between two pages, one order of the page is confirmed, and one newer and one older order are created.
    append(backend, &log(4), 1).await.unwrap();
    append(backend, &log(1), 1).await.unwrap();
    let (newer, older) = (new_order_id(), new_order_id());
    record(backend, &[created_at(&newer, 50, |_| ())]).await;
    record(backend, &[created_at(&older, 5, |_| ())]).await;
    let second = backend.reader().find_orders(&all, first.next.as_ref(), 10).await.unwrap();
    let found: Vec<_> = second.orders.into_iter().map(|snapshot| snapshot.order.order_id.clone()).collect();
    assert_eq!(found, [&ids[2], &ids[1], &ids[0], &older].map(Clone::clone));
}

pub async fn an_order_is_found_by_its_reference_alone(backend: &dyn Backend) {
    let (one, other) = (new_order_id(), new_order_id());
    record(backend, &[with_reference(&one, 1, "PO 1")]).await;
    record(backend, &[with_reference(&other, 2, "PO 2")]).await;
    assert_eq!(holder(backend, "PO 1").await, Some(one.clone()));
    assert_eq!(holder(backend, "PO 2").await, Some(other));
    assert_eq!(holder(backend, "PO").await, None);
    let reference = reference_to("PO 1");
    let wanted = LoadRequest {
        order_id: new_order_id(),
        event_ids: Vec::new(),
        references: vec![reference_to("PO 3"), reference.clone()],
    };
    let loaded = backend.log().load(&[wanted]).await.remove(0).unwrap();
    assert_eq!(loaded.reference_holders, [(reference, one)]);
}

pub async fn a_reference_belongs_to_one_order_at_a_time(backend: &dyn Backend) {
    let (one, other) = (new_order_id(), new_order_id());
    let log = [
        with_reference(&one, 1, "PO 1"),
        envelope(
            &one,
            Event::Amended(Amended { reference: Some(reference_to("PO 2")), ..Amended::default() }),
        ),
    ];
    append(backend, &log[..1], 1).await.unwrap();
    let taken = append(backend, &[with_reference(&other, 2, "PO 1")], 1).await.unwrap_err();
    let is_held = |error: &AppendError, by: &OrderId| {
        matches!(error, AppendError::ReferenceTaken { reference, by: holder }
            if reference.as_str() == "PO 1" && holder == by)
    };
    assert!(is_held(&taken, &one), "{taken:?}");
    assert_eq!(backend.reader().order(&other).await.unwrap(), None, "nothing was appended");
    // A repeated append succeeds, although the order itself already has the reference.
    append(backend, &log[..1], 1).await.unwrap();
    // The amendment gives the order another reference, and so releases the old reference.
    append(backend, &log, 1).await.unwrap();
    assert_eq!((holder(backend, "PO 1").await, holder(backend, "PO 2").await), (None, Some(one.clone())));
    append(backend, &[with_reference(&other, 2, "PO 1")], 1).await.unwrap();
    assert_eq!(holder(backend, "PO 1").await, Some(other));
}

pub async fn of_concurrent_orders_with_one_reference_exactly_one_is_recorded(backend: &dyn Backend) {
    let ids: Vec<_> = (0..20).map(|_| new_order_id()).collect();
    let appends: Vec<_> =
        ids.iter().map(|id| append_of(&recorded(1, &[with_reference(id, 1, "PO 1")]), 1)).collect();
    // Half of the events are appended in one call, and the other half in separate calls.
    let (together, alone) = appends.split_at(10);
    let log = backend.log();
    let others =
        futures_util::future::join_all(alone.iter().map(|append| log.append(std::slice::from_ref(append))));
    let (first, others) = tokio::join!(log.append(together), others);
    let results: Vec<_> = first.into_iter().chain(others.into_iter().flatten()).collect();
    let winners: Vec<_> =
        ids.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(id, _)| id).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert_eq!(holder(backend, "PO 1").await.as_ref(), Some(winners[0]));
    for (id, result) in ids.iter().zip(&results) {
        let is_taken = matches!(result, Err(AppendError::ReferenceTaken { by, .. }) if by == winners[0]);
        assert!(is_taken != (id == winners[0]), "{id}: {result:?}");
        assert_eq!(backend.reader().order(id).await.unwrap().is_some(), id == winners[0]);
    }
}

pub async fn orders_are_found_by_searchable_metadata(backend: &dyn Backend) {
    let ids: Vec<_> = (0..4).map(|_| new_order_id()).collect();
    for (second, id) in (0..).zip(&ids) {
        record(backend, &[with_channel(id, second, ["web", "shop"][second as usize % 2])]).await;
    }
    let log = [with_channel(&ids[0], 0, "web"), confirmed(&ids[0])];
    append(backend, &log, 1).await.unwrap();
    let by = |value: &str| OrderFilter {
        metadata: BTreeMap::from([("channel".to_owned(), value.to_owned())]),
        ..OrderFilter::default()
    };
    eventually_lists(backend, &by("web"), &[ids[2].clone(), ids[0].clone()]).await;
    eventually_lists(backend, &by("we"), &[]).await;
    let confirmed = OrderFilter { status: Some(OrderStatus::Confirmed), ..by("web") };
    eventually_lists(backend, &confirmed, &ids[..1]).await;
    let of_customer = OrderFilter { customer_id: Some("c-1".parse().unwrap()), ..by("shop") };
    eventually_lists(backend, &of_customer, &[ids[3].clone(), ids[1].clone()]).await;
    let undeclared = OrderFilter {
        metadata: BTreeMap::from([("colour".to_owned(), "red".to_owned())]),
        ..OrderFilter::default()
    };
    assert!(backend.reader().find_orders(&undeclared, None, 10).await.is_err());
    assert_eq!(fold(&recorded(1, &log)).metadata.entries().len(), 2);
}
