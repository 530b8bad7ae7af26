//! Tests that unpaid orders expire on SQS and DynamoDB: the index of due orders, the role as a container, and the
//! handler of the Lambda function. The tests invoke the handler themselves, because the emulator runs schedules late.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use api::expiry::{DueOrders, DueQuery, ExpiryRole, lambda};
use api::ports::{EventPublisher, OrderReader};
use consumer::ports::Inbox;
use domain::{Envelope, Order, OrderId, OrderStatus, Outcome, PaymentStatus, Timestamp};
use infra::aws::{self, SqsDeadLetters};
use serde_json::json;
use uuid::Uuid;

use crate::conformance::aws::AwsBackend;
use crate::conformance::{Backend, QueueOptions};
use crate::support::consumers::consumer_of;
use crate::support::counting::CountingProxy;
use crate::support::emulator::Emulator;
use crate::support::events::{created, eur, new_order_id};
use crate::support::eventually::eventually;
use crate::support::service::Service;

const NOON: i64 = 1_795_953_600_000_000;
const MINUTE: i64 = 60 * 1_000_000;

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

fn envelope(order_id: &OrderId, kind: &str, data: &serde_json::Value) -> Envelope {
    let mut message = json!({
        "type": kind, "event_id": Uuid::now_v7(), "schema_version": 2, "timestamp": infra::now(), "data": data,
    });
    message["data"]["order_id"] = json!(order_id);
    Envelope::decode(message.to_string().as_bytes(), eur()).unwrap()
}

/// Creates an order that expires at the given time.
fn expiring(order_id: &OrderId, at: Timestamp) -> Envelope {
    let items = json!([{ "sku": "s", "quantity": 1, "unit_price": 2 }]);
    let data = json!({ "customer_id": "c", "currency": "EUR", "items": items, "total": 2, "expires_at": at });
    envelope(order_id, "order_created", &data)
}

fn payment(order_id: &OrderId, kind: &str) -> Envelope {
    let data = json!({ "payment_id": "p", "amount": 2 });
    let voided = json!({ "payment_id": "p" });
    envelope(order_id, kind, if kind == "order_payment_voided" { &voided } else { &data })
}

fn role(backend: &AwsBackend, clock: fn() -> Timestamp) -> ExpiryRole {
    ExpiryRole {
        due: backend.table.clone(),
        reader: backend.table.clone(),
        publisher: backend.queue.clone(),
        clock,
        unpaid_age: None,
        tick: Duration::from_millis(200),
    }
}

async fn proposed(role: &ExpiryRole) -> u64 {
    role.pass(None).await.unwrap().proposed
}

async fn publish(backend: &AwsBackend, events: &[Envelope]) {
    backend.queue.publish(events).await.into_iter().for_each(|result| {
        result.unwrap();
    });
}

/// Lets a consumer handle `count` messages.
async fn consume(backend: &AwsBackend, count: usize) {
    let consumer = consumer_of(backend.table.clone(), backend.dead_letters());
    let mut left = count;
    while left > 0 {
        let messages = backend.queue.receive(left.min(10), Duration::from_secs(20)).await.unwrap();
        left -= messages.len();
        let handled = consumer.handle(messages).await;
        let done: Vec<_> = handled.iter().map(|it| (&it.message, &it.disposition)).collect();
        assert!(done.iter().all(|(_, disposition)| disposition.is_acknowledged()), "{done:?}");
        backend.queue.ack(&done).await.into_iter().for_each(|acked| acked.unwrap());
    }
}

async fn order(backend: &AwsBackend, order_id: &OrderId) -> Order {
    Order::clone(&backend.table.order(order_id).await.unwrap().unwrap().order)
}

/// All orders in the index of due orders, including orders whose deadline is in the future.
async fn listed(backend: &AwsBackend) -> Vec<OrderId> {
    let query = DueQuery { now: time(NOON * 2), unpaid_age_micros: None };
    let (mut orders, mut after) = (Vec::new(), None);
    loop {
        let page = backend.table.due(&query, after.as_ref(), 1).await.unwrap();
        orders.extend(page.orders);
        let Some(next) = page.next else { return orders };
        after = Some(next);
    }
}

