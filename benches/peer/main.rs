//! Compares our service with a common alternative, an order service in Python (`app.py`). That service uses the library
//! `eventsourcing` with SQLite, behind Starlette on uvicorn, all installed from PyPI. Run the benchmark with
//! `cargo bench --bench peer`. It needs Python 3.11 or newer.
//!
//! The echo, the peer and our service run in turn, with the client of the benchmark `intake`. The peer answers after
//! it has recorded the order. Our service answers when it has accepted the order. So the benchmark prints two rates
//! of our service: accepted and recorded.

#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

#[path = "../load/mod.rs"]
mod load;
#[allow(unreachable_pub, reason = "the integration tests use the same module and need its public items")]
#[path = "../../tests/it/support/venv.rs"]
mod venv;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use load::figures::Spread;
use load::processes::{self, Process, Rates};
use venv::Venv;

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(4);
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer");
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/peer");

fn main() -> anyhow::Result<()> {
    processes::run(async {
        let folder = tempfile::TempDir::new()?;
        let echo = Process::echo().await?;
        let peer = peer(&folder.path().join("orders.db")).await?;
        let orders = Process::orders(&folder.path().join("data"), &[]).await?;
        compare(&echo, &peer, &orders).await
    })
}

async fn peer(database: &Path) -> anyhow::Result<Process> {
    let requirements = Path::new(SOURCES).join("requirements.txt");
    let venv =
        Venv { name: "the peer", needed_by: "the benchmarks of the Python peer", minor: 11, requirements };
    let interpreter = venv.set_up("python3", Path::new(INSTALLED)).map_err(anyhow::Error::msg)?;
    let port = processes::free_port()?;
    let mut command = Command::new(interpreter);
    command.args(["-B", "-m", "uvicorn", "app:app", "--app-dir", SOURCES, "--port", &port.to_string()]);
    command.args(["--log-level", "warning", "--no-access-log"]);
    command.env("PERSISTENCE_MODULE", "eventsourcing.sqlite").env("SQLITE_DBNAME", database);
    Process::start(&mut command, port).await
}

async fn compare(echo: &Process, peer: &Process, orders: &Process) -> anyhow::Result<()> {
    let (mut peers, mut intake, mut sustained) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let bare = echo.rate("/", TIME).await?;
        let theirs = peer.rate("/v1/orders", TIME).await?;
        let Rates { accepted, recorded } = orders.take_in(TIME).await?;
        println!(
            "round {round}: echo {bare:.0}/s, peer {theirs:.0}/s, our service {accepted:.0}/s accepted and {recorded:.0}/s recorded"
        );
        peers.push(theirs / bare);
        intake.push(accepted / theirs);
        sustained.push(recorded / theirs);
    }
    println!("rate of the peer, relative to the echo: {:.3}", Spread::from_iter(peers));
    println!(
        "rate at which our service accepts orders, relative to the peer: {:.1}",
        Spread::from_iter(intake)
    );
    println!(
        "rate at which our service records orders, relative to the peer: {:.1}",
        Spread::from_iter(sustained)
    );
    println!(
        "memory afterwards: peer {:.0} MiB, our service {:.0} MiB",
        peer.resident_mib()?,
        orders.resident_mib()?
    );
    Ok(())
}
