//! Tests references on DynamoDB: reservations that remain after a crash, and the AWS calls that a reference costs.

use std::time::Duration;

use api::ports::OrderReader;
use consumer::ports::{AppendError, OrderLog};
use domain::event::{Amended, Created};
use domain::{Envelope, Event, OrderId, Reference};
use infra::aws;
use serde_json::{Value, json};

use crate::conformance::QueueOptions;
use crate::conformance::aws::AwsBackend;
use crate::support::counting::CountingProxy;
use crate::support::emulator::Emulator;
use crate::support::events::{append_of, created, envelope, eur, new_order_id, recorded};

const NOW: Duration = Duration::ZERO;
/// An age at which a reservation is no longer valid.
const LONG_AGO: Duration = Duration::from_secs(180);

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn with_reference(id: &OrderId, text: &str) -> Envelope {
    let mut envelope = created(id);
    if let Event::Created(created) = &mut envelope.event {
        *created = Created { reference: Some(reference(text)), ..created.clone() };
    }
    envelope
}

fn renamed(id: &OrderId, text: &str) -> Envelope {
    envelope(id, Event::Amended(Amended { reference: Some(reference(text)), ..Amended::default() }))
}

async fn open() -> AwsBackend {
    AwsBackend::open(true, QueueOptions::default()).await
}

/// Appends the last event of a log.
async fn append(backend: &AwsBackend, log: &[Envelope]) -> Result<(), AppendError> {
    backend.table.append(&[append_of(&recorded(1, log), 1)]).await.remove(0).map(drop)
}

async fn holder(backend: &AwsBackend, text: &str) -> Option<OrderId> {
    let found = backend.table.order_by_reference(&reference(text)).await.unwrap();
    found.map(|snapshot| snapshot.order.order_id.clone())
}

/// The order id in the item of the given reference.
async fn named(backend: &AwsBackend, text: &str) -> Value {
    let get = json!({ "TableName": backend.table_name, "ConsistentRead": true,
                      "Key": { "pk": { "S": format!("REF#{text}") }, "sk": { "S": "METADATA" } } });
    Emulator::shared().dynamodb("GetItem", &get).await["Item"]["order_id"]["S"].take()
}

fn is_taken(result: Result<(), AppendError>, holder: &OrderId) -> bool {
    matches!(result, Err(AppendError::ReferenceTaken { by, .. }) if by == *holder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_without_an_order_counts_for_two_minutes() {
    let backend = open().await;
    let (crashed, other) = (new_order_id(), new_order_id());
    backend.table.reserve_without_appending(&reference("PO"), &crashed, 1, NOW).await.unwrap();
    assert_eq!(holder(&backend, "PO").await, None, "no order has the reference yet");
    let log = [with_reference(&other, "PO")];
    assert!(is_taken(append(&backend, &log).await, &crashed));
    assert_eq!(backend.table.order(&other).await.unwrap(), None, "nothing was appended");
    // The event whose append crashed is delivered again.
    append(&backend, &[with_reference(&crashed, "PO")]).await.unwrap();
    assert_eq!(holder(&backend, "PO").await, Some(crashed.clone()));
    assert!(is_taken(append(&backend, &log).await, &crashed));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_reservation_without_an_order_is_taken_over() {
    let backend = open().await;
    let (crashed, other) = (new_order_id(), new_order_id());
    backend.table.reserve_without_appending(&reference("PO"), &crashed, 1, LONG_AGO).await.unwrap();
    append(&backend, &[with_reference(&other, "PO")]).await.unwrap();
    assert_eq!(holder(&backend, "PO").await, Some(other.clone()));
    // The event that the crashed append did not write is delivered again, after another order took the reference.
    assert!(is_taken(append(&backend, &[with_reference(&crashed, "PO")]).await, &other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_release_leaves_an_item_that_means_nothing() {
    let backend = open().await;
    let (one, other) = (new_order_id(), new_order_id());
    let log = [with_reference(&one, "A"), renamed(&one, "B")];
    append(&backend, &log[..1]).await.unwrap();
    // Simulates a crash during the second append: only the release of the old reference is missing.
    backend.table.reserve_without_appending(&reference("B"), &one, 2, NOW).await.unwrap();
    let events = recorded(1, &log);
    backend.table.append_without_projecting(&events[1]).await.unwrap();
    assert_eq!(named(&backend, "A").await, one.as_str());
    assert_eq!((holder(&backend, "A").await, holder(&backend, "B").await), (None, Some(one.clone())));
    append(&backend, &[with_reference(&other, "A")]).await.unwrap();
    assert_eq!(holder(&backend, "A").await, Some(other.clone()));
    // The event of the first order is delivered again. The order no longer has the old reference, so the delivery
    // must not release it.
    append(&backend, &log).await.unwrap();
    assert_eq!((holder(&backend, "A").await, holder(&backend, "B").await), (Some(other), Some(one)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_gets_its_earlier_reference_back_unless_it_is_taken() {
    let backend = open().await;
    let (one, other) = (new_order_id(), new_order_id());
    let log = [with_reference(&one, "A"), renamed(&one, "B"), renamed(&one, "A")];
    for version in 1..=3 {
        append(&backend, &log[..version]).await.unwrap();
    }
    assert_eq!((holder(&backend, "A").await, holder(&backend, "B").await), (Some(one.clone()), None));
    assert_eq!((named(&backend, "A").await, named(&backend, "B").await), (json!(one.as_str()), Value::Null));
    // If the earlier events are delivered again later, nothing changes.
    append(&backend, &log[..1]).await.unwrap();
    append(&backend, &log[..2]).await.unwrap();
    assert_eq!((holder(&backend, "A").await, holder(&backend, "B").await), (Some(one.clone()), None));
    append(&backend, &[with_reference(&other, "B")]).await.unwrap();
    assert_eq!(holder(&backend, "B").await, Some(other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_costs_one_write() {
    let backend = open().await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let table = aws::table(&aws::config_at(&proxy.endpoint).await, &backend.table_name, eur());
    let (with, without) = (new_order_id(), new_order_id());
    for (log, writes) in [([created(&without)], 1), ([with_reference(&with, "PO")], 2)] {
        table.append(&[append_of(&recorded(1, &log), 1)]).await.remove(0).unwrap();
        let counts = proxy.take();
        assert_eq!((counts.calls.len(), counts.calls_of("PutItem")), (1, writes), "{counts:?}");
    }
    let log = [with_reference(&with, "PO"), renamed(&with, "PO 2")];
    table.append(&[append_of(&recorded(1, &log), 1)]).await.remove(0).unwrap();
    let counts = proxy.take();
    let calls = ["PutItem", "UpdateItem", "DeleteItem"].map(|operation| counts.calls_of(operation));
    assert_eq!((counts.calls.len(), calls), (2, [2, 0, 1]), "{counts:?}");
}
