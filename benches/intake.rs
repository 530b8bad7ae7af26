//! Measures the intake rate. It compares durable `POST /v1/orders` with a bare axum JSON echo, in one run with the same
//! client on the same machine. Run it with `cargo bench --bench intake`.
//!
//! Each round measures the echo, an echo that waits for the disk, and three services. The first service has the default
//! settings. The second one queues every event instead of committing inline. The third one logs a line for each event
//! to a file, while the others log only warnings. Each measurement waits until all orders are recorded. The number of
//! recorded orders, divided by that whole time, is the rate that the service can sustain.
//!
//! At the end, clients send orders at half of the sustainable rate, and some clients wait until their order is
//! recorded. The echo takes turns with the service, and receives requests at half of its own rate.

#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

mod load;

use std::time::Duration;

use load::client::{Wait, paced};
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
        let rates = {
            let durable = Process::durable_echo(&folder.path().join("bodies")).await?;
            let queued = Process::orders(&folder.path().join("queued"), &["--always-queue"]).await?;
            let log = folder.path().join("log");
            let logging = Process::orders_with_log(&folder.path().join("logged"), &log).await?;
            throughput([&echo, &durable], [&orders, &queued, &logging]).await?
        };
        println!("memory of orders afterwards: {:.0} MiB", orders.resident_mib()?);
        latency(&echo, &orders, rates.map(|rate| rate / 2.0)).await
    })
}

/// The rates of a round, per second: requests to the echoes, and recorded orders.
struct IntakeRound {
    bare: f64,
    durable: f64,
    orders: Rates,
    queued: f64,
    logging: f64,
}

type Rate = fn(&IntakeRound) -> f64;

/// The rates to compare with the bare echo.
const COMPARED: [(&str, Rate); 5] = [
    ("durable echo", |round| round.durable),
    ("durable orders", |round| round.orders.accepted),
    ("recorded", |round| round.orders.recorded),
    ("queued", |round| round.queued),
    ("recorded and logged", |round| round.logging),
];

/// Compares the rates. Returns the sustainable rates of the echo and of orders.
async fn throughput(echoes: [&Process; 2], services: [&Process; 3]) -> anyhow::Result<[f64; 2]> {
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = IntakeRound {
            bare: echoes[0].rate("/", TIME).await?,
            durable: echoes[1].rate("/", TIME).await?,
            orders: services[0].take_in(TIME).await?,
            queued: services[1].take_in(TIME).await?.recorded,
            logging: services[2].take_in(TIME).await?.recorded,
        };
        let shown = COMPARED
            .map(|(what, rate)| format!("{what} {:.0}/s ({:.2})", rate(&round), rate(&round) / round.bare));
        println!("round {number}: echo {:.0}/s, {}", round.bare, shown.join(", "));
        rounds.push(round);
    }
    for (what, rate) in COMPARED {
        println!(
            "{what} to echo: {}",
            Spread::from_iter(rounds.iter().map(|round| rate(round) / round.bare))
        );
    }
    let logged = rounds.iter().map(|round| round.logging / round.orders.recorded);
    println!(
        "recorded rate with a log line for each event, relative to the rate without these lines: {}",
        Spread::from_iter(logged)
    );
    let median = |rate: Rate| Spread::from_iter(rounds.iter().map(rate)).median();
    Ok([median(|round| round.bare), median(|round| round.orders.recorded)])
}

/// Measures the latency of the echo and of recording orders, at the given rates. The latency of the echo
/// shows which part of the latency comes from the shared machine.
async fn latency(echo: &Process, orders: &Process, rates: [f64; 2]) -> anyhow::Result<()> {
    let measured = [
        ("the echo, from the request to the answer", echo, Wait::Echo, rates[0]),
        ("orders, from the request until the order is recorded", orders, Wait::SentToRecorded, rates[1]),
        (
            "orders, from the acceptance until the order is recorded",
            orders,
            Wait::AcceptedToRecorded,
            rates[1],
        ),
    ];
    let mut all = measured.map(|_| Vec::new());
    for round in 1..=ROUNDS {
        for ((what, process, wait, rate), all) in measured.iter().zip(&mut all) {
            let waits = paced(process.port, *wait, *rate, TIME).await?;
            all.push(p99(round, what, &waits));
        }
    }
    for ((what, _, _, rate), all) in measured.iter().zip(all) {
        println!("{what}, at {rate:.0}/s, p99 in ms: {}", Spread::from_iter(all));
    }
    Ok(())
}

/// The 99th percentile of the given sorted times, in ms. Also prints other percentiles.
fn p99(round: usize, what: &str, waits: &[Duration]) -> f64 {
    let [p50, p90, p99] =
        [50, 90, 99].map(|percent| waits[waits.len() * percent / 100].as_secs_f64() * 1000.0);
    println!("round {round}: {what}: p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms");
    p99
}
