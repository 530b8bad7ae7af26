//! Stores orders with their events in a data folder. Benchmarks that read a large folder call [`with_stored`].

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use consumer::ports::{Append, OrderLog};
use domain::{Currency, Envelope, Order, RecordedEvent, Timestamp};
use infra::embedded::{Embedded, Options};
use uuid::Uuid;

pub(crate) const ORDERS_PER_CUSTOMER: u64 = 50;
/// How many orders one write stores.
const CHUNK: u64 = 10_000;
/// The event types of the orders, used in turn. Half of the orders have only one event.
const LIVES: [&[&str]; 4] = [
    &["order_created"],
    &["order_created", "order_confirmed", "order_paid"],
    &["order_created"],
    &["order_created", "order_confirmed", "order_paid", "order_shipped", "order_delivered"],
];

/// An id for the given number. The ids sort by number, as real ids sort by time.
fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// Calls `measure` with a folder of stored orders, and with their number. The arguments can state another
/// number than `orders`. With `--data`, the folder is kept for further runs.
pub(crate) async fn with_stored(
    orders: u64,
    measure: impl AsyncFnOnce(&Path, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let orders = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(orders);
    let data = arguments.iter().position(|argument| argument == "--data");
    let data = data.map(|at| arguments.get(at + 1).map(PathBuf::from).context("no folder")).transpose()?;
    let folder = tempfile::TempDir::new()?;
    let data = data.unwrap_or_else(|| folder.path().join("data"));
    if !data.exists() {
        store(&data, orders).await?;
    }
    measure(&data, orders).await
}

async fn store(folder: &Path, orders: u64) -> anyhow::Result<()> {
    let options = Options { min_free_bytes: 0, ..Options::new(Currency::parse("EUR")?) };
    let (start, engine) = (Instant::now(), Embedded::open(folder, options)?);
    for first in (0..orders).step_by(CHUNK as usize) {
        let customers = orders / ORDERS_PER_CUSTOMER;
        let appends = (first..orders.min(first + CHUNK)).map(|number| append(number, number % customers));
        for appended in engine.append(&appends.collect::<Result<Vec<_>, _>>()?).await {
            appended?;
        }
        print!("\rstored {} of {orders} orders", (first + CHUNK).min(orders));
        std::io::stdout().flush()?;
    }
    println!(" in {:.0?}", start.elapsed());
    Ok(())
}

/// An append with all events of the order with the given number.
fn append(number: u64, customer: u64) -> anyhow::Result<Append> {
    let first = Timestamp::parse("2026-11-23T10:00:00Z")?.micros() + number as i64 * 10_000;
    let recorded = |(kind, version): (&str, u64)| {
        let at = Timestamp::from_micros(first + version as i64).context("the time")?;
        let data = event_data(kind, number, customer);
        let event = format!(
            r#"{{"event_id":"{}","type":"{kind}","schema_version":1,"timestamp":"{at}","data":{data}}}"#,
            Uuid::from_u128(u128::from(number) << 8 | u128::from(version))
        );
        let envelope = Envelope::decode(event.as_bytes(), Currency::parse("EUR")?)?;
        anyhow::Ok(RecordedEvent { version, recorded_at: at, repaired: None, envelope })
    };
    let life = LIVES[number as usize % LIVES.len()];
    let events: Vec<_> = life.iter().copied().zip(1..).map(recorded).collect::<Result<_, _>>()?;
    let order = Order::fold(&events)?.context("no order")?;
    let messages = (0..events.len()).map(|message| format!("{number}-{message}")).collect();
    Ok(Append { events, messages, order, previous: None })
}

fn event_data(kind: &str, number: u64, customer: u64) -> String {
    let order_id = id(number);
    let more = match kind {
        "order_created" => format!(
            r#","customer_id":"customer-{customer}","currency":"EUR","items":[{{"sku":"tea","quantity":2,"unit_price":450}},{{"sku":"cup","quantity":1,"unit_price":900}}],"total":1800"#
        ),
        "order_paid" => format!(r#","payment_id":"pay_{number}","amount":1800"#),
        "order_shipped" => format!(r#","carrier":"DHL","tracking_number":"{number}""#),
        _ => String::new(),
    };
    format!(r#"{{"order_id":"{order_id}"{more}}}"#)
}
