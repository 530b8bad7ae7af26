//! An output in memory, and events to publish. `outputs` and `windows` use this module.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use consumer::relay::outputs::{EventOutput, MAX_BATCH, MAX_BYTES, OutgoingEvent, Outputs};
use consumer::relay::{CustomerLookup, Relay, StreamEntry};
use domain::{Currency, CustomerId, OrderId, Timestamp};
use serde_json::{Value, json};

/// Log entries of `orders` orders, which take turns.
pub(crate) fn entries(orders: usize, versions: u64) -> Vec<StreamEntry> {
    (1..=versions).flat_map(|version| (0..orders).map(move |n| entry(&format!("o-{n}"), version))).collect()
}

/// A new log entry of the order. Its event has `lines` lines of about 300 bytes.
pub(crate) fn entry_of(order: &str, version: u64, lines: usize) -> StreamEntry {
    let recorded_at = Timestamp::parse("2026-11-30T10:00:00Z").unwrap();
    let line = |n: usize| json!({ "sku": format!("sku-{n}-{}", "s".repeat(40)), "name": "n".repeat(200), "quantity": 2, "unit_price": 450 });
    let json = json!({
        "version": version, "recorded_at": recorded_at,
        "event_id": uuid::Uuid::from_u128(u128::from(version) << 64 | order.bytes().fold(0, |id, b| id * 256 + u128::from(b))),
        "type": "order_amended", "schema_version": 2, "timestamp": recorded_at, "correlation_id": "r",
        "data": { "order_id": order, "items": (0..lines).map(line).collect::<Vec<_>>() },
    });
    StreamEntry {
        order_id: OrderId::parse(order).unwrap(),
        version,
        event_type: "order_amended".to_owned(),
        recorded_at,
        customer_id: Some(CustomerId::parse("c").unwrap()),
        json: json.to_string(),
    }
}

pub(crate) fn entry(order: &str, version: u64) -> StreamEntry {
    entry_of(order, version, 1)
}

/// Which events a fake output refuses: order, version, and how often.
pub(crate) type Refusals = BTreeMap<(String, u64), u32>;

/// An output that checks the limits of batches, refuses some events, and keeps the others.
#[derive(Default)]
pub(crate) struct FakeOutput {
    pub(crate) refusals: Mutex<Refusals>,
    pub(crate) accepted: Mutex<Vec<(String, u64)>>,
    pub(crate) bodies: Mutex<Vec<Value>>,
    pub(crate) calls: Mutex<Vec<usize>>,
    /// Whether every call fails as a whole.
    pub(crate) is_down: AtomicBool,
}

impl FakeOutput {
    pub(crate) fn refusing(refusals: &[(&str, u64, u32)]) -> Arc<Self> {
        let refusals = refusals
            .iter()
            .map(|(order, version, count)| (((*order).to_owned(), *version), *count))
            .collect();
        Arc::new(Self { refusals: Mutex::new(refusals), ..Self::default() })
    }

    pub(crate) fn accepted(&self) -> Vec<(String, u64)> {
        self.accepted.lock().unwrap().clone()
    }

    pub(crate) fn of(&self, order: &str) -> Vec<u64> {
        self.accepted().into_iter().filter(|(id, _)| id == order).map(|(_, version)| version).collect()
    }
}

#[async_trait]
impl EventOutput for FakeOutput {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn bytes(&self, event: &OutgoingEvent) -> usize {
        event.body.len()
    }

    async fn send(&self, batch: &[&OutgoingEvent]) -> anyhow::Result<Vec<anyhow::Result<()>>> {
        let orders: HashSet<_> = batch.iter().map(|event| &event.order_id).collect();
        assert!(
            (1..=MAX_BATCH).contains(&batch.len()) && orders.len() == batch.len(),
            "one event of an order"
        );
        assert!(batch.iter().map(|event| self.bytes(event)).sum::<usize>() <= MAX_BYTES);
        self.calls.lock().unwrap().push(batch.len());
        anyhow::ensure!(!self.is_down.load(Ordering::Relaxed), "no answer");
        // Lets other calls run in between.
        tokio::task::yield_now().await;
        let send = |event: &&OutgoingEvent| {
            let body: Value = serde_json::from_str(&event.body).unwrap();
            let key = (event.order_id.to_string(), body["orderversion"].as_u64().unwrap());
            if let Some(left) = self.refusals.lock().unwrap().get_mut(&key).filter(|left| **left > 0) {
                *left -= 1;
                anyhow::bail!("throttled")
            }
            self.accepted.lock().unwrap().push(key);
            self.bodies.lock().unwrap().push(body);
            Ok(())
        };
        Ok(batch.iter().map(send).collect())
    }
}

struct NoCustomers;

#[async_trait]
impl CustomerLookup for NoCustomers {
    async fn customers(&self, _: &[OrderId]) -> anyhow::Result<Vec<(OrderId, CustomerId)>> {
        Ok(Vec::new())
    }
}

pub(crate) fn relay(outputs: &[&Arc<FakeOutput>]) -> Relay {
    let outputs =
        outputs.iter().map(|output| Arc::<FakeOutput>::clone(output) as Arc<dyn EventOutput>).collect();
    let outputs = Outputs::new(outputs, "/shop".to_owned(), Currency::parse("EUR").unwrap());
    Relay::new(Arc::new(NoCustomers), || Timestamp::from_micros(0).unwrap()).with_outputs(outputs)
}
