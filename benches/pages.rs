//! Compares the rate of pages of 20 orders with a bare axum JSON echo, in one run with the same client on the same
//! machine. The client has 64 connections. Each connection requests the next page after the answer to the previous
//! request.
//!
//! Run it with `cargo bench --bench pages`, or with another number of orders: `cargo bench --bench pages -- 5000000`.
//! `--data FOLDER` stores the orders in this folder, and a later run with the same number finds them there.

#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

mod load;

use std::path::Path;
use std::time::{Duration, Instant};

use load::client::{Connection, page_times};
use load::figures::Spread;
use load::processes::{self, Process};
use load::stored::{ORDERS_PER_CUSTOMER, with_stored};

const ORDERS: u64 = 200_000;
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(4);
/// The number of customers in the measurement that requests the same pages repeatedly. Another measurement requests the
/// pages of all customers.
const FEW_CUSTOMERS: u64 = 200;

fn main() -> anyhow::Result<()> {
    processes::run(with_stored(ORDERS, async |data, orders| {
        measure(data, orders / ORDERS_PER_CUSTOMER).await
    }))
}

async fn measure(data: &Path, customers: u64) -> anyhow::Result<()> {
    let (echo, service) = (Process::echo().await?, Process::orders(data, &[]).await?);
    let mut connection = Connection::open(service.port).await?;
    let page = String::from_utf8(connection.get(&page_of(7)).await?.to_vec())?;
    anyhow::ensure!(page.matches(r#""object":"order""#).count() == 20, "not a page of 20 orders: {page}");
    println!("a page has {} bytes", page.len());
    // A first run, which is not measured, reads the pages from the disk.
    page_times(service.port, TIME, move |number| page_of(number % customers)).await?;
    for (which, customers) in [("all", customers), ("a few", FEW_CUSTOMERS.min(customers))] {
        let mut ratios = Vec::new();
        for round in 1..=ROUNDS {
            let echoes = echo.rate("/", TIME).await?;
            let start = Instant::now();
            // The multiplication makes consecutive requests ask for customers that are far apart in the store.
            let times =
                page_times(service.port, TIME, move |number| page_of(number.wrapping_mul(7919) % customers));
            let times = times.await?;
            let pages = times.len() as f64 / start.elapsed().as_secs_f64();
            ratios.push(pages / echoes);
            let part = |percent: usize| times[(times.len() - 1) * percent / 100];
            println!(
                "pages of {which} customers, round {round}: echo {echoes:.0}/s, pages {pages:.0}/s ({:.3} of the echo), p50 {:.1?}, p99 {:.1?}",
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
