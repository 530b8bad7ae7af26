//! The conformance cases for the log: appending under conditions, duplicates, conflicts, repair of
//! projections, outcomes and paging.

use api::ports::{OrderFilter, RejectionList};
use consumer::ports::{AppendError, Appended, EventOutcome, LoadRequest, LoadedOrder};
use domain::{Envelope, EventId, Order, OrderId, Outcome, ParkReason, Receipt, RecordedEvent, RejectReason};
use uuid::Uuid;

use super::{Backend, QueueOptions};
use crate::support::events::{amended, append_of, confirmed, created, fold, new_order_id, paid, recorded};
use crate::support::eventually::PATIENCE;

pub fn options(_case: &str) -> QueueOptions {
    QueueOptions::default()
}

async fn load(backend: &dyn Backend, order_id: &OrderId, event_ids: &[EventId]) -> LoadedOrder {
    let wanted =
        LoadRequest { order_id: order_id.clone(), event_ids: event_ids.to_vec(), references: Vec::new() };
    backend.log().load(&[wanted]).await.remove(0).unwrap()
}

/// Appends the last `last` events of `log`.
async fn append(backend: &dyn Backend, log: &[RecordedEvent], last: usize) -> Result<Appended, AppendError> {
    backend.log().append(&[append_of(log, last)]).await.remove(0)
}

/// An outcome without a message id.
fn settled(event: &Envelope, outcome: Outcome) -> EventOutcome {
    EventOutcome { event_id: event.event_id, outcome, message: None }
}

async fn read(backend: &dyn Backend, order_id: &OrderId) -> Option<Order> {
    backend.reader().order(order_id).await.unwrap().map(|snapshot| (*snapshot.order).clone())
}

pub async fn an_unknown_order_is_empty(backend: &dyn Backend) {
    let order_id = new_order_id();
    let event_id = EventId::from(Uuid::now_v7());
    assert_eq!(load(backend, &order_id, &[event_id]).await, LoadedOrder::default());
    assert_eq!(read(backend, &order_id).await, None);
    assert_eq!(backend.reader().events(&order_id, 0, 10).await.unwrap(), []);
    assert_eq!(backend.reader().receipt(&order_id, event_id).await.unwrap(), None);
}

pub async fn appended_events_are_loaded_and_read(backend: &dyn Backend) {
    let id = new_order_id();
    let log = recorded(1, &[created(&id), amended(&id, 3), confirmed(&id)]);
    assert_eq!(append(backend, &log[..1], 1).await.unwrap(), Appended::New);
    assert_eq!(append(backend, &log, 2).await.unwrap(), Appended::New, "both events are in one append");

    let loaded = load(backend, &id, &[log[1].envelope.event_id]).await;
    assert_eq!(loaded.order, Some(fold(&log)));
    assert_eq!(loaded.outcomes, [settled(&log[1].envelope, Outcome::Recorded { version: 2 })]);
    assert_eq!(read(backend, &id).await, Some(fold(&log)));
    assert_eq!(backend.reader().events(&id, 0, 10).await.unwrap(), log);
    let receipt = backend.reader().receipt(&id, log[2].envelope.event_id).await.unwrap().unwrap();
    assert_eq!((receipt.version(), receipt.event_type.as_str()), (Some(3), "order_confirmed"));
}

pub async fn repeating_an_append_changes_nothing(backend: &dyn Backend) {
    let id = new_order_id();
    let log = recorded(1, &[created(&id), confirmed(&id)]);
    append(backend, &log[..1], 1).await.unwrap();
    append(backend, &log, 1).await.unwrap();
    // Appends both events again, as after a crash before the acknowledgement. Both are already recorded.
    assert_eq!(append(backend, &log[..1], 1).await.unwrap(), Appended::Already);
    assert_eq!(append(backend, &log, 1).await.unwrap(), Appended::Already);
    assert_eq!(read(backend, &id).await, Some(fold(&log)));
    assert_eq!(backend.reader().events(&id, 0, 10).await.unwrap(), log);
}

