//! Tests what happens to orders that are unpaid at their deadline. The tests use the real engine and set its clock.

mod races;

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use api::expiry::{ExpiryRole, Pass};
use api::operations::Pipeline;
use api::ports::{EventPublisher, OrderReader};
use consumer::Consumer;
use consumer::ports::Inbox;
use domain::{Currency, Envelope, Event, Ledger, Order, OrderId, OrderStatus, PaymentStatus, Timestamp};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::embedded::Options;
use crate::embedded::maintenance::RebuildOptions;
use crate::embedded::store::index_keys::position_key;
use crate::embedded::testing::{created, eur, open_inline, options};

const NOON: i64 = 1_795_953_600_000_000;
const SECOND: i64 = 1_000_000;

fn id(order_id: &str) -> OrderId {
    OrderId::parse(order_id).unwrap()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

fn envelope(order_id: &str, kind: &str, data: &str) -> Envelope {
    let event_id = Uuid::now_v7();
    let json = format!(
        r#"{{"type":"{kind}","event_id":"{event_id}","schema_version":2,"timestamp":"2026-11-23T10:00:00Z",
            "correlation_id":"r","data":{{"order_id":"{order_id}"{data}}}}}"#
    );
    Envelope::decode(json.as_bytes(), Currency::parse("EUR").unwrap()).unwrap()
}

