//! The rate of pages of 20 orders compared with a bare axum JSON echo, in one run with the same client on the same machine: 64
//! connections, each of which asks for the next page when the last is answered.
//!
//! Run it with `cargo bench --bench pages`, or with another number of orders: `cargo bench --bench pages -- 5000000`.
//! `--data FOLDER` stores the orders in this folder, and a later run with the same number finds them there.

#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

mod load;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use consumer::ports::{Append, LedgerCounts, OrderLog};
use domain::{Currency, Envelope, Order, RecordedEvent, Timestamp};
use infra::embedded::{Embedded, Options};
use load::client::{Connection, page_times};
use load::figures::Spread;
use load::processes::{self, Process};
use uuid::Uuid;

const ORDERS: u64 = 200_000;
const ORDERS_PER_CUSTOMER: u64 = 50;
/// Orders per write.
const CHUNK: u64 = 10_000;
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(4);
/// Customers whose pages are asked for again and again, beside pages of all customers.
const FEW_CUSTOMERS: u64 = 200;
/// The lives of orders, in turns: half of them have one event.
const LIVES: [&[&str]; 4] = [
    &["order_created"],
    &["order_created", "order_confirmed", "order_paid"],
    &["order_created"],
    &["order_created", "order_confirmed", "order_paid", "order_shipped", "order_delivered"],
];

fn main() -> anyhow::Result<()> {
    processes::run(async {
        let arguments: Vec<_> = std::env::args().collect();
        let orders = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(ORDERS);
        let data = arguments.iter().position(|argument| argument == "--data");
        let data =
            data.map(|at| arguments.get(at + 1).map(PathBuf::from).context("no folder")).transpose()?;
        let folder = tempfile::TempDir::new()?;
        let data = data.unwrap_or_else(|| folder.path().join("data"));
        if !data.exists() {
            store(&data, orders).await?;
        }
        measure(&data, orders / ORDERS_PER_CUSTOMER).await
    })
}

async fn measure(data: &Path, customers: u64) -> anyhow::Result<()> {
    let (echo, service) = (Process::echo().await?, Process::orders(data, &[]).await?);
    let mut connection = Connection::open(service.port).await?;
    let page = String::from_utf8(connection.get(&page_of(7)).await?.to_vec())?;
    anyhow::ensure!(page.matches(r#""object":"order""#).count() == 20, "not a page of 20 orders: {page}");
    println!("a page has {} bytes", page.len());
    // The first pages are read from the disk.
    page_times(service.port, TIME, move |number| page_of(number % customers)).await?;
    for (which, customers) in [("all", customers), ("a few", FEW_CUSTOMERS.min(customers))] {
        let mut ratios = Vec::new();
        for round in 1..=ROUNDS {
            let echoes = echo.rate("/", TIME).await?;
            let start = Instant::now();
            // Neighbours in time are not neighbours in the store.
            let times =
                page_times(service.port, TIME, move |number| page_of(number.wrapping_mul(7919) % customers));
            let times = times.await?;
            let pages = times.len() as f64 / start.elapsed().as_secs_f64();
            ratios.push(pages / echoes);
            let part = |percent: usize| times[(times.len() - 1) * percent / 100];
            println!(
                "pages of {which} customers, round {round}: echo {echoes:.0}/s, pages {pages:.0}/s ({:.3}), p50 {:.1?}, p99 {:.1?}",
                pages / echoes,
                part(50),
                part(99)
            );
        }
        println!("pages of {which} customers, relative to the echo: {:.3}", Spread::from_iter(ratios));
    }
    println!("memory: {:.0} MiB", service.resident_mib()?);
    Ok(())
}

fn page_of(customer: u64) -> String {
    format!("/v1/orders?customer_id=customer-{customer}&limit=20")
}

/// An id that sorts by its number, as real ids sort by time.
fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// Stores the given number of orders.
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

/// The append of all events of an order.
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
    Ok(Append { events, messages, order, previous: None, counts: LedgerCounts::default() })
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
