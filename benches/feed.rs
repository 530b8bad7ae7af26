//! Measures the rate at which one reader reads the feed of recorded events, in pages of 1000 events. The reader first calls the
//! engine in this process. Then it reads over HTTP, and requests each page after it has received the previous page.
//!
//! Run it with `cargo bench --bench feed`, or with another number of orders: `cargo bench --bench feed --
//! 2000000`. An order has 2.5 events on average. `--data FOLDER` keeps the orders in FOLDER for later runs
//! with the same number.

#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

mod load;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use api::ports::feed::{EventFeed, FeedFilter, FeedStart};
use domain::{Currency, CustomerId};
use infra::embedded::{Embedded, Options};
use load::client::Connection;
use load::figures::Spread;
use load::processes::{self, Process};
use load::stored::with_stored;
use serde_json::Value;

const ORDERS: u64 = 200_000;
const PAGE: usize = 1000;
const ROUNDS: usize = 5;

fn main() -> anyhow::Result<()> {
    processes::run(with_stored(ORDERS, async |data, _| {
        from_engine(data).await?;
        over_http(data).await
    }))
}

fn rate(events: u64, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64()
}

/// Reads the whole feed from the engine, first without a filter, and then with a filter for one customer.
async fn from_engine(data: &Path) -> anyhow::Result<()> {
    let options = Options { min_free_bytes: 0, ..Options::new(Currency::parse("EUR")?) };
    let engine = Embedded::open(data, options)?;
    let of_customer =
        FeedFilter { customer_id: Some(CustomerId::parse("customer-7")?), ..FeedFilter::default() };
    for (which, filter) in [("all events", FeedFilter::default()), ("one customer's events", of_customer)] {
        let mut rates = Vec::new();
        let mut found = 0;
        for _ in 0..ROUNDS {
            let (start, mut after) = (Instant::now(), engine.start(FeedStart::Oldest).await?);
            found = 0;
            loop {
                let page = engine.read(&filter, &after, PAGE).await?;
                found += page.events.len();
                after = page.next;
                if page.is_last {
                    break;
                }
            }
            rates.push(rate(after.0[0], start.elapsed()));
        }
        println!("engine, {which} ({found}): {:.0} positions/s", Spread::from_iter(rates));
    }
    Ok(())
}

/// Reads the whole feed over HTTP.
async fn over_http(data: &Path) -> anyhow::Result<()> {
    let service = Process::orders(data, &[]).await?;
    let mut connection = Connection::open(service.port).await?;
    let mut rates = Vec::new();
    for round in 1..=ROUNDS {
        let (start, mut events, mut bytes, mut path) =
            (Instant::now(), 0, 0, format!("/v1/events?limit={PAGE}"));
        loop {
            let answer = std::str::from_utf8(connection.get(&path).await?)?;
            bytes += answer.len();
            // The client does not parse the items, because it shares the processors with the service.
            events += answer.matches(r#"{"position":"#).count() as u64;
            let end = answer.rfind(r#"],"next_cursor""#).context("no page")?;
            let end: Value = serde_json::from_str(&answer[end + 2..].replacen('"', "{\"", 1))?;
            let next = end["next_cursor"].as_str().context("no cursor")?;
            path = format!("/v1/events?limit={PAGE}&after={next}");
            if end["has_more"] == false {
                break;
            }
        }
        let time = start.elapsed();
        println!(
            "HTTP, round {round}: {events} events, {} MiB in {time:.1?}: {:.0} events/s",
            bytes >> 20,
            rate(events, time)
        );
        rates.push(rate(events, time));
    }
    println!("HTTP: {:.0} events/s", Spread::from_iter(rates));
    println!("memory: {:.0} MiB", service.resident_mib()?);
    Ok(())
}