pub async fn another_event_at_the_same_version_is_a_conflict(backend: &dyn Backend) {
    let id = new_order_id();
    let log = recorded(1, &[created(&id)]);
    append(backend, &log, 1).await.unwrap();

    let other = recorded(1, &[created(&id)]);
    let error = append(backend, &other, 1).await.unwrap_err();
    assert!(matches!(&error, AppendError::Conflict { order_id, version: 1 } if *order_id == id), "{error:?}");
    assert_eq!(read(backend, &id).await, Some(fold(&log)));
    assert_eq!(load(backend, &id, &[other[0].envelope.event_id]).await.outcomes, []);
    assert_eq!(backend.reader().events(&id, 0, 10).await.unwrap(), log);
}

pub async fn appends_of_a_batch_are_independent(backend: &dyn Backend) {
    let ids: Vec<_> = (0..12).map(|_| new_order_id()).collect();
    let taken = recorded(1, &[created(&ids[5])]);
    append(backend, &taken, 1).await.unwrap();

    let logs: Vec<_> = ids.iter().map(|id| recorded(1, &[created(id)])).collect();
    let appends: Vec<_> = logs.iter().map(|log| append_of(log, 1)).collect();
    let results = backend.log().append(&appends).await;
    for (i, result) in results.iter().enumerate() {
        assert_eq!(result.is_err(), i == 5, "{i}: {result:?}");
    }
    let wanted: Vec<_> = ids
        .iter()
        .map(|id| LoadRequest { order_id: id.clone(), event_ids: Vec::new(), references: Vec::new() })
        .collect();
    let loaded = backend.log().load(&wanted).await;
    for (i, (loaded, log)) in loaded.into_iter().zip(&logs).enumerate() {
        let expected = if i == 5 { &taken } else { log };
        assert_eq!(loaded.unwrap().order, Some(fold(expected)), "{i}");
    }
}

pub async fn a_crash_before_the_projection_heals_on_the_next_load(backend: &dyn Backend) {
    let id = new_order_id();
    let log = recorded(1, &[created(&id), confirmed(&id), paid(&id)]);
    append(backend, &log[..1], 1).await.unwrap();
    backend.append_without_projecting(log[1].clone()).await;

    let loaded = load(backend, &id, &[log[1].envelope.event_id]).await;
    assert_eq!(loaded.order, Some(fold(&log[..2])), "the log takes precedence over the projection");
    append(backend, &log, 1).await.unwrap();
    assert_eq!(read(backend, &id).await, Some(fold(&log)));
    assert_eq!(backend.reader().events(&id, 0, 10).await.unwrap(), log);
}

pub async fn a_crash_before_the_projection_heals_on_redelivery(backend: &dyn Backend) {
    let id = new_order_id();
    let log = recorded(1, &[created(&id)]);
    backend.append_without_projecting(log[0].clone()).await;
    assert_eq!(append(backend, &log, 1).await.unwrap(), Appended::Already);
    assert_eq!(read(backend, &id).await, Some(fold(&log)));
    let of_customer = OrderFilter::of_customer(fold(&log).customer_id);
    super::listing::eventually_lists(backend, &of_customer, std::slice::from_ref(&id)).await;
    let receipt = backend.reader().receipt(&id, log[0].envelope.event_id).await.unwrap().unwrap();
    assert_eq!(receipt.version(), Some(1));
}

pub async fn outcomes_are_stored(backend: &dyn Backend) {
    let id = new_order_id();
    let refused = paid(&id);
    let detail = "order_paid is not legal while the order is not yet created".to_owned();
    let outcome = Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail,
        at_version: Some(0),
        violation: None,
    };
    let receipt = Receipt::of(&refused, Some(outcome));
    backend.log().settle(std::slice::from_ref(&receipt)).await.remove(0).unwrap();

    assert_eq!(backend.reader().receipt(&id, refused.event_id).await.unwrap(), Some(receipt.clone()));
    let loaded = load(backend, &id, &[refused.event_id, EventId::from(Uuid::now_v7())]).await;
    assert_eq!(loaded.outcomes, [settled(&refused, receipt.outcome.unwrap())]);
    assert_eq!(loaded.order, None, "an outcome without an event does not create the order");
}

