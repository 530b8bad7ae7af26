//! How fast orders are taken in: durable `POST /v1/orders` beside a bare axum JSON echo, in the same run with the same
//! client on the same machine. Run it with `cargo bench --bench intake`.
//!
//! Each round measures the echo, then the service, and then waits until everything that was accepted is recorded: orders
//! recorded in all that time are what it can sustain. At the end orders come at half that rate, and some of their clients
//! wait for the record: no order is recorded later than they are told.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod load;

use std::time::Duration;

use load::client::{answered, paced};
use load::figures::Spread;
use load::processes::{self, Process, Rates};

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(4);

fn main() -> anyhow::Result<()> {
    processes::run(async {
        let folder = tempfile::TempDir::new()?;
        let echo = Process::echo().await?;
        let orders = Process::orders(&folder.path().join("data"), &[]).await?;
        println!("idle memory of orders: {:.0} MiB", orders.resident_mib()?);
        let per_second = throughput(&echo, &orders).await?;
        println!("memory of orders after it: {:.0} MiB", orders.resident_mib()?);
        lateness(&orders, per_second / 2.0).await
    })
}

/// Compares, and gives the rate that can be sustained.
async fn throughput(echo: &Process, orders: &Process) -> anyhow::Result<f64> {
    let (mut intake, mut sustained, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let bare = answered(echo.port, "/", TIME).await? as f64 / TIME.as_secs_f64();
        let Rates { accepted, recorded } = orders.take_in(TIME).await?;
        println!(
            "round {round}: echo {bare:.0}/s, durable orders {accepted:.0}/s ({:.2}), recorded {recorded:.0}/s ({:.2})",
            accepted / bare,
            recorded / bare
        );
        intake.push(accepted / bare);
        sustained.push(recorded / bare);
        rates.push(recorded);
    }
    println!("durable intake to echo: {}", Spread::from_iter(intake));
    println!("sustained pipeline to echo: {}", Spread::from_iter(sustained));
    rates.sort_by(f64::total_cmp);
    Ok(rates[ROUNDS / 2])
}

/// How late orders are recorded that come at this rate.
async fn lateness(orders: &Process, per_second: f64) -> anyhow::Result<()> {
    let mut late = Vec::new();
    for round in 1..=ROUNDS {
        let waits = paced(orders.port, per_second, TIME).await?;
        let at = |percent: usize| waits[waits.len() * percent / 100].as_secs_f64() * 1000.0;
        println!(
            "round {round}: from sending to recorded p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms",
            at(50),
            at(90),
            at(99)
        );
        late.push(at(99));
    }
    println!("at {per_second:.0}/s, p99 from sending to recorded, in ms: {}", Spread::from_iter(late));
    Ok(())
}