/// Creates an order that expires at the time `at`.
fn expiring(order_id: &str, at: i64) -> Envelope {
    let lines = r#""items":[{"sku":"s","quantity":1,"unit_price":2}],"total":2"#;
    let data = format!(r#","customer_id":"c","currency":"EUR",{lines},"expires_at":"{}""#, time(at));
    envelope(order_id, "order_created", &data)
}

fn paid(order_id: &str) -> Envelope {
    envelope(order_id, "order_paid", r#","payment_id":"p","amount":2"#)
}

async fn accept(engine: &Embedded, events: &[Envelope]) {
    engine.publish(events).await.into_iter().for_each(|result| {
        result.unwrap();
    });
}

async fn order(engine: &Embedded, order_id: &str) -> Order {
    Order::clone(&engine.order(&id(order_id)).await.unwrap().unwrap().order)
}

fn role(engine: &Embedded, clock: fn() -> Timestamp) -> ExpiryRole {
    let engine = Arc::new(engine.clone());
    ExpiryRole {
        due: engine.clone(),
        reader: engine.clone(),
        publisher: engine,
        clock,
        unpaid_age: None,
        tick: Duration::from_millis(10),
    }
}

async fn proposed(role: &ExpiryRole) -> u64 {
    role.pass(None).await.unwrap().proposed
}

fn due_rows(engine: &Embedded) -> usize {
    engine.store().keys.due.iter().count()
}

async fn drain(engine: &Embedded) {
    let shared = Arc::new(engine.clone());
    let consumer = Consumer {
        log: shared.clone(),
        dead_letters: shared,
        clock: crate::now,
        default_currency: eur(),
        max_receives: None,
        ledger: None,
    };
    while engine.queue_depth() > 0 {
        let handled = consumer.handle(engine.receive(10, Duration::ZERO).await.unwrap()).await;
        let done: Vec<_> = handled.iter().map(|it| (&it.message, &it.disposition)).collect();
        engine.ack(&done).await.into_iter().for_each(|acked| acked.unwrap());
    }
}

async fn ledger(engine: &Embedded) -> Ledger {
    let counters = engine.counters().await.unwrap();
    assert_eq!(counters.balanced(), Some(true));
    counters.ledger
}

#[tokio::test]
async fn an_unpaid_order_is_cancelled_at_its_deadline_and_only_once() {
    static CLOCK: AtomicI64 = AtomicI64::new(NOON - 1);
    let (_folder, engine) = open_inline();
    let role = role(&engine, || time(CLOCK.load(SeqCst)));
    accept(&engine, &[expiring("o", NOON)]).await;
    assert_eq!((proposed(&role).await, due_rows(&engine)), (0, 1));

    CLOCK.store(NOON, SeqCst);
    assert_eq!((proposed(&role).await, due_rows(&engine)), (1, 0));
    assert_eq!(order(&engine, "o").await.status, OrderStatus::Cancelled);
    let events = engine.events(&id("o"), 1, 10).await.unwrap();
    let [cancelled] = &events[..] else { panic!("{events:?}") };
    let Event::Cancelled(data) = &cancelled.envelope.event else { panic!("{cancelled:?}") };
    let (actor, reason) = (cancelled.envelope.actor.as_deref(), data.reason.as_ref().unwrap().as_str());
    assert_eq!((actor, reason, cancelled.envelope.expected_version), (Some("orders"), "expired", Some(1)));

    assert_eq!(proposed(&role).await, 0);
    assert_eq!(ledger(&engine).await, Ledger { accepted: 2, recorded: 2, ..Ledger::default() });
    // A payment after the cancellation is recorded, and its amount is owed to the customer.
    accept(&engine, &[paid("o")]).await;
    let order = order(&engine, "o").await;
    assert_eq!(
        (order.version, order.payment_status(), order.money().balance),
        (3, PaymentStatus::Overpaid, -2)
    );
}

#[tokio::test]
async fn orders_that_never_expire_pay_nothing_and_paid_ones_leave_the_index() {
    static CLOCK: AtomicI64 = AtomicI64::new(NOON + SECOND);
    let (_folder, engine) = open_inline();
    let role = role(&engine, || time(CLOCK.load(SeqCst)));
    accept(&engine, &[created("plain")]).await;
    assert_eq!(due_rows(&engine), 0);

    let authorized = envelope("o", "order_payment_authorized", r#","payment_id":"p","amount":2"#);
    accept(&engine, &[expiring("o", NOON)]).await;
    accept(&engine, &[authorized]).await;
    assert_eq!((due_rows(&engine), proposed(&role).await), (0, 0), "the order is authorized");
    accept(&engine, &[envelope("o", "order_payment_voided", r#","payment_id":"p""#)]).await;
    assert_eq!(due_rows(&engine), 1, "the order is unpaid again, and past its deadline");
    accept(&engine, &[envelope("o", "order_paid", r#","payment_id":"q","amount":2"#)]).await;
    assert_eq!((due_rows(&engine), proposed(&role).await), (0, 0));
    assert_eq!(order(&engine, "o").await.payment_status(), PaymentStatus::Paid);
}

#[tokio::test]
async fn unpaid_orders_expire_at_the_configured_age() {
    let (_folder, engine) = open_inline();
    // The orders are created at 10:00 on 23 November 2026, which is 6 days and 2 hours before NOON.
    let shippable = r#","customer_id":"c","currency":"EUR","items":[{"sku":"s","quantity":1,"unit_price":2}],"total":2,"ship_unpaid":true"#;
    let confirmed = envelope("confirmed", "order_confirmed", "");
    accept(&engine, &[created("pending"), created("confirmed"), created("paid"), expiring("own", NOON)])
        .await;
    accept(&engine, &[confirmed, paid("paid"), envelope("invoiced", "order_created", shippable)]).await;
    let age = |hours: u64| Some(Duration::from_secs(hours * 3600));
    let with_age = |hours| ExpiryRole { unpaid_age: age(hours), ..role(&engine, || time(NOON - SECOND)) };
    assert_eq!(proposed(&with_age(24 * 6 + 2)).await, 0, "one second before");
    let role = ExpiryRole { unpaid_age: age(24 * 6 + 2), ..role(&engine, || time(NOON)) };
    assert_eq!(proposed(&role).await, 3);
    for (order_id, status) in [
        ("pending", OrderStatus::Cancelled),
        ("confirmed", OrderStatus::Cancelled),
        ("own", OrderStatus::Cancelled),
        ("paid", OrderStatus::Pending),
        ("invoiced", OrderStatus::Pending),
    ] {
        assert_eq!(order(&engine, order_id).await.status, status, "{order_id}");
    }
    assert_eq!(proposed(&role).await, 0);
}

#[tokio::test]
async fn a_clock_that_jumps_neither_fires_early_nor_loses_a_deadline() {
    static CLOCK: AtomicI64 = AtomicI64::new(NOON);
    let (_folder, engine) = open_inline();
    let role = role(&engine, || time(CLOCK.load(SeqCst)));
    accept(&engine, &[expiring("near", NOON + SECOND), expiring("far", NOON + 3600 * SECOND)]).await;
    CLOCK.store(NOON + 60 * SECOND, SeqCst);
    assert_eq!(proposed(&role).await, 1, "the clock jumps forward: one order is due at the new time");
    CLOCK.store(NOON - 3600 * SECOND, SeqCst);
    accept(&engine, &[expiring("between", NOON)]).await;
    assert_eq!(proposed(&role).await, 0, "the clock jumps backward: no order is due");
    CLOCK.store(NOON, SeqCst);
    assert_eq!(proposed(&role).await, 1);
    CLOCK.store(NOON + 7200 * SECOND, SeqCst);
    assert_eq!((proposed(&role).await, proposed(&role).await, due_rows(&engine)), (1, 0, 0));
    assert_eq!(ledger(&engine).await, Ledger { accepted: 6, recorded: 6, ..Ledger::default() });
}

#[tokio::test]
async fn a_queued_proposal_is_not_repeated_and_two_services_cancel_once() {
    let folder = TempDir::new().unwrap();
    let open = || Embedded::open(folder.path(), Options { inline: false, ..options() }).unwrap();
    {
        let engine = open();
        accept(&engine, &[expiring("o", NOON)]).await;
        drain(&engine).await;
        let role = role(&engine, || time(NOON));
        assert_eq!(
            (proposed(&role).await, proposed(&role).await),
            (1, 0),
            "a proposal that is queued is not repeated"
        );
    }
    let engine = open();
    let one = role(&engine, || time(NOON));
    assert_eq!(
        (proposed(&one).await, engine.queue_depth()),
        (0, 1),
        "a proposal that is queued is not repeated after a restart"
    );
    // A service that has not read the queue proposes the cancellation a second time.
    let order_before = order(&engine, "o").await;
    let repeated = expiry(&order_before, time(NOON));
    accept(&engine, &[repeated]).await;
    drain(&engine).await;
    assert_eq!((order(&engine, "o").await.version, due_rows(&engine)), (2, 0));
    assert_eq!(ledger(&engine).await, Ledger { accepted: 3, recorded: 2, duplicate: 1, ..Ledger::default() });
}

fn expiry(order: &Order, now: Timestamp) -> Envelope {
    domain::expiry(order, None, now).unwrap().proposal
}

#[tokio::test]
async fn a_deadline_survives_a_restart() {
    let folder = TempDir::new().unwrap();
    let open = || Embedded::open(folder.path(), Options { inline: true, ..options() }).unwrap();
    accept(&open(), &[expiring("o", NOON)]).await;
    let engine = open();
    assert_eq!(proposed(&role(&engine, || time(NOON))).await, 1);
    assert_eq!(order(&engine, "o").await.status, OrderStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_recorded_while_ten_thousand_expire() {
    const DUE: usize = 10_000;
    let (_folder, engine) = open_inline();
    let ids: Vec<_> = (0..DUE).map(|number| format!("due-{number}")).collect();
    for ids in ids.chunks(500) {
        let events: Vec<_> = ids.iter().map(|order_id| expiring(order_id, NOON)).collect();
        accept(&engine, &events).await;
    }
    let role = role(&engine, || time(NOON));
    let pass = tokio::spawn(async move { role.pass(None).await.unwrap() });
    // Requests arrive while the pass reads its pages. Each request has one event, like most real requests.
    let mut intake: u64 = 0;
    while !pass.is_finished() {
        accept(&engine, &[created(&format!("new-{intake}"))]).await;
        intake += 1;
    }
    let Pass { proposed, passed_over, .. } = pass.await.unwrap();
    assert_eq!((proposed, passed_over, due_rows(&engine)), (DUE as u64, 0, 0));
    let pages = DUE as u64 / 100;
    assert!(intake >= pages, "{intake} orders were recorded during {pages} pages");
    let events = 2 * DUE as u64 + intake;
    assert_eq!(ledger(&engine).await, Ledger { accepted: events, recorded: events, ..Ledger::default() });
}

#[tokio::test]
async fn a_rebuild_corrects_the_index() {
    let (_folder, engine) = open_inline();
    accept(&engine, &[expiring("a", NOON), expiring("b", NOON)]).await;
    accept(&engine, &[paid("b")]).await;
    let due = &engine.store().keys.due;
    due.remove(position_key(&[], NOON, &id("a"))).unwrap();
    due.insert(position_key(&[], NOON, &id("b")), []).unwrap();
    let rebuilt = engine.rebuild(RebuildOptions::default(), &|_| ()).await.unwrap();
    assert_eq!(
        rebuilt.differences.examples,
        [
            "order a: it is missing from the index by deadline",
            "order b: a row of the index by deadline is out of date"
        ]
    );
    let rebuilt = engine.rebuild(RebuildOptions::default(), &|_| ()).await.unwrap();
    assert_eq!((rebuilt.differences.count, due_rows(&engine)), (0, 1));
}