pub async fn waiting_readers_receive_the_outcome(backend: &dyn Backend) {
    let id = new_order_id();
    let log = recorded(1, &[created(&id), confirmed(&id)]);
    let reader = backend.reader();
    let patience = tokio::time::Instant::now() + PATIENCE;
    let event_ids = [log[0].envelope.event_id, log[1].envelope.event_id];
    let waiters = event_ids.map(|event_id| {
        let (order, reader) = (id.clone(), reader.clone());
        tokio::spawn(async move { reader.settled(&order, event_id, patience).await.unwrap() })
    });
    append(backend, &log[..1], 1).await.unwrap();
    let refusal = Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail: "no".to_owned(),
        at_version: Some(7),
        violation: None,
    };
    let receipt = Receipt::of(&log[1].envelope, Some(refusal));
    backend.log().settle(std::slice::from_ref(&receipt)).await.remove(0).unwrap();

    let [first, second] = waiters;
    assert_eq!(first.await.unwrap().unwrap().version(), Some(1));
    assert_eq!(second.await.unwrap(), Some(receipt));
    let none = reader.settled(&id, EventId::from(Uuid::now_v7()), tokio::time::Instant::now()).await.unwrap();
    assert_eq!(none, None, "the wait for an outcome ends at its deadline");
}

pub async fn the_hash_of_a_request_is_stored_with_its_receipt(backend: &dyn Backend) {
    let id = new_order_id();
    let hashed = |event: Envelope, hash: &str| Envelope { request_hash: Some(hash.to_owned()), ..event };
    let log = recorded(1, &[hashed(created(&id), "aa")]);
    append(backend, &log, 1).await.unwrap();
    let refused = hashed(paid(&id), "bb");
    let refusal = Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail: "no".to_owned(),
        at_version: None,
        violation: None,
    };
    backend.log().settle(&[Receipt::of(&refused, Some(refusal))]).await.remove(0).unwrap();
    for (event_id, hash) in [(log[0].envelope.event_id, "aa"), (refused.event_id, "bb")] {
        let receipt = backend.reader().receipt(&id, event_id).await.unwrap().unwrap();
        assert_eq!(receipt.request_hash.as_deref(), Some(hash));
    }
}

pub async fn rejected_events_are_listed(backend: &dyn Backend) {
    let id = new_order_id();
    append(backend, &recorded(1, &[created(&id), confirmed(&id)]), 2).await.unwrap();
    let refusal = Outcome::Rejected {
        reason: RejectReason::IllegalTransition,
        detail: "no".to_owned(),
        at_version: Some(2),
        violation: None,
    };
    let mut rejected: Vec<_> = (0..5).map(|_| Receipt::of(&paid(&id), Some(refusal.clone()))).collect();
    let parked = Outcome::Parked { reason: ParkReason::Malformed, detail: "no".to_owned() };
    let others = [Receipt::of(&paid(&id), Some(parked)), Receipt::of(&paid(&new_order_id()), Some(refusal))];
    for receipt in rejected.iter().chain(&others) {
        backend.log().settle(std::slice::from_ref(receipt)).await.remove(0).unwrap();
    }
    rejected.sort_by_key(|receipt| receipt.event_id.to_string());
    for limit in [1, 2, 50] {
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let page = backend.reader().rejections(&id, after, limit).await.unwrap();
            assert!(page.receipts.len() <= limit);
            read.extend(page.receipts);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(read, rejected, "pages of {limit}");
    }
    assert_eq!(
        backend.reader().rejections(&new_order_id(), None, 50).await.unwrap(),
        RejectionList::default()
    );
}

pub async fn long_logs_are_paged(backend: &dyn Backend) {
    let id = new_order_id();
    // The log has about 2 MB, which is more than one page of a DynamoDB query.
    let mut envelopes = vec![created(&id)];
    envelopes.extend((0..119).map(|_| amended(&id, 200)));
    let log = recorded(1, &envelopes);
    for end in (20..=log.len()).step_by(20) {
        append(backend, &log[..end], 20).await.unwrap();
    }

    assert_eq!(load(backend, &id, &[]).await.order, Some(fold(&log)));
    let mut read = Vec::new();
    loop {
        let after = read.last().map_or(0, |event: &RecordedEvent| event.version);
        let page = backend.reader().events(&id, after, 50).await.unwrap();
        assert!(page.len() <= 50);
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, log);
    assert_eq!(backend.reader().events(&id, u64::MAX, 50).await.unwrap(), []);
}
