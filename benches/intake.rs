//! How fast orders are taken in: durable `POST /v1/orders` beside a bare axum JSON echo, in the same run with the same
//! client on the same machine. Run it with `cargo bench --bench intake`.
//!
//! Each round measures the echo, then the service, and then waits until everything that was accepted is recorded: orders
//! recorded in all that time are what it can sustain. At the end orders come at half that rate, and some of their clients
//! wait for the record: no order is recorded later than they are told. The echo gets half of its own rate in turns with it.

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
        let rates = throughput(&echo, &orders).await?;
        println!("memory of orders after it: {:.0} MiB", orders.resident_mib()?);
        lateness(&echo, &orders, rates.map(|rate| rate / 2.0)).await
    })
}

/// Compares, and gives the rates that can be sustained: the echo's, and that of orders.
async fn throughput(echo: &Process, orders: &Process) -> anyhow::Result<[f64; 2]> {
    let (mut intake, mut sustained, mut rates) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
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
        rates[0].push(bare);
        rates[1].push(recorded);
    }
    println!("durable intake to echo: {}", Spread::from_iter(intake));
    println!("sustained pipeline to echo: {}", Spread::from_iter(sustained));
    Ok(rates.map(|rates| Spread::from_iter(rates).median()))
}

/// How late the echo answers and orders are recorded, each at this rate: a machine that is shared with others makes the
/// echo wait as well.
async fn lateness(echo: &Process, orders: &Process, rates: [f64; 2]) -> anyhow::Result<()> {
    let (mut bare, mut recorded) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let waits = paced(echo.port, "/", "HTTP/1.1 200", rates[0], TIME).await?;
        bare.push(p99(round, "answered by the echo", &waits));
        let waits = paced(orders.port, "/v1/orders", "HTTP/1.1 201", rates[1], TIME).await?;
        recorded.push(p99(round, "recorded", &waits));
    }
    println!(
        "the echo at {:.0}/s, p99 from sending to its answer, in ms: {}",
        rates[0],
        Spread::from_iter(bare)
    );
    println!(
        "orders at {:.0}/s, p99 from sending to recorded, in ms: {}",
        rates[1],
        Spread::from_iter(recorded)
    );
    Ok(())
}

/// The 99th percentile of these waits, shortest first, in ms. Shows others besides.
fn p99(round: usize, what: &str, waits: &[Duration]) -> f64 {
    let [p50, p90, p99] =
        [50, 90, 99].map(|percent| waits[waits.len() * percent / 100].as_secs_f64() * 1000.0);
    println!("round {round}: from sending to {what} p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms");
    p99
}
