//! Measures how the service scales with stored orders: throughput, latency of reads and lists, and memory, at 10,000
//! and at millions of stored orders. Also measures a start with a million queued events.
//!
//! Run it with `cargo bench --bench scale`, or with another number of orders: `cargo bench --bench scale -- 1000000`.

#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

mod load;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use domain::adjustments::Adjustments;
use domain::event::Created;
use domain::{
    Amount, CorrelationId, Currency, CustomerId, Envelope, Event, EventId, LineItem, LineItems, Metadata,
    Order, OrderId, Quantity, RecordedEvent, Sku, Timestamp,
};
use infra::embedded::{Embedded, NewMessage, Options};
use load::client::Connection;
use load::figures::Spread;
use load::processes::Process;
use uuid::Uuid;

const FEW: u64 = 10_000;
const MANY: u64 = 5_000_000;
const QUEUED: u64 = 1_000_000;
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(4);
/// How many orders or messages one write stores.
const CHUNK: u64 = 10_000;
const CUSTOMERS: u64 = 1000;

fn main() -> anyhow::Result<()> {
    let many = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(MANY);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let folders = [tempfile::TempDir::new()?, tempfile::TempDir::new()?];
        for (folder, orders) in folders.iter().zip([FEW, many]) {
            store(folder.path(), orders).await?;
        }
        // The two measurements alternate, so that other load on the machine affects both equally.
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let few = measure(folders[0].path(), FEW).await?;
            ratios.push(measure(folders[1].path(), many).await? / few);
        }
        println!(
            "recorded rate at {many} stored orders, relative to the rate at {FEW}: {}",
            Spread::from_iter(ratios)
        );
        drop(folders);
        restart().await
    })
}

fn open(folder: &Path) -> anyhow::Result<Embedded> {
    let currency = Currency::parse("EUR")?;
    Ok(Embedded::open(folder, Options { min_free_bytes: 0, ..Options::new(currency) })?)
}

/// An id for the given number. The ids sort by number, as real ids sort by time.
fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

fn creation(number: u64, at: Timestamp) -> anyhow::Result<Envelope> {
    let line = |sku: &str, quantity| {
        anyhow::Ok(LineItem {
            line_id: None,
            name: None,
            sku: Sku::parse(sku)?,
            quantity: Quantity::parse(quantity)?,
            unit_price: Some(Amount::parse(450)?),
        })
    };
    let items = LineItems::parse(vec![line("tea", 2)?, line("cup", 1)?])?;
    Ok(Envelope {
        event_id: EventId::from(id(number)),
        order_id: OrderId::from(id(number)),
        timestamp: at,
        correlation_id: CorrelationId::from(id(number)),
        expected_version: None,
        request_hash: None,
        actor: None,
        event: Event::Created(Created {
            customer_id: CustomerId::parse(&format!("customer-{}", number % CUSTOMERS))?,
            currency: Currency::parse("EUR")?,
            total: items.total(),
            items,
            metadata: Metadata::default(),
            adjustments: Adjustments::default(),
            reference: None,
            contact: None,
            notes: None,
            expires_at: None,
            ship_unpaid: false,
        }),
    })
}

async fn store(folder: &Path, orders: u64) -> anyhow::Result<()> {
    use consumer::ports::{Append, OrderLog};
    let (start, engine, at) = (Instant::now(), open(folder)?, Timestamp::parse("2026-11-23T10:00:00Z")?);
    for first in (0..orders).step_by(CHUNK as usize) {
        let append = |number| {
            let event = RecordedEvent {
                version: 1,
                recorded_at: at,
                repaired: None,
                envelope: creation(number, at)?,
            };
            let order = Order::fold([&event])?.context("no order")?;
            let messages = vec![number.to_string()];
            anyhow::Ok(Append { events: vec![event], messages, order, previous: None })
        };
        let appends: Vec<_> = (first..orders.min(first + CHUNK)).map(append).collect::<Result<_, _>>()?;
        for appended in engine.append(&appends).await {
            appended?;
        }
    }
    println!("stored {orders} orders in {:.0?}", start.elapsed());
    Ok(())
}

/// Measures intake, reads and lists. Returns the rate of recorded orders per second.
async fn measure(folder: &Path, orders: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let service = Process::orders(folder, &[]).await?;
    let started = start.elapsed();
    let recorded = service.take_in(TIME).await?.recorded;
    let read = |number: u64| format!("/v1/orders/{}", id(number * 7919 % orders));
    let read = latency(service.port, read).await?;
    let list =
        |number: u64| format!("/v1/orders?customer_id=customer-{}&limit=20", number * 7919 % CUSTOMERS);
    let list = latency(service.port, list).await?;
    let memory = service.resident_mib()?;
    println!(
        "{orders} orders: started in {started:.0?}, recorded {recorded:.0}/s, read p50 {:.0?} p99 {:.0?}, \
         list p50 {:.0?} p99 {:.0?}, {memory:.0} MiB",
        read.0, read.1, list.0, list.1
    );
    Ok(recorded)
}

/// The median and the 99th percentile of a thousand sequential requests.
async fn latency(port: u16, path: impl Fn(u64) -> String) -> anyhow::Result<(Duration, Duration)> {
    let mut connection = Connection::open(port).await?;
    let mut times = Vec::new();
    for number in 0..1000 {
        let path = path(number);
        let start = Instant::now();
        connection.get(&path).await?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok((times[500], times[990]))
}

/// Measures starts on a queue of a million events.
async fn restart() -> anyhow::Result<()> {
    let (folder, at) = (tempfile::TempDir::new()?, Timestamp::parse("2026-11-23T10:00:00Z")?);
    let engine = open(folder.path())?;
    for first in (0..QUEUED).step_by(CHUNK as usize) {
        let message = |number| {
            let (group, deduplication_id) = (id(number).to_string(), id(number).to_string());
            anyhow::Ok(NewMessage { group, deduplication_id, body: creation(number, at)?.encode() })
        };
        engine.send((first..first + CHUNK).map(message).collect::<Result<_, _>>()?).await?;
    }
    drop(engine);
    let mut starts = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let engine = open(folder.path())?;
        anyhow::ensure!(engine.queue_depth() as u64 == QUEUED, "events are missing from the queue");
        starts.push(start.elapsed().as_secs_f64());
        drop(engine);
    }
    println!("time to open a data folder with {QUEUED} queued events, in s: {}", Spread::from_iter(starts));
    let start = Instant::now();
    let service = Process::orders(folder.path(), &[]).await?;
    let (answers, memory) = (start.elapsed(), service.resident_mib()?);
    service.drained().await?;
    println!(
        "with {QUEUED} queued events, the service answers after {answers:.1?} ({memory:.0} MiB) and has recorded all events after {:.1?} ({:.0} MiB)",
        start.elapsed(),
        service.resident_mib()?
    );
    Ok(())
}