async fn fifo() -> AwsBackend {
    AwsBackend::open(true, QueueOptions::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_order_is_cancelled_once_and_leaves_the_index() {
    static CLOCK: AtomicI64 = AtomicI64::new(NOON - 1);
    let backend = fifo().await;
    let role = role(&backend, || time(CLOCK.load(SeqCst)));
    let (due, plain) = (new_order_id(), new_order_id());
    publish(&backend, &[expiring(&due, time(NOON)), created(&plain)]).await;
    consume(&backend, 2).await;
    assert_eq!(
        listed(&backend).await,
        std::slice::from_ref(&due),
        "only the order with a deadline is in the index"
    );
    assert_eq!(proposed(&role).await, 0);
    CLOCK.store(NOON, SeqCst);
    assert_eq!(
        (proposed(&role).await, proposed(&role).await),
        (1, 0),
        "the event is proposed only once, although the proposal was not consumed yet"
    );
    consume(&backend, 1).await;
    assert_eq!(order(&backend, &due).await.status, OrderStatus::Cancelled);
    CLOCK.store(NOON + 6 * MINUTE, SeqCst);
    assert_eq!((proposed(&role).await, listed(&backend).await), (0, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_payment_comes_first_and_the_proposal_is_rejected() {
    let backend = fifo().await;
    let order_id = new_order_id();
    publish(&backend, &[expiring(&order_id, time(NOON))]).await;
    consume(&backend, 1).await;
    publish(&backend, &[payment(&order_id, "order_paid")]).await;
    assert_eq!(proposed(&role(&backend, || time(NOON))).await, 1);
    consume(&backend, 2).await;
    let order = order(&backend, &order_id).await;
    assert_eq!((order.version, order.payment_status()), (2, PaymentStatus::Paid));
    let proposal = domain::derived_ids::event_id_for_deadline(&order_id, time(NOON), 1);
    let receipt = backend.table.receipt(&order_id, proposal).await.unwrap().unwrap();
    assert!(matches!(receipt.outcome, Some(Outcome::Rejected { .. })), "{receipt:?}");
    let later = role(&backend, || time(NOON + 6 * MINUTE));
    assert_eq!((proposed(&later).await, listed(&backend).await), (0, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorized_order_is_looked_at_again_and_expires_when_it_is_voided() {
    let backend = fifo().await;
    let order_id = new_order_id();
    publish(&backend, &[expiring(&order_id, time(NOON)), payment(&order_id, "order_payment_authorized")])
        .await;
    consume(&backend, 2).await;
    assert_eq!(proposed(&role(&backend, || time(NOON))).await, 0);
    assert_eq!(listed(&backend).await, std::slice::from_ref(&order_id), "the order may become due later");
    publish(&backend, &[payment(&order_id, "order_payment_voided")]).await;
    consume(&backend, 1).await;
    assert_eq!(proposed(&role(&backend, || time(NOON + 30 * MINUTE))).await, 0);
    assert_eq!(proposed(&role(&backend, || time(NOON + 60 * MINUTE))).await, 1);
    consume(&backend, 1).await;
    assert_eq!(order(&backend, &order_id).await.status, OrderStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_waits_for_orders_that_become_due_and_otherwise_returns() {
    let backend = fifo().await;
    let role = role(&backend, infra::now);
    let deadline = || SystemTime::now() + Duration::from_secs(60);
    let idle = lambda::invoke(&role, deadline()).await.unwrap();
    assert_eq!((idle.proposed, idle.is_cut_short), (0, false));

    let order_id = new_order_id();
    let soon = time(infra::now().micros() + 3 * 1_000_000);
    publish(&backend, &[expiring(&order_id, soon)]).await;
    consume(&backend, 1).await;
    let invoked = lambda::invoke(&role, deadline()).await.unwrap();
    assert_eq!(invoked.proposed, 1);
    assert!(infra::now() >= soon);
    consume(&backend, 1).await;
    assert_eq!(order(&backend, &order_id).await.status, OrderStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_cancel_an_order_at_the_configured_age() {
    let backend = fifo().await;
    let endpoint = &Emulator::shared().endpoint;
    let with_age = |role: &str| {
        let mut command = backend.role(role, endpoint);
        command.env("ORDERS_EXPIRE_UNPAID", "2s");
        command
    };
    let order_id = new_order_id();
    let (_consumer, _) = Service::spawn_until(with_age("consumer"), "\"consuming\"");
    let (mut expiry, _) = Service::spawn_until(with_age("expiry"), "\"expiring\"");
    let data = json!({ "customer_id": "c", "currency": "EUR", "total": 2,
                       "items": [{ "sku": "s", "quantity": 1, "unit_price": 2 }] });
    publish(&backend, &[envelope(&order_id, "order_created", &data)]).await;
    eventually("the order is cancelled", async || {
        let order = backend.table.order(&order_id).await.unwrap().map(|snapshot| snapshot.order);
        let is_cancelled = order.as_ref().is_some_and(|order| order.status == OrderStatus::Cancelled);
        if is_cancelled { Ok(()) } else { Err(order) }
    })
    .await;
    assert_eq!(backend.history(&order_id).await.len(), 2);
    assert!(expiry.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_adds_no_call_to_the_consumer() {
    let backend = fifo().await;
    let proxy = CountingProxy::start(&Emulator::shared().endpoint).await;
    let sdk = aws::config_at(&proxy.endpoint).await;
    let table = aws::table(&sdk, &backend.table_name, eur());
    let consumer = consumer_of(
        Arc::new(table.clone()),
        Arc::new(SqsDeadLetters {
            queue: aws::queue(&sdk, &backend.queues.dead_letters_url),
            table,
            origin: backend.queues.url.clone(),
            inbox: None,
        }),
    );
    let order_id = new_order_id();
    let mut calls = Vec::new();
    for event in [expiring(&order_id, time(NOON)), payment(&order_id, "order_paid")] {
        publish(&backend, &[event]).await;
        let messages = backend.queue.receive(1, Duration::from_secs(20)).await.unwrap();
        let handled = consumer.handle(messages).await;
        let done = (&handled[0].message, &handled[0].disposition);
        backend.queue.ack(&[done]).await.remove(0).unwrap();
        let counts = proxy.take();
        calls.push(["PutItem", "UpdateItem", "Query"].map(|operation| counts.calls_of(operation)));
    }
    assert_eq!(calls, [[1, 0, 0], [1, 0, 1]], "the calls are the same as for an order without a deadline");
}
