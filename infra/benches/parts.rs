//! Benchmarks of the domain's rules, and of the embedded engine compared to raw fjall batches of the same size. Run
//! them with `cargo bench -p infra --features embedded --bench parts`. Append `-- rules` or `-- engine` to run only one
//! of the two groups.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails has no result, so it may panic")]

use domain::{Currency, Envelope, Order, OrderId, RecordedEvent, Timestamp};
use uuid::Uuid;

fn main() {
    divan::main();
}

fn currency() -> Currency {
    Currency::parse("EUR").unwrap()
}

fn event(order_id: &str, kind: &str, data: &str) -> Vec<u8> {
    let id = Uuid::now_v7();
    format!(
        r#"{{"event_id":"{id}","type":"{kind}","schema_version":1,"timestamp":"2026-11-23T10:00:00Z",
            "correlation_id":"{id}","data":{{"order_id":"{order_id}"{data}}}}}"#
    )
    .into_bytes()
}

fn creation() -> Vec<u8> {
    let data = r#","customer_id":"c-1","currency":"EUR","total":1800,"items":[
        {"sku":"tea","quantity":2,"unit_price":450},{"sku":"cup","quantity":1,"unit_price":900}]"#;
    event(&Uuid::now_v7().to_string(), "order_created", data)
}

fn decoded() -> Envelope {
    Envelope::decode(&creation(), currency()).unwrap()
}

fn at() -> Timestamp {
    Timestamp::parse("2026-11-23T10:00:01Z").unwrap()
}

fn recorded(version: u64, envelope: Envelope) -> RecordedEvent {
    RecordedEvent { version, recorded_at: at(), repaired: None, envelope }
}

/// The events of an order from created to delivered.
fn life() -> Vec<RecordedEvent> {
    let created = decoded();
    let id: OrderId = created.order_id.clone();
    let rest = [
        ("order_confirmed", ""),
        ("order_paid", r#","payment_id":"p-1","amount":1800"#),
        ("order_shipped", r#","carrier":"DHL","tracking_number":"JD01""#),
        ("order_delivered", ""),
    ];
    let rest =
        rest.map(|(kind, data)| Envelope::decode(&event(id.as_str(), kind, data), currency()).unwrap());
    (1..).zip([created].into_iter().chain(rest)).map(|(version, event)| recorded(version, event)).collect()
}

mod rules {
    use divan::Bencher;
    use divan::counter::ItemsCount;

    use super::*;

    #[divan::bench(name = "decode a creation")]
    fn decode(bencher: Bencher<'_, '_>) {
        let body = creation();
        bencher
            .counter(ItemsCount::new(1u32))
            .bench(|| Envelope::decode(divan::black_box(&body), currency()));
    }

    #[divan::bench(name = "encode a creation")]
    fn encode(bencher: Bencher<'_, '_>) {
        let envelope = decoded();
        bencher.counter(ItemsCount::new(1u32)).bench(|| divan::black_box(&envelope).encode());
    }

    #[divan::bench(name = "judge and apply the five events of an order")]
    fn decide(bencher: Bencher<'_, '_>) {
        let events = life();
        bencher.counter(ItemsCount::new(events.len())).bench(|| {
            events.iter().fold(None, |order: Option<Order>, event| {
                divan::black_box(domain::judge(order.as_ref(), None, &event.envelope));
                Some(Order::apply(order, event).unwrap())
            })
        });
    }

    #[divan::bench(name = "encode the projection of an order")]
    fn project(bencher: Bencher<'_, '_>) {
        let order = Order::fold(&life()).unwrap().unwrap();
        bencher.counter(ItemsCount::new(1u32)).bench(|| divan::black_box(&order).encode());
    }
}

mod engine {
    use api::ports::EventPublisher;
    use consumer::ports::{Append, OrderLog};
    use divan::Bencher;
    use divan::counter::ItemsCount;
    use fjall::{Database, KeyspaceCreateOptions, PersistMode};
    use infra::embedded::{Embedded, Options};
    use tempfile::TempDir;
    use tokio::runtime::Runtime;

    use super::*;

    /// The number of events in one batch: as many as 64 busy clients keep in flight.
    const BATCH: usize = 64;

    fn open(folder: &TempDir, inline: bool) -> Embedded {
        let options = Options { min_free_bytes: 0, inline, ..Options::new(currency()) };
        Embedded::open(folder.path(), options).unwrap()
    }

    #[divan::bench(name = "publish 64 creations, synced")]
    fn publish(bencher: Bencher<'_, '_>) {
        publishing(bencher, false);
    }

    #[divan::bench(name = "publish and record 64 creations inline, synced")]
    fn inline(bencher: Bencher<'_, '_>) {
        publishing(bencher, true);
    }

    fn publishing(bencher: Bencher<'_, '_>, inline: bool) {
        let (folder, runtime) = (TempDir::new().unwrap(), Runtime::new().unwrap());
        let engine = open(&folder, inline);
        bencher
            .counter(ItemsCount::new(BATCH))
            .with_inputs(|| (0..BATCH).map(|_| decoded()).collect::<Vec<_>>())
            .bench_local_values(|events| runtime.block_on(engine.publish(&events)));
    }

    #[divan::bench(name = "append the first event of 64 orders to their logs")]
    fn append(bencher: Bencher<'_, '_>) {
        let (folder, runtime) = (TempDir::new().unwrap(), Runtime::new().unwrap());
        let engine = open(&folder, false);
        let append = |_| {
            let event = recorded(1, decoded());
            let order = Order::fold([&event]).unwrap().unwrap();
            Append { events: vec![event], messages: vec!["1".to_owned()], order, previous: None }
        };
        bencher
            .counter(ItemsCount::new(BATCH))
            .with_inputs(|| (0..BATCH).map(append).collect::<Vec<_>>())
            .bench_local_values(|appends| runtime.block_on(engine.append(&appends)));
    }

    /// Writes rows of the same size with raw fjall batches. The engine cannot be faster than that.
    #[divan::bench(name = "fjall: 64 rows of the same size", args = [PersistMode::Buffer, PersistMode::SyncData])]
    fn raw(bencher: Bencher<'_, '_>, durability: PersistMode) {
        let folder = TempDir::new().unwrap();
        let db = Database::builder(folder.path()).open().unwrap();
        let rows = db.keyspace("rows", KeyspaceCreateOptions::default).unwrap();
        let mut number = 0u64;
        bencher
            .counter(ItemsCount::new(BATCH))
            .with_inputs(|| (0..BATCH).map(|_| decoded().encode()).collect::<Vec<_>>())
            .bench_local_values(|bodies| {
                let mut batch = db.batch().durability(Some(durability));
                for body in bodies {
                    number += 1;
                    batch.insert(&rows, number.to_be_bytes(), body);
                }
                batch.commit().unwrap();
            });
    }
}
