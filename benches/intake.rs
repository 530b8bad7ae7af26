//! How fast orders are taken in: durable `POST /v1/orders` beside a bare axum JSON echo, in the same run with the same
//! client on the same machine. Run it with `cargo bench --bench intake`.
//!
//! Each round measures the echo, the same echo if it waits for the disk, then the service, and then waits until everything
//! that was accepted is recorded: orders recorded in all that time are what it can sustain. The same again where every
//! event goes by way of the queue, which is otherwise for those that something waits before, and where the service logs a
//! line for each event to a file, as it does by default; the others log warnings only. At the end orders come at half
//! the rate, and some of their clients wait for the record: no order is recorded later than they are told. The echo gets
//! half of its own rate in turns with it.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

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
        println!("memory of orders after it: {:.0} MiB", orders.resident_mib()?);
        lateness(&echo, &orders, rates.map(|rate| rate / 2.0)).await
    })
}

/// What was measured in a round, a second: requests of the echoes, and orders.
struct Round {
    bare: f64,
    durable: f64,
    orders: Rates,
    by_queue: f64,
    logging: f64,
}

type Of = fn(&Round) -> f64;

/// What is compared with the bare echo.
const COMPARED: [(&str, Of); 5] = [
    ("durable echo", |round| round.durable),
    ("durable orders", |round| round.orders.accepted),
    ("recorded", |round| round.orders.recorded),
    ("by way of the queue", |round| round.by_queue),
    ("recorded and logged", |round| round.logging),
];

/// Compares, and gives the rates that can be sustained: the echo's, and that of orders.
async fn throughput(echoes: [&Process; 2], services: [&Process; 3]) -> anyhow::Result<[f64; 2]> {
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        let round = Round {
            bare: echoes[0].rate("/", TIME).await?,
            durable: echoes[1].rate("/", TIME).await?,
            orders: services[0].take_in(TIME).await?,
            by_queue: services[1].take_in(TIME).await?.recorded,
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
    println!("recorded, with a line of the log for each event to without: {}", Spread::from_iter(logged));
    let median = |rate: Of| Spread::from_iter(rounds.iter().map(rate)).median();
    Ok([median(|round| round.bare), median(|round| round.orders.recorded)])
}

/// How late the echo answers and orders are recorded, each at this rate: a machine that is shared with others makes the
/// echo wait as well.
async fn lateness(echo: &Process, orders: &Process, rates: [f64; 2]) -> anyhow::Result<()> {
    let measured = [
        ("the echo, from sending to its answer", echo, Wait::Echo, rates[0]),
        ("orders, from sending to recorded", orders, Wait::SentToRecorded, rates[1]),
        ("orders, from accepted to recorded", orders, Wait::AcceptedToRecorded, rates[1]),
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

/// The 99th percentile of these waits, shortest first, in ms. Shows others besides.
fn p99(round: usize, what: &str, waits: &[Duration]) -> f64 {
    let [p50, p90, p99] =
        [50, 90, 99].map(|percent| waits[waits.len() * percent / 100].as_secs_f64() * 1000.0);
    println!("round {round}: {what}: p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms");
    p99
}
