//! The time, the orders and the subscription of a test.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use domain::subscription::SigningSecret;
use domain::{
    Currency, CustomerId, Envelope, OrderId, RecordedEvent, Subscription, SubscriptionId, SubscriptionState,
    Timestamp,
};
use uuid::Uuid;

/// Orders with smaller numbers belong to Mia, and the others to Ada.
pub(crate) const MIAS: u64 = 100;

thread_local! {
    /// The time of the test that runs on this thread, in microseconds.
    static NOW: Cell<i64> = const { Cell::new(0) };
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(NOW.get()).unwrap()
}

pub(crate) fn pass(time: Duration) {
    NOW.set(NOW.get() + i64::try_from(time.as_micros()).unwrap());
}

/// Runs a test, whose simulated clock starts at zero.
pub(crate) fn run(test: impl AsyncFnOnce()) {
    NOW.set(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(test());
}

pub(crate) fn order(number: u64) -> OrderId {
    OrderId::parse(&format!("o-{number:03}")).unwrap()
}

pub(crate) fn customer_of(order_id: &OrderId) -> CustomerId {
    let number: u64 = order_id.as_str().trim_start_matches("o-").parse().unwrap();
    customer(if number < MIAS { "mia" } else { "ada" })
}

pub(crate) fn customer(name: &str) -> CustomerId {
    CustomerId::parse(name).unwrap()
}

/// The event of an order with the given version: `order_created`, or `order_confirmed` for every later
/// version. The rules do not check the logs of these tests.
pub(crate) fn event(order_id: &OrderId, version: u64) -> RecordedEvent {
    let (kind, data) = match version {
        1 => (
            "order_created",
            format!(
                r#""customer_id":"{}","currency":"EUR","total":1,"items":[{{"sku":"s","quantity":1,"unit_price":1}}],"#,
                customer_of(order_id)
            ),
        ),
        _ => ("order_confirmed", String::new()),
    };
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{order_id} {version}").as_bytes());
    let message = format!(
        r#"{{"event_id":"{id}","type":"{kind}","schema_version":2,"timestamp":"2026-11-23T10:00:00Z","correlation_id":"r","data":{{{data}"order_id":"{order_id}"}}}}"#,
    );
    let envelope = Envelope::decode(message.as_bytes(), Currency::parse("EUR").unwrap()).unwrap();
    RecordedEvent { version, recorded_at: now(), repaired: None, envelope }
}

pub(crate) fn subscription() -> Subscription {
    let at = Timestamp::from_micros(0).unwrap();
    Subscription {
        id: SubscriptionId::from(Uuid::from_u128(1)),
        revision: 1,
        url: "https://receiver.example".to_owned(),
        types: Default::default(),
        customer_id: None,
        description: None,
        headers: BTreeMap::new(),
        state: SubscriptionState::Active,
        stopped: None,
        secrets: vec![SigningSecret { secret: "whsec_x".to_owned(), expires_at: None }],
        request_hash: None,
        created_at: at,
        updated_at: at,
    }
}
