//! How fast orders are taken in: durable `POST /v1/orders` beside a bare axum JSON echo, in the same run with the same
//! client on the same machine. Run it with `cargo bench --bench intake`.
//!
//! Each round measures the echo, then the service, and then waits until everything that was accepted is recorded: orders
//! recorded in all that time are what it can sustain. At the end orders come at half that rate, and some of their clients
//! wait for the record: no order is recorded later than they are told.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod client;
mod processes;

use std::time::{Duration, Instant};

use client::{Paced, rate};
use processes::Processes;

const ROUNDS: usize = 5;
const SECONDS: Duration = Duration::from_secs(4);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    if processes::is_echo() {
        return runtime.block_on(processes::echo());
    }
    let folder = tempfile::TempDir::new()?;
    let processes = Processes::start(folder.path())?;
    runtime.block_on(async {
        processes.ready().await;
        println!("idle memory of orders: {} MiB", processes.resident_mib()?);
        let (mut intake, mut sustained, mut rates) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let bare = rate(processes.echo_port, "/", SECONDS).await?;
            let start = Instant::now();
            let durable = rate(processes.orders_port, "/v1/orders", SECONDS).await?;
            let recorded = durable * start.elapsed().as_secs_f64();
            processes.drained().await?;
            let pipeline = recorded / start.elapsed().as_secs_f64();
            println!(
                "round {round}: echo {bare:.0}/s, durable orders {durable:.0}/s ({:.2}), recorded {pipeline:.0}/s ({:.2})",
                durable / bare,
                pipeline / bare
            );
            intake.push(durable / bare);
            sustained.push(pipeline / bare);
            rates.push(pipeline);
        }
        println!("durable intake to echo: {}", spread(&mut intake));
        println!("sustained pipeline to echo: {}", spread(&mut sustained));
        println!("memory of orders after it: {} MiB", processes.resident_mib()?);
        rates.sort_by(f64::total_cmp);
        let half = rates[ROUNDS / 2] / 2.0;
        let mut late = Vec::new();
        for _ in 0..ROUNDS {
            let mut waits = Paced { port: processes.orders_port, per_second: half, time: SECONDS }.run().await?;
            waits.sort();
            late.push(waits[waits.len() * 99 / 100].as_secs_f64() * 1000.0);
        }
        println!("at {half:.0}/s, p99 from sending to recorded, in ms: {}", spread(&mut late));
        Ok(())
    })
}

fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    format!("min {least:.2}, median {median:.2}, max {most:.2}")
}
